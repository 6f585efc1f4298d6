package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
)

// TokenPlace is one place of a request where a token may be.
type TokenPlace struct {
	// Where to look: "header", "query", "cookie", "form" or "websocket_protocol".
	//
	// A token in a query ends up in logs, browser histories and Referer headers. Use it only for clients that have no
	// other way. Caddy writes the query to its access log as the client sent it. Browsers send a cookie without being
	// asked, so other sites can make them send requests: give it HttpOnly, Secure and SameSite=Strict. A form is read only
	// from POST, PUT and PATCH requests of type application/x-www-form-urlencoded, up to 1 MiB and for at most 10 seconds.
	// All forms together may take 32 MiB of memory. The form reaches the backend without the token.
	//
	// "websocket_protocol" is for pages: to open a WebSocket, they can set no other field than Sec-WebSocket-Protocol. The
	// token is the subprotocol behind the one that name says. Caddy writes the field to its access log as the client sent
	// it. The backend gets the other subprotocols. If it chooses none of them, the answer has the marker: a browser would
	// end the WebSocket otherwise.
	In string `json:"in"`
	// Name of the header, query parameter, cookie or form field. Headers with another meaning cannot hold a token: those
	// that the server itself needs, such as Host and Connection; Proxy-Authorization; DPoP; and all that begin with Sec-.
	// For "websocket_protocol" it is the subprotocol that marks the token: the next one is the token. If it ends in a dot,
	// it is a prefix, and the rest of its subprotocol is the token in base64url, as Kubernetes' clients send it with
	// "base64url.bearer.authorization.k8s.io.". No browser can open a WebSocket then unless the page offers a subprotocol
	// that the backend chooses. Default there: "bearer". The others have no default.
	Name string `json:"name,omitempty"`
	// Scheme before the token in a header, matched without regard to case. It cannot be DPoP or GNAP, which ask for a
	// proof, nor Basic. Default: "Bearer" for the header Authorization. Other headers have none: the whole value is the
	// token.
	Scheme string `json:"scheme,omitempty"`
}

// Resource is what a gate guards, as clients know it: a protected resource of RFC 9728. Its metadata tells clients the
// issuers of the gate that are https URLs (authorization_servers), the scopes of require (scopes_supported), and the
// places of token_from that RFC 6750 knows (bearer_methods_supported).
type Resource struct {
	// Identifier of the resource: the URL that clients use, or its beginning, such as https://mcp.example.com/mcp. https,
	// or http to this machine; without query and fragment; in lower case before the path. In the path only letters,
	// digits and -._~@ between single slashes. Several gates may have the same resource: clients get one document.
	// Placeholders are resolved.
	URL string `json:"url"`
	// Name for people, to be shown while they log in (resource_name). Default: none. Placeholders are resolved.
	Name string `json:"name,omitempty"`
	// Address of a page for developers (resource_documentation). Default: none. Placeholders are resolved.
	Documentation string `json:"documentation,omitempty"`
	// Address of a page that says how clients may use the data (resource_policy_uri). Default: none. Placeholders are
	// resolved.
	Policy string `json:"policy,omitempty"`
	// Address of the terms of service (resource_tos_uri). Default: none. Placeholders are resolved.
	TermsOfService string `json:"tos,omitempty"`
	// Scopes that clients may ask for beyond those that require and mcp name. Default: none.
	Scopes []string `json:"scopes,omitempty"`
}

// ForwardClaim gives the backend a claim in a header.
type ForwardClaim struct {
	// Path of the claim, as in a requirement.
	Claim string `json:"claim"`
	// Name of the header: letters, digits and hyphens, but not a header that means something to HTTP. The client's own
	// header of that name is removed from every request. Without the claim there is no header. A request whose claim
	// would take more than 8 KiB in the header is refused.
	Header string `json:"header"`
	// How the claim is written. "json": JSON in ASCII. "comma": the elements of a list as they are, with commas between
	// them; a request is refused when an element has a comma or a quote. "base64url": the text of a string, or else the
	// JSON, in base64url without padding. "percent": as by default, but with everything percent-encoded except letters,
	// digits and -._~ of ASCII. Default: strings go as they are, arrays of strings joined by commas, all else as JSON.
	// Characters that could make one claim look like another are percent-encoded in strings: "%", commas, quotes, "[" and
	// "{" at the beginning, and blanks at the ends. With the default and "comma", a request whose claim has a control
	// character is refused.
	As string `json:"as,omitempty"`
}

// ForwardMember gives the backend a member of the JOSE header in a header of its own.
type ForwardMember struct {
	// Path of the member, in the notation of a claim's path.
	Member string `json:"member"`
	// Name of the header, under the rules for that of a claim.
	Header string `json:"header"`
	// How the value is written, as for a claim.
	As string `json:"as,omitempty"`
}

// RouteIntrospect refines the issuers' introspect settings for one route.
type RouteIntrospect struct {
	// When to ask. "force" asks about every token, and needs an introspect block in all issuers. "skip" does not ask about
	// JWTs that were verified here, so a revoked one passes. Default: as each issuer says.
	Mode string `json:"mode,omitempty"`
	// How old a remembered answer may be on this route; 0s asks every time. Default and maximum: the issuer's cache_ttl.
	MaxAge *caddy.Duration `json:"max_age,omitempty"`
}
