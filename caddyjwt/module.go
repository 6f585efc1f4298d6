// Package caddyjwt is the Caddy module http.handlers.bearer_auth, with an app and admin routes. Only this package and
// those below it know Caddy. It turns a Caddyfile or JSON into a gate, gives the gate each request, and turns its
// verdict into headers, placeholders or an error for Caddy's error routes.
package caddyjwt

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/doubts"
	"github.com/caddyjwt/gateway/caddyjwt/expiry"
	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/onheader"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/startup"
	"github.com/caddyjwt/gateway/caddyjwt/traffic"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler lets a request through only with a valid OAuth 2.0 access token, for backends that have no authentication of
// their own. It finds the token, verifies it against issuers (remote key sets, files, certificates, secrets) and
// consumer credentials, and checks what the route requires. Then it removes the token and whatever identity the client
// claimed, and tells the backend who is calling. Every other request is refused with the right status and an RFC 6750
// challenge.
//
// Fields whose comment says so resolve the placeholders {env.*} and {file.*} when the configuration loads. A
// placeholder without a value is an error: a check must not vanish because a variable is unset.
//
// Placeholders for other handlers:
//
// Placeholder | Description
// ------------|------------
// `{http.auth.user.id}` | the consumer's username, else the token's `sub`; also the access log's `user_id`
// `{http.auth.user.<claim>}` | a claim, by path, with its own type
// `{http.auth.bearer.issuer}` | the issuer of the accepted token, as configured
// `{http.auth.bearer.alg}`, `kid`, `typ` | of the JOSE header of a JWT that was verified here
// `{http.auth.bearer.enc}` | how the token was encrypted, such as A256GCM; empty if it was not
// `{http.auth.bearer.header.<path>}` | a member of that header, by path, with its own type
// `{http.auth.bearer.token}` | with "expose_token": the accepted token; secret
// `{http.auth.bearer.reason}` | in error routes: why the request was refused, such as `expired`; not for clients
// `{http.auth.bearer.error}` | in error routes: the error code that the client gets, such as `invalid_token`
// `{http.auth.bearer.error_description}` | in error routes: its description
// `{http.auth.bearer.mcp.method}` | with "mcp": the method of the message, such as `tools/call`
// `{http.auth.bearer.mcp.tool}` | with "mcp": the tool that `tools/call` runs
//
// Behind the gate all of them are known, whatever the outcome. One without a value is empty in a text, and null in an
// expression.
type Handler struct {
	// What the gate is called in metrics, in the admin API and by "explain": 1 to 64 letters, digits and "-_.", at least
	// one of which is no digit. Gates with one name are counted together. Default: its number in the configuration, which
	// changes when gates before it come or go.
	Name string `json:"name,omitempty"`
	// Name of the protection space, shown in challenges: printable ASCII, at most 256 characters. Default: "api".
	// Placeholders are resolved.
	Realm string `json:"realm,omitempty"`
	// Where a token may be. A request must have exactly one token, in one place. Default: only the header Authorization
	// with the scheme Bearer.
	TokenFrom []TokenPlace `json:"token_from,omitempty"`
	// The longest token in bytes, at most 1048576 (1 MiB). Default: 16384 (16 KiB). Caddy's own limit on request headers
	// (server option max_header_bytes) may be lower.
	MaxTokenSize int `json:"max_token_size,omitempty"`
	// Audiences of which the "aud" of every token on this route must contain one, compared exactly. Every issuer needs an
	// audience, here or its own; consumers may go without. Default: the URL of resource, if there is one and no issuer
	// says an audience; otherwise any audience satisfies the route. Placeholders are resolved.
	Audience []string `json:"audience,omitempty"`
	// Accept tokens whatever their audience. Dangerous: a token that the same authorization server issued for any other
	// service opens this one too (RFC 9068 section 4). Not together with audience.
	AnyAudience bool `json:"any_audience,omitempty"`
	// What the gate guards, as clients know it (RFC 9728). Its challenges then say where the metadata of the resource is,
	// from which a client learns where to get a token. A handler protected_resource serves that metadata. Default: none;
	// clients must know all that.
	Resource *Resource `json:"resource,omitempty"`
	// Show clients of older revisions of MCP the metadata of the authorization server, too: at the path
	// /.well-known/oauth-authorization-server of the resource's host, where they look for it. Needs resource. Default:
	// they get 401 there, as for every other path of the gate.
	AuthServerMetadata *protected.ServerMetadata `json:"auth_server_metadata,omitempty"`
	// How far an issuer's clock may be from ours, for "exp", "nbf" and "iat": 0s to 5m. Default: 5s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`
	// The longest life that a token may have, from "iat" to "exp" and from now to "exp". Such a token must have "iat".
	// Default: no bound.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`
	// Authorization servers whose tokens are accepted. Default: none; then a consumer must have a credential.
	Issuers []issuers.Issuer `json:"issuers,omitempty"`
	// Consumers whose tokens are accepted. Default: none.
	Consumers []consumers.Consumer `json:"consumers,omitempty"`
	// Further consumers, from a file that is followed while Caddy runs. Usernames and credential keys are unique among
	// these and Consumers together. Default: none.
	ConsumersFrom *consumers.From `json:"consumers_from,omitempty"`
	// How clients prove that they have the key to which their token is bound (cnf): DPoP proofs (RFC 9449), client
	// certificates (RFC 8705), or both. Default: tokens that are bound to a key are refused.
	Proof *proofs.Config `json:"proof,omitempty"`
	// The header in which a trusted proxy that ends TLS hands over the client's certificate. Needs proof with "mtls" or
	// "any". Default: only the certificate of the connection counts.
	ClientCertHeader *proofs.CertificateHeader `json:"client_cert_header,omitempty"`
	// A profile that the gate keeps. "fapi2": what the FAPI 2.0 Security Profile demands of a resource server. Tokens come
	// only in the header Authorization, over TLS, and are bound to a key: as proof says, or in any way if it is not there.
	// Tokens and proofs are signed with PS256, ES256 or EdDSA (Ed25519). Settings that contradict it are an error. It also
	// demands that revoked tokens are refused: that needs a store or introspection. Default: none.
	Profile string `json:"profile,omitempty"`
	// Refuse tokens that came over http without TLS. A good one is a warning in the log: others may have read it, so it
	// should be revoked. Behind a proxy that ends TLS, the proxy must be one that Caddy trusts (trusted_proxies) and must
	// send X-Forwarded-Proto. Default: how tokens come does not matter.
	RequireTLS bool `json:"require_tls,omitempty"`
	// The claim whose value selects a consumer's credential, in the payload or else in the JOSE header. If a credential
	// has that value, it verifies the token; otherwise the issuer that "iss" names does. A name, not a path; only with
	// consumers. Default: "iss". Placeholders are resolved.
	KeyClaim string `json:"key_claim,omitempty"`
	// What this route requires of an accepted token. One that does not have it is refused with 403 insufficient_scope.
	// Default: nothing beyond being accepted.
	Require *require.Requirements `json:"require,omitempty"`
	// Which scopes imply others, here and for matchers behind this gate: a token with the broad scope counts as one that
	// has the narrow ones, and those that they imply in turn. Claims stay as they are. No scope may imply itself, and
	// there are at most 512 pairs. Default: none.
	ScopeImplies []require.Implication `json:"scope_implies,omitempty"`
	// Claims that the backend gets in headers. Default: none; the backend then learns nothing from an issuer's token.
	ForwardClaims []ForwardClaim `json:"forward_claims,omitempty"`
	// Members of the token's JOSE header that the backend gets in headers. Only the header of a JWT that was verified here
	// counts: without one there is no such header. Members that name or contain keys (jku, jwk, x5u, x5c) are texts like
	// all others, and nobody has checked them. Default: none.
	ForwardHeader []ForwardMember `json:"forward_header,omitempty"`
	// Name of a header that gives the backend all claims at once: the token's payload, or the introspection answer about
	// an opaque token, as base64url without padding (RFC 7515 section 2). The rules for its name are those for a claim's
	// header. A request whose payload takes more than 8 KiB there, which is 6 KiB of JSON, is refused. Default: none.
	ForwardPayload string `json:"forward_payload,omitempty"`
	// Pad the base64url of forward_payload with "=", for backends whose decoders want that. Default: no padding.
	PadPayload bool `json:"pad_payload,omitempty"`
	// Which headers about consumers the backend gets: some of X-Consumer-ID, X-Consumer-Custom-ID, X-Consumer-Username,
	// X-Consumer-Groups, X-Credential-Identifier and X-Anonymous-Consumer, or "off" alone for none. A client can set none
	// of them, whatever the list says. Without X-Anonymous-Consumer the backend cannot tell the anonymous consumer from a
	// caller with a token. Needs a consumer, or an issuer with username_claim. Default: all.
	ConsumerHeaders []string `json:"consumer_headers,omitempty"`
	// Name of a header that gives the backend the tenant: what "*" stands for in the token's "iss". Two tenants of one
	// server can have users with the same "sub", so a backend that gets the "sub" needs the tenant, too. The rules for its
	// name are those for a claim's header. Only with an issuer that has "*". Default: none.
	ForwardTenant string `json:"forward_tenant,omitempty"`
	// Leave the token in the request. Default: it is removed from every configured place, because whoever has a token
	// can use it.
	ForwardToken bool `json:"forward_token,omitempty"`
	// Give handlers behind the gate the token of an accepted request, as the placeholder {http.auth.bearer.token}, for one
	// that calls another service with it. It is there also when the token was removed from the request. Dangerous: whoever
	// gets it can use it, and whatever prints the placeholder keeps it. So do not log it, and send it in Authorization,
	// which Caddy keeps out of its logs. Default: the placeholder is empty.
	ExposeToken bool `json:"expose_token,omitempty"`
	// Let a request without any token pass, unidentified: the backend must not take it for an authenticated one. A bad
	// token never passes. Not together with require or anonymous. Default: a request without a token is refused.
	Optional bool `json:"optional,omitempty"`
	// Let a token in a cookie count as none once it has expired: browsers send a cookie until somebody deletes it. Every
	// other rule holds, so a token that was never good here is refused. Elsewhere an expired token is refused, too. Needs
	// optional, and a cookie in token_from. The token is removed even with forward_token. Default: it is refused.
	OptionalExpired bool `json:"optional_expired,omitempty"`
	// Let a request without any token pass as the consumer with this username. The consumer must exist and meet require.
	// Everybody can be this consumer. A bad token never passes. Default: a request without a token is refused.
	// Placeholders are resolved.
	Anonymous string `json:"anonymous,omitempty"`
	// Let a genuine CORS preflight pass: OPTIONS with one Origin and one Access-Control-Request-Method, and without a
	// body, Authorization, Cookie, Upgrade, Expect and other headers that token_from names. It gets no identity, and loses
	// fields that name another method, such as X-HTTP-Method-Override. Default: a preflight needs a token, and browsers do
	// not send one with it.
	AllowPreflight bool `json:"allow_preflight,omitempty"`
	// Let pages of other origins send requests and read the answers, refusals with their challenges included (CORS). The
	// gate then answers genuine preflights itself, and decides alone about the fields of CORS: those of a backend are
	// replaced. Not together with allow_preflight. Default: the gate sends no such fields, and leaves those of the backend
	// as they are.
	CORS *cors.Config `json:"cors,omitempty"`
	// "off" accepts a token in a cookie whatever page has sent the request. Dangerous: a page of any site can then act as
	// whoever looks at it, unless the cookie has SameSite=Strict. Default: when the token is in a cookie, a request that
	// may change something must not come from a page of another origin, unless cors names that origin and has credentials.
	// GET, HEAD and OPTIONS pass, but not an upgrade such as to WebSocket.
	OriginCheck string `json:"origin_check,omitempty"`
	// What the body of a refusal is. "problem": problem details of RFC 9457, as application/problem+json,
	// application/json or text/plain, by the request's Accept. They tell what the challenge tells. The gate then writes
	// the whole answer, so handle_errors does not run, and http.log.error has no line about it. HEAD and gRPC requests get
	// no body. Default: no body, unless an error route writes one.
	ErrorFormat string `json:"error_format,omitempty"`
	// Paths whose requests need no token, such as "/" or "/healthz", or everything below one: "/assets/*". Such a request
	// passes unidentified with any method and query, also where require asks for something. It loses the identity that
	// the client claims, a token in a configured place, which is not judged, and fields that name another path or method.
	// The path is the one after rewrites. It must be written exactly so, in letters, digits and -._~@/, and the target
	// that the client sent must also be plain. Any other spelling needs a token. Placeholders are not resolved. Default:
	// none.
	Public []string `json:"public,omitempty"`
	// End responses that outlive their token. "streams": WebSockets and other upgraded connections, and responses of the
	// type text/event-stream, end when the token expires, leeway included. "all": every response ends then; one that is
	// not a stream is cut off, so that it looks incomplete, and a GET that has no response yet gets 401. A token that
	// never expires ends nothing. Default: what has begun goes on.
	EndAtExpiry string `json:"end_at_expiry,omitempty"`
	// Rights of MCP clients by tool and method. Then every request of this handler must be one of MCP's streamable HTTP
	// transport: POST with exactly one JSON-RPC message of at most 1 MiB, or GET or DELETE without a body. All else is
	// refused. The message goes on as it came, and answers are not touched. Default: bodies are not looked at.
	MCP *rights.Rights `json:"mcp,omitempty"`
	// Refine, for this route, when issuers are asked about tokens. Default: as each issuer says.
	Introspect *RouteIntrospect `json:"introspect,omitempty"`
	// Memory for verified tokens in bytes, at least 65536; -1 turns the cache off. A token is kept when it is seen for the
	// second time. All handlers with the same size share one cache, which survives configuration reloads. Default:
	// 33554432 (32 MiB).
	CacheSize int64 `json:"cache_size,omitempty"`

	resource   string        // its identifier; empty for none
	gate       *gate.Gate    // for everything except Check: see ask
	messages   *rights.Judge // nil without mcp
	leases     *pool.Leases[*gate.Gate]
	mirrors    protected.Mirrors // of auth_server_metadata
	logouts    []*pool.Leases[backchannel.Open]
	endEvents  func() // about keys, for Cleanup
	noOwners   func() // takes the gate's owners back from the app's revocations
	notInForce func() // takes the gate back from the app's startup and its list of gates
	ending     *expiry.Ending
	revoked    gate.Revocations // nil without a store
	// subprotocols mark a token in the opening of a WebSocket; nil without such a place.
	subprotocols bearer.Subprotocols
	cors         *cors.Policy // nil without the word
	log          *reporter
	shared       *process.State // with all handlers of the process
	gates        *inforce.Gates // of the configuration
	counts       atomic.Pointer[traffic.Counts]
}

