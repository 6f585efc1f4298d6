// Package caddyjwt is the Caddy module http.handlers.bearer_auth, with an app and admin routes. Only this package and
// those below it know Caddy. It turns a Caddyfile or JSON into a gate, gives the gate each request, and turns its
// verdict into headers, placeholders or an error for Caddy's error routes.
package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler lets a request through only with a valid OAuth 2.0 access token, for backends that have no authentication of
// their own. It finds the token, verifies it against issuers (remote key sets, files, certificates, secrets) and
// consumer credentials, checks what the route requires, removes the token and whatever identity the client claimed, and
// tells the backend who is calling. Everything else is refused with the right status and an RFC 6750 challenge.
//
// Fields whose comment says so resolve the placeholders {env.*} and {file.*} when the configuration loads. One that
// gives nothing is an error: a check must not vanish because a variable is unset.
//
// Placeholders for other handlers:
//
// Placeholder | Description
// ------------|------------
// `{http.auth.user.id}` | the consumer's username, else the token's `sub`; also the access log's `user_id`
// `{http.auth.user.<claim>}` | a claim, by path, with its own type
// `{http.auth.bearer.issuer}` | the issuer of the accepted token, as configured
// `{http.auth.bearer.reason}` | in error routes: why the request was refused, such as `expired`
//
// Behind the gate all of them are known, on every outcome: empty in a text and null in an expression where there is no
// value.
type Handler struct {
	// Name of the protection space, shown in challenges: printable ASCII, at most 256 characters. Default: "api".
	// Placeholders are resolved.
	Realm string `json:"realm,omitempty"`
	// Where a token may be; a request must have exactly one, in one place. Default: the header Authorization with the
	// scheme Bearer, and nothing else.
	TokenFrom []TokenPlace `json:"token_from,omitempty"`
	// The longest token in bytes, at most 1048576 (1 MiB). Default: 16384. Caddy's own limit on request headers (server
	// option max_header_bytes) may be lower.
	MaxTokenSize int `json:"max_token_size,omitempty"`
	// Audiences of which the "aud" of every token on this route must contain one, compared exactly. Issuers need an
	// audience, here or their own; consumers may go without. Default: nothing is asked. Placeholders are resolved.
	Audience []string `json:"audience,omitempty"`
	// Accept tokens whatever their audience. Dangerous: a token that the same authorization server issued for any other
	// service opens this one too (RFC 9068 section 4). Not together with audience.
	AnyAudience bool `json:"any_audience,omitempty"`
	// The difference between an issuer's clock and ours that is forgiven, for "exp", "nbf" and "iat": 0s to 5m. Default:
	// 5s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`
	// The longest life that a token may have, from "iat" to "exp" and from now to "exp". "iat" must be there then.
	// Default: no bound.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`
	// Authorization servers whose tokens are accepted. Default: none; then there must be a consumer with a credential.
	Issuers []Issuer `json:"issuers,omitempty"`
	// Consumers whose tokens are accepted. Default: none.
	Consumers []Consumer `json:"consumers,omitempty"`
	// The claim whose value selects a consumer's credential: looked for in the payload, then in the JOSE header. Such a
	// token goes to the consumer; others go to the issuer that "iss" names. A name, not a path; only with consumers.
	// Default: "iss". Placeholders are resolved.
	KeyClaim string `json:"key_claim,omitempty"`
	// What this route requires of an accepted token. Default: nothing beyond being accepted.
	Require *Requirements `json:"require,omitempty"`
	// Claims to tell the backend in headers. Default: none; of an issuer's token the backend learns nothing then.
	ForwardClaims []ForwardClaim `json:"forward_claims,omitempty"`
	// Name of a header that tells the backend all claims at once: the token's payload, or the introspection answer about
	// an opaque token, as base64url without padding (RFC 7515 section 2). The rules for names are those of a claim's
	// header. A payload that needs more than 8 KiB there, which is 6 KiB of JSON, refuses the request. Default: none.
	ForwardPayload string `json:"forward_payload,omitempty"`
	// Leave the token in the request. Default: it is removed from every configured place, because whoever has a token
	// can use it.
	ForwardToken bool `json:"forward_token,omitempty"`
	// Let a request without any token pass, unidentified: the backend must not take it for an authenticated one. A bad
	// token never passes. Not together with require or anonymous. Default: it is refused.
	Optional bool `json:"optional,omitempty"`
	// Let a request without any token pass as the consumer with this username, who must exist and bring what require asks
	// for: everybody is this consumer. A bad token never passes. Default: it is refused. Placeholders are resolved.
	Anonymous string `json:"anonymous,omitempty"`
	// Let a genuine CORS preflight pass: OPTIONS with one Origin and one Access-Control-Request-Method, without
	// Authorization, Cookie, other headers that token_from names, Upgrade, Expect and a body. It gets no identity, and
	// loses fields that name another method, such as X-HTTP-Method-Override. Default: it needs a token, which browsers do
	// not send with it.
	AllowPreflight bool `json:"allow_preflight,omitempty"`
	// Refine, for this route, when issuers are asked about tokens. Default: as each issuer says.
	Introspect *RouteIntrospect `json:"introspect,omitempty"`
	// Memory for verified tokens in bytes, at least 65536; -1 turns the cache off. A token is kept from the second time on
	// that it is seen. All handlers with the same size share one cache, which survives configuration reloads. Default:
	// 33554432 (32 MiB).
	CacheSize int64 `json:"cache_size,omitempty"`

	gate      *gate.Gate // for everything but Check, which asks: see ask
	leases    *pool.Leases[*gate.Gate]
	endEvents func() // about keys, for Cleanup
	log       *reporter
	shared    *process.State // with all handlers of the process
}

