// Package applications has the settings of the applications of a token issuer: what users sign in for. It checks them,
// and makes the further claims of their access tokens.
package applications

import "github.com/caddyserver/caddy/v2"

// App is an application, that is, everything below a path.
type App struct {
	// Path that the application's addresses begin with, such as "/api/orders/", as clients send it. The addresses of this
	// handler are below it, and an access token is good below it alone. Placeholders are not resolved.
	Path string `json:"path"`
	// The claim aud of the access tokens. Default: the name of the issuer. Placeholders are resolved.
	Audience []string `json:"audience,omitempty"`
	// How long an access token lives: whole seconds, from 10s to 24h. Default: 60s.
	AccessLifetime caddy.Duration `json:"access_lifetime,omitempty"`
	// How long a refresh token is good for its one use, and so how long a session lives without a request: not less than
	// access_lifetime, at most 90 days. Default: 15m.
	RefreshLifetime caddy.Duration `json:"refresh_lifetime,omitempty"`
	// How long a session lasts at most, however often it is refreshed: not less than refresh_lifetime, at most 365 days.
	// Default: 24h, or refresh_lifetime if that is longer.
	SessionLifetime caddy.Duration `json:"session_lifetime,omitempty"`
	// How long a refresh token that was just used gets the same new pair once more, until that is used: at most 1m. It is
	// for pages in two tabs, and for answers that got lost. Whoever has stolen the old token can use it for as long, too:
	// it is a window for replay. Default: 0s, which ends the session when a refresh token comes for the second time.
	Grace caddy.Duration `json:"grace,omitempty"`
	// Sessions that end together at logout, as Group-By-ID of InterSystems IRIS has it. Default: each one alone.
	GroupBy *GroupBy `json:"group_by,omitempty"`
	// Names of the addresses below the path. Default: login, refresh, logout and revoke.
	Endpoints *Endpoints `json:"endpoints,omitempty"`
	// Make answers and tokens more like those of others. "oauth" adds token_type and expires_in to the answer. "iris"
	// gives access tokens the typ "JWT" in place of "at+jwt" (RFC 9068). Default: neither.
	Compat string `json:"compat,omitempty"`
	// Further claims of access tokens, by name. They take the place of those of users. Placeholders are resolved at each
	// sign-in and refresh; of those of requests, clients may choose what they are, and only http.vars, http.auth and
	// http.request.remote are possible. One that becomes empty is left out. At most 16, with up to 1 KiB each. Default:
	// none.
	Claims map[string]string `json:"claims,omitempty"`
	// Further members of the JOSE header of access tokens, with their texts. They cannot have a name that RFC 7515, 7516
	// or 7797 gives a meaning. At most 8, with 2 KiB in sum. Default: none.
	Header map[string]string `json:"header,omitempty"`
}

// Endpoints are names of addresses below the path of an application: letters, digits and -._~@.
type Endpoints struct {
	// Where users sign in. Default: "login".
	Login string `json:"login,omitempty"`
	// Where a refresh token gets a new pair. Default: "refresh".
	Refresh string `json:"refresh,omitempty"`
	// Where a session ends. Default: "logout".
	Logout string `json:"logout,omitempty"`
	// Where a pair ends. Default: "revoke".
	Revoke string `json:"revoke,omitempty"`
}

// GroupBy says which sessions end together.
type GroupBy struct {
	// A claim: sessions whose users have the same value end together. "sub" has all sessions of a user end.
	Claim string `json:"claim,omitempty"`
	// A cookie, which login sets if the browser has none: all sessions that one browser has begun end together, in
	// whatever application of the issuer. Its name is one such as "__Host-group".
	Cookie string `json:"cookie,omitempty"`
}