// CaddyModule returns the Caddy module information. Caddy calls it for every event, even during Cleanup, so it must not
// copy the handler.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.bearer_auth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision builds the gate. It touches no network: keys and metadata are fetched when first needed, or once
// the configuration is in force.
func (h *Handler) Provision(ctx caddy.Context) error {
	if h.shared == nil {
		h.shared = process.Shared()
	}
	h.log = newReporter(ctx.Logger())
	h.log.warnings, h.log.configuration = h.shared.Warnings, process.ConfigurationOf(ctx)
	h.shared.Log.Loading(ctx)
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	built, err := h.compile(words.NewSettings())
	if err != nil {
		return err
	}
	for _, issuer := range built.manyTenants() {
		h.log.patterns = append(h.log.patterns, issuer.Tenants.Pattern)
	}
	if err := h.registerResource(ctx, app, built); err != nil {
		return err
	}
	h.cors = built.cors
	if h.revoked, built.config.OnlyLocalRevoked, err = app.revocations.ForGate(built.hasLocal()); err != nil {
		return err
	}
	if err := h.checkStore(built); err != nil {
		return err
	}
	built.config.Revocations, built.config.Watched = h.revoked, h.EndAtExpiry != ""
	if built.config.Proof, err = app.proofs.Open(built.proof, h.shared.Proofs, &app.revocations); err != nil {
		return setting.In("Proof.Replay", err)
	}
	o := opener{built, issuers.Opener{Shared: h.shared, PrefetchAll: app.Prefetch, Local: &app.local}}
	if h.leases, err = pool.Begin(h.shared.Pool, o.open, h.log.failedToClose); err != nil {
		return err
	}
	if h.cors != nil {
		onheader.PrepareErrorRoutes(ctx)
	}
	h.gate = h.leases.Ours().Value
	h.noOwners = app.revocations.AddOwners(h.gate.Owners())
	h.messages = built.messages
	h.subprotocols = bearer.SubprotocolsOf(built.config.Extractor.Places())
	h.ending = h.newEnding()
	if err := h.offerServer(app, o); err != nil {
		return err
	}
	if err := h.receiveLogouts(app, o); err != nil {
		return err
	}
	if h.endEvents, err = h.shared.Events.Listen(ctx, &h.leases.Ours().Lease); err != nil {
		return err
	}
	if err := h.shared.Metrics.Register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	doubts.Of(h.doubtful(ctx, built), h.log.warn)
	notStarted := app.startup.Add(startup.Gate{
		Logger: h.log.logger, Line: o.summary(ctx, h.Name, h.leases.Ours().Consumers()), Prefetch: h.prefetched(o),
	})
	h.gates = &app.gates
	notListed := h.gates.Add(h.listed(ctx, built))
	h.notInForce = func() { notStarted(); notListed() }
	return nil
}

// Cleanup gives back what Provision took, even if Provision failed half-way. Caddy does not wait for requests, so what
// they still ask is closed after the last one has its verdict.
func (h *Handler) Cleanup() error {
	if h.endEvents != nil {
		h.endEvents()
		h.endEvents = nil
	}
	if h.notInForce != nil {
		h.notInForce()
		h.notInForce = nil
	}
	if h.noOwners != nil {
		h.noOwners()
		h.noOwners = nil
	}
	if h.log != nil {
		h.log.tally.close()
	}
	err := errors.Join(h.leases.End(), h.mirrors.End())
	for _, receiver := range h.logouts {
		err = errors.Join(err, receiver.End())
	}
	return err
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
	_ protected.Gate              = (*Handler)(nil)
)
