package kong

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
)

// A protection is who may send requests to a route.
type protection struct {
	gate       string   // the block bearer_auth; empty if everybody may
	who        callers  // who may
	why        []string // what could not be converted: the route stays closed
	hideGroups bool     // the backend does not see the groups
}

// jwtConfig is the config of the plugin jwt.
type jwtConfig struct {
	URIParamNames     []string        `yaml:"uri_param_names"`
	CookieNames       []string        `yaml:"cookie_names"`
	HeaderNames       []string        `yaml:"header_names"`
	KeyClaimName      string          `yaml:"key_claim_name"`
	SecretIsBase64    bool            `yaml:"secret_is_base64"`
	ClaimsToVerify    []string        `yaml:"claims_to_verify"`
	Anonymous         string          `yaml:"anonymous"`
	RunOnPreflight    bool            `yaml:"run_on_preflight"`
	MaximumExpiration float64         `yaml:"maximum_expiration"`
	Realm             string          `yaml:"realm"`
	Unknown           deckfile.Fields `yaml:",inline"`
}

// mostSeconds is the most that Kong accepts as maximum_expiration: a year.
const mostSeconds = 31_536_000

// aclConfig is the config of the plugin acl.
type aclConfig struct {
	Allow              []string        `yaml:"allow"`
	Deny               []string        `yaml:"deny"`
	HideGroupsHeader   bool            `yaml:"hide_groups_header"`
	AlwaysUseGroups    bool            `yaml:"always_use_authenticated_groups"`
	WithConsumerGroups bool            `yaml:"include_consumer_groups"`
	Unknown            deckfile.Fields `yaml:",inline"`
}

// protectionOf converts the plugins of the route at a place.
func (c *converter) protectionOf(route int) protection {
	p := protection{who: callers{kind: everybody}}
	var jwt *jwtConfig
	var acl *aclConfig
	for _, plugin := range c.pluginsOf(route) {
		switch plugin.Name {
		case "jwt":
			jwt = &jwtConfig{
				URIParamNames: []string{"jwt"}, HeaderNames: []string{"authorization"}, KeyClaimName: "iss",
				RunOnPreflight: true,
			}
			p.read(plugin, jwt, &jwt.Unknown)
		case "acl":
			acl = new(aclConfig)
			p.read(plugin, acl, &acl.Unknown)
		default:
			if _, harmless := pluginsThatRefuseNobody[plugin.Name]; !harmless {
				p.why = append(p.why, fmt.Sprintf("plugin %q", plugin.Name))
			}
		}
	}
	switch {
	case jwt != nil:
		c.guard(&p, *jwt, acl)
	case acl != nil:
		p.why = append(p.why, "plugin acl without the plugin jwt")
	}
	return p
}

// read reads the config of a plugin, and what is unknown about it.
func (p *protection) read(plugin deckfile.Plugin, into any, unknown *deckfile.Fields) {
	p.why = append(p.why, worksEverywhere(plugin)...)
	if plugin.Config.Kind == 0 || plugin.Config.Tag == "!!null" {
		return
	}
	if err := decode(plugin.Config, into); err != nil {
		p.why = append(p.why, fmt.Sprintf("plugin %s: %v", plugin.Name, err))
	}
	for _, name := range unknown.Names() {
		p.why = append(p.why, fmt.Sprintf("plugin %s: the parameter %q", plugin.Name, name))
	}
}

// decode reads an object. Members that are null have their defaults.
func decode(n yaml.Node, into any) error {
	members := map[string]yaml.Node{}
	if err := n.Decode(&members); err != nil {
		return err
	}
	for name, value := range members {
		if value.Tag == "!!null" {
			delete(members, name)
		}
	}
	var without yaml.Node
	if err := without.Encode(members); err != nil {
		return err
	}
	return without.Decode(into)
}

