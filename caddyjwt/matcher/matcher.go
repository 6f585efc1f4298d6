// Package matcher is the Caddy module http.matchers.bearer: it matches requests by who is calling, for routes behind a
// gate.
package matcher

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/verdict"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

func init() {
	caddy.RegisterModule(new(Matcher))
}

// Matcher matches a request by who is calling, as the last bearer_auth handler before it has found out. What it asks
// must all hold. The rules for scopes, claims, the header and groups are those of "require" in bearer_auth, and its
// scope_implies counts.
//
// A request without an identity does not match: one that came without a token where the gate allows that, a CORS
// preflight, and in error routes one that was refused. Below "not" it does match, so ask there for an identity, too.
//
// A request that no bearer_auth has handled is an error with status 500, also below "not". Who is calling is not known
// then, and either answer could open a route. So put the matcher on directives that run after bearer_auth. Others, such
// as header, redir and rewrite, go behind it in a "route".
type Matcher struct {
	// Scopes that the token must have, all of them, in "scope" or "scp". Default: any. Placeholders are resolved.
	Scopes []string `json:"scopes,omitempty"`
	// Lists of scopes. Of each list, the token must have one scope, in "scope" or "scp". Default: any. Placeholders are
	// resolved.
	AnyScopes [][]string `json:"any_scopes,omitempty"`
	// Claims that the token must have, all of them. Default: any.
	Claims []require.Claim `json:"claims,omitempty"`
	// What the token's JOSE header must have, all of it. Only the header of a JWT that was verified here is known, so no
	// other caller matches. Default: anything.
	Header []require.HeaderMember `json:"header,omitempty"`
	// Groups of which the caller must be in one: by the consumer's groups, or by the "groups" claim of an issuer's token.
	// Default: any. Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
	// What the token must not have. A caller without a token, such as the anonymous consumer, has nothing of it, but
	// matches nothing about the header. Default: nothing is excluded.
	Not *require.Excluded `json:"not,omitempty"`
	// Blocks of alternatives. Of each block, the caller must meet one alternative. A block has at least two. Default:
	// none.
	Any [][]require.Alternative `json:"any,omitempty"`
	// Usernames of consumers, one of which must be calling. The anonymous consumer counts, and so does one that the token
	// of an issuer names (consumer_claim). Default: anybody. Placeholders are resolved.
	Consumers []string `json:"consumers,omitempty"`
	// Names of issuers, one of which must have issued the token, as bearer_auth has them. That of an issuer with "*"
	// stands for all its tenants. The iss of a tenant stands for that tenant alone. A consumer's own token is of none.
	// Default: any. Placeholders are resolved.
	Issuers []string `json:"issuers,omitempty"`

	condition gate.Condition
}

// CaddyModule returns the Caddy module information.
func (*Matcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.bearer",
		New: func() caddy.Module { return new(Matcher) },
	}
}

// Provision checks the settings.
func (m *Matcher) Provision(ctx caddy.Context) (err error) {
	if m.condition, err = m.compile(words.NewSettings()); err != nil {
		return err
	}
	for _, doubt := range m.condition.Doubts("bearer ") {
		ctx.Logger().Warn(doubt)
	}
	return nil
}

// errNoGate is for the log of the operator, who has to change the configuration. Error pages may show it, too.
var errNoGate = errors.New("matcher bearer: no bearer_auth has handled this request, so who is calling is not known; " +
	"put a bearer_auth before the matcher, and both in a \"route\" if Caddy runs the matcher's directive earlier, such " +
	"as header, redir or rewrite")

// MatchWithError reports whether the caller has what the matcher asks. It is an error if no gate has handled the
// request. Caddy answers that with status 500.
func (m *Matcher) MatchWithError(r *http.Request) (bool, error) {
	identity, scopes, handled := verdict.Of(r)
	if !handled {
		return false, caddyhttp.Error(http.StatusInternalServerError, errNoGate)
	}
	return m.condition.Holds(identity, scopes), nil
}

// compile resolves placeholders and checks the settings. An error names the field.
func (m *Matcher) compile(s *words.Settings) (c gate.Condition, err error) {
	asked := require.Requirements{
		Scopes: m.Scopes, AnyScopes: m.AnyScopes, Claims: m.Claims, Header: m.Header, Groups: m.Groups,
		Not: m.Not, Any: m.Any,
	}
	if asked.Empty() && len(m.Consumers) == 0 && len(m.Issuers) == 0 {
		return c, errors.New("matcher bearer asks for nothing: add a scope, claim, group, consumer or issuer; " +
			"whether there is a caller at all is the expression {http.auth.user.id} != null")
	}
	if c.Requirements, _, err = asked.Compile(s, "bearer"); err != nil {
		return c, err
	}
	if c.Consumers, _, err = s.Texts("bearer consumer", m.Consumers); err != nil {
		return c, setting.In("Consumers", err)
	}
	if c.Issuers, _, err = s.Texts("bearer issuer", m.Issuers); err != nil {
		return c, setting.In("Issuers", err)
	}
	return c, c.Validate()
}

// Interface guards.
var (
	_ caddy.Provisioner                 = (*Matcher)(nil)
	_ caddyhttp.RequestMatcherWithError = (*Matcher)(nil)
	_ caddyfile.Unmarshaler             = (*Matcher)(nil)
)