// CaddyModule returns the Caddy module information. It is asked for with each event, also while Cleanup is under way;
// so it does not copy the handler.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.bearer_auth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision builds the gate. It touches no network: keys and metadata are fetched when first needed.
func (h *Handler) Provision(ctx caddy.Context) error {
	if h.shared == nil {
		h.shared = process.Shared()
	}
	h.log = newReporter(ctx.Logger())
	h.log.warnings, h.log.configuration = h.shared.Warnings, process.ConfigurationOf(ctx)
	h.shared.Log.Loading(ctx)
	built, err := h.compile(words.NewSettings())
	if err != nil {
		return err
	}
	if h.leases, err = pool.Begin(h.shared.Pool, opener{built, h.shared}.open, h.log.failedToClose); err != nil {
		return err
	}
	h.gate = h.leases.Ours().Value
	if h.endEvents, err = h.shared.Events.Listen(ctx, &h.leases.Ours().Lease); err != nil {
		return err
	}
	if err := h.shared.Metrics.Register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	h.warnOfExample()
	h.warnOfOtherKinds(built)
	h.warnOfSecrets(built)
	h.warnOfDroppedPlaces(ctx, built)
	return nil
}

// exampleSecret is the secret in Caddyfile.example, which everybody knows.
const exampleSecret = "only-for-trying-out-0123456789abcdef"

// warnOfExample says so when the example has become somebody's configuration.
func (h *Handler) warnOfExample() {
	for _, consumer := range h.Consumers {
		for _, credential := range consumer.Credentials {
			if credential.Secret == exampleSecret {
				h.log.warn("the secret of the example is in use: anybody can make tokens for this consumer; "+
					"make your own with \"openssl rand -hex 32\"", zap.String("consumer", consumer.Username))
			}
		}
	}
}

// warnOfOtherKinds says so when nothing in an issuer's block tells its access tokens from its other tokens.
func (h *Handler) warnOfOtherKinds(built *compiled) {
	for i := range built.plans {
		if warning := built.otherKindsWarning(&built.plans[i]); warning != "" {
			h.log.warn(warning, zap.String("issuer", built.plans[i].issuer.Name))
		}
	}
}

// Cleanup gives back what Provision took, also when Provision failed half-way. What requests are waiting for is closed
// with the verdict of the last one: Caddy does not wait for requests.
func (h *Handler) Cleanup() error {
	if h.endEvents != nil {
		h.endEvents()
		h.endEvents = nil
	}
	if h.log != nil {
		h.log.tally.close()
	}
	return h.leases.End()
}