// guard writes the gate.
func (c *converter) guard(p *protection, jwt jwtConfig, acl *aclConfig) {
	var rules, who caddytext.Writer
	snippet := c.consumersFor(jwt.SecretIsBase64)
	rules.Line("import", snippet)
	c.places(p, &rules, jwt)
	if jwt.KeyClaimName != "iss" {
		p.line(&rules, "key_claim", jwt.KeyClaimName)
	}
	c.rules(p, &rules, jwt)
	if !jwt.RunOnPreflight && acl == nil { // acl refuses a preflight, which has no consumer
		rules.Line("allow_preflight")
	}
	p.who = callers{kind: consumers, rules: rules.String()}
	if jwt.Realm != "" {
		p.line(&who, "realm", jwt.Realm)
	}
	if acl != nil {
		c.groups(p, &who, *acl)
	}
	if jwt.Anonymous != "" {
		p.who.anonymous = jwt.Anonymous
		c.anonymous(p, &who, jwt.Anonymous)
	}
	var w caddytext.Writer
	w.Block(func() {
		w.Lines(rules.String())
		w.Lines(who.String())
	}, "bearer_auth")
	p.gate = w.String()
	if !c.verifies[snippet] {
		p.why = append(p.why, "no consumer's credential was converted")
		return
	}
	if err := c.gateLoads(w.Inside()); err != nil && len(p.why) == 0 {
		p.why = append(p.why, fmt.Sprintf("the gate does not load: %v", err))
	}
}

// gateLoads is the error with which a gate would not load. Many routes have the same gate.
func (c *converter) gateLoads(inside string) error {
	err, tried := c.tried[inside]
	if !tried {
		err = loads(c.expanded(inside))
		c.tried[inside] = err
	}
	return err
}

func pick[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}

// line writes a word with its values.
func (p *protection) line(w *caddytext.Writer, word string, values ...string) {
	if err := w.Values(word, values...); err != nil {
		p.why = append(p.why, fmt.Sprintf("plugin jwt or acl: %v", err))
	}
}

// places writes where the token may be. In each header, Kong wants the word Bearer before it.
func (c *converter) places(p *protection, w *caddytext.Writer, jwt jwtConfig) {
	for _, name := range jwt.HeaderNames {
		p.line(w, "token_from header", name, "Bearer")
	}
	for _, name := range jwt.URIParamNames {
		p.line(w, "token_from query", name)
	}
	for _, name := range jwt.CookieNames {
		p.line(w, "token_from cookie", name)
	}
	if len(jwt.HeaderNames)+len(jwt.URIParamNames)+len(jwt.CookieNames) == 0 {
		p.why = append(p.why, "plugin jwt looks for tokens nowhere")
	}
}

// rules writes what the gate demands of a token.
func (c *converter) rules(p *protection, w *caddytext.Writer, jwt jwtConfig) {
	if slices.Contains(jwt.ClaimsToVerify, "nbf") {
		w.Line("require claim nbf")
	}
	switch seconds := jwt.MaximumExpiration; {
	case seconds < 0 || seconds > mostSeconds:
		p.why = append(p.why, "plugin jwt: maximum_expiration")
	case seconds > 0:
		w.Line("max_lifetime", time.Duration(seconds*float64(time.Second)).String())
	}
	if !slices.Contains(jwt.ClaimsToVerify, "exp") {
		c.strictExp = true
	}
}

// groups writes which consumers may pass.
func (c *converter) groups(p *protection, w *caddytext.Writer, acl aclConfig) {
	p.hideGroups = acl.HideGroupsHeader
	p.who.allow, p.who.deny = acl.Allow, acl.Deny
	switch {
	case len(acl.Allow) > 0 && len(acl.Deny) > 0 || len(acl.Allow)+len(acl.Deny) == 0:
		p.why = append(p.why, "plugin acl has not exactly one of allow and deny")
	case acl.AlwaysUseGroups:
		p.why = append(p.why, "plugin acl: always_use_authenticated_groups")
	case acl.WithConsumerGroups:
		p.why = append(p.why, "plugin acl: include_consumer_groups")
	case len(acl.Allow) > 0:
		p.line(w, "require group", acl.Allow...)
	default:
		p.line(w, "require not group", acl.Deny...)
	}
}

// anonymous writes who the callers without a token are.
func (c *converter) anonymous(p *protection, w *caddytext.Writer, ref string) {
	if at := c.file.FindConsumer(ref); at >= 0 && c.good[at] {
		p.line(w, "anonymous", c.file.Consumers[at].Username)
		return
	}
	p.why = append(p.why, fmt.Sprintf("plugin jwt: the anonymous consumer %q is not among those that were converted", ref))
}