// ServeHTTP lets the request through or refuses it. Whatever comes of it, the request loses the token and what the
// client claimed to be: an error route may have a backend, too.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	verdict, err := h.decide(w, r)
	unread := r.ContentLength != 0 && !bearer.HasRead(r) // told now, before strip wraps the body
	h.strip(r)
	if err == nil && !verdict.Passes() {
		err = gate.InternalError
	}
	if err == nil && verdict.Identity != nil {
		err = h.gate.Annotate(r, verdict.Identity)
	}
	if err != nil {
		if unread {
			limitReading(w, refusedBodyTimeout)
		}
		endTrailers(w, r)
		return h.refuse(w, r, err)
	}
	h.shared.Metrics.Pass(verdict.Outcome)
	publish(r, verdict.Identity)
	if err := h.serve(w, r, next, verdict); err != nil {
		endTrailers(w, r)
		return err
	}
	return nil
}

// serve lets the request through.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, verdict gate.Verdict) error {
	if verdict.Outcome != gate.Accepted || verdict.InAuthorization {
		return next.ServeHTTP(w, r)
	}
	private := keepPrivate(w)
	err := next.ServeHTTP(private, r)
	private.mark() // an answer that is still to come: an empty one, or that of an error route
	return err
}

// formTimeout is how long a client may take to send a form that may hold its token.
const formTimeout = 10 * time.Second

// refusedBodyTimeout is for how long a refused client may go on sending its request's body: the server reads some of
// what has not been read before it sends the answer, and must not wait for a client that does not send any. Once an
// error route has read the body to its end, net/http takes the deadline away.
const refusedBodyTimeout = time.Second

// maxTrailedBody is how much is read of a body before trailers that an error route must not see: as much as the server
// reads of one that nobody has read.
const maxTrailedBody = 256 << 10

// endTrailers has the body end before an error route looks at the request. It is the end of the body that takes names
// out of the trailers; but behind a handler that passes on a copy of the request, such as tracing or forward_auth, the
// error route gets the one that was copied, with the same trailers and another body. So there is none for it when there
// are trailers.
func endTrailers(w http.ResponseWriter, r *http.Request) {
	if r.Trailer == nil || r.Body == nil {
		return
	}
	limitReading(w, refusedBodyTimeout)
	if _, err := io.CopyN(io.Discard, r.Body, maxTrailedBody); !errors.Is(err, io.EOF) {
		_ = r.Body.Close() // too long or too slow: the connection ends with this request
	}
	limitReading(w, 0)
}

// decide asks the gate. When that means to read a form, the client has a deadline: nothing else would wake up a read
// from one that has fallen silent. Nothing may be left of it when the body has been read: the server watches the
// connection then, and would take the deadline for the client's end.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request) (gate.Verdict, error) {
	if !h.gate.ReadsBody(r) {
		return h.ask(r)
	}
	limitReading(w, formTimeout)
	verdict, err := h.ask(r)
	if err == nil || bearer.HasRead(r) {
		limitReading(w, 0)
	}
	return verdict, err
}

// limitReading gives the client a deadline for what it still sends; 0 is none. Where it cannot be set there is no need:
// HTTP/3 has limits of its own.
func limitReading(w http.ResponseWriter, limit time.Duration) {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	_ = http.NewResponseController(w).SetReadDeadline(deadline)
}

// strip removes what must not travel on from the request, and the token from the original target that Caddy keeps for
// error routes, placeholders and FastCGI. Caddy keeps that target by value, so the request gets a context with another
// one. A handler before the gate, such as tracing, may have passed on a copy of the request. Caddy still evaluates the
// placeholder of the target against the first request, so strip sets the placeholder by name, too.
func (h *Handler) strip(r *http.Request) {
	h.gate.Strip(r)
	if !h.gate.TakesQuery() {
		return
	}
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return
	}
	text := original.RequestURI
	repl, known := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if known {
		if told, ok := repl.GetString(originalURI); ok {
			text = told // from which another gate may have taken its token already
		}
	}
	text, changed := h.gate.StripTarget(original.URL, text)
	if !changed {
		return
	}
	if known {
		repl.Set(originalURI, text)
	}
	original.RequestURI = text
	*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
}

// originalURI is the placeholder for the original request line.
const originalURI = "http.request.orig_uri"

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
