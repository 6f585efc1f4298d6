// Package summary says in a few words what a gate has understood, so that an operator can compare it with what was
// meant. A configuration that reads well may do something else: "token_from cookie t" alone makes the header
// Authorization count no more.
//
// A summary is short, however long the configuration is. It has names and rules, and nothing that is secret: no key, no
// secret, and no address of a server, because that may have credentials in its query.
package summary

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/tenant"
)

const (
	maxParties = 3   // issuers, and consumers
	maxNames   = 10  // of any other list
	maxText    = 120 // bytes of one name
)

// Item is one aspect of a gate. Name is in snake_case.
type Item struct{ Name, Text string }

// Gate is what the summary is about.
type Gate struct {
	// Config of the gate. Its Keys, Asking and Cache may be missing.
	Config gate.Config
	// Sources say, for each issuer of the Config, where its keys come from.
	Sources []Source
	// ServerMetadata says how clients get an issuer's metadata at the host of the resource, and of which issuer; empty
	// when they do not.
	ServerMetadata string
	// TenantHeader is the header with the tenant; empty for none.
	TenantHeader string
	// ConsumersFile says how many consumers are in which file; empty without one.
	ConsumersFile string
	// EndAtExpiry says which responses end with their token; empty for none.
	EndAtExpiry string
	// Messages says what the rules for MCP messages are; empty when there are none.
	Messages string
	// Cache is the size of the cache in bytes; 0 for none.
	Cache int64
	// CORS is the origins whose pages may send requests; nil if the gate leaves CORS to others.
	CORS []string
}

// Source is what Config does not say about an issuer.
type Source struct {
	// Keys is the kind of the key source, such as "discovery".
	Keys string
	// Introspect is the mode, such as "always"; empty when the issuer is not asked about tokens.
	Introspect string
	// Prefetch is set when keys and metadata are fetched before the first request.
	Prefetch bool
	// PlainHTTP is the word that allows requests without TLS, such as "allow_http"; empty without one.
	PlainHTTP string
}

// Of is the summary of a gate. What the gate does not use has no item.
func Of(g Gate) []Item {
	c := &g.Config
	var items []Item
	add := func(name, text string) {
		if text != "" {
			items = append(items, Item{name, text})
		}
	}
	var places []string
	for _, place := range c.Extractor.Places() {
		places = append(places, place.String())
	}
	add("tokens_from", first(places, ", "))
	add("issuers", parties(len(c.Issuers), func(i int) string { return issuer(&c.Issuers[i], g.Sources[i]) }))
	add("consumers", parties(len(c.Consumers), func(i int) string { return consumer(&c.Consumers[i]) }))
	add("consumers_file", short(g.ConsumersFile))
	if len(c.Consumers) > 0 || c.Roster != nil {
		add("key_claim", short(cmp.Or(c.KeyClaim, gate.DefaultKeyClaim)))
	}
	add("resource_metadata", short(c.ResourceMetadata))
	add("auth_server_metadata", short(g.ServerMetadata))
	add("audience", audience(c.Audience))
	add("requires", first(requirements(c.Require), "; "))
	add("proof", proof(c))
	add("scope_implies", first(implications(c.ScopeImplies), "; "))
	add("mcp", g.Messages)
	add("max_lifetime", duration(c.MaxLifetime))
	add("introspect", asking(c.Asking))
	add("without_token", withoutToken(c))
	if c.OptionalExpired {
		add("expired_cookie", "counts as no token")
	}
	add("public", list(c.Public, maxNames, " "))
	if c.AllowPreflight {
		add("preflight", "passes")
	}
	if c.AnyOrigin {
		add("origin_check", "off")
	}
	add("trusted_origins", list(c.TrustedOrigins, maxNames, " "))
	add("cors", list(g.CORS, maxNames, " "))
	add("forwards", first(forwards(c, g.TenantHeader), ", "))
	add("consumer_headers", list(c.ConsumerHeaders, maxNames, " "))
	add("end_at_expiry", g.EndAtExpiry)
	if c.OnlyLocalRevoked {
		add("revocation", "of tokens that are issued here")
	} else if c.Revocations != nil {
		add("revocation", "on")
	}
	add("cache", size(g.Cache))
	return items
}

func issuer(i *gate.Issuer, s Source) string {
	facts := []string{"keys " + s.Keys}
	add := func(what, text string) {
		if text != "" {
			facts = append(facts, what+text)
		}
	}
	if i.Tenants != nil {
		add("tenants ", tenants(i.Tenants.Listed))
	}
	if s.Prefetch {
		add("", "prefetch")
	}
	add("audience ", audience(i.Audience))
	if i.Algorithms != jose.AsymmetricAlgorithms() && s.Keys != "none" {
		add("algorithms ", i.Algorithms.String())
	}
	add("type ", list(i.Types, maxParties, " "))
	if i.AccessTokenProfile {
		add("profile ", "rfc9068")
	}
	add("required_claims ", list(texts(i.RequiredClaims), maxParties, " "))
	add("max_lifetime ", duration(i.MaxLifetime))
	add("tolerates ", i.Tolerate.String())
	add("group_claim ", list(texts(i.GroupClaims), maxParties, " "))
	if claim := i.ConsumerClaim.String(); claim != "" {
		add("consumer_claim ", short(claim)+" by "+i.ConsumerBy.String())
	}
	if claim := i.UsernameClaim.String(); claim != "" {
		add("username_claim ", short(claim))
	}
	if i.Revocation.Off {
		add("revocation ", "off")
	}
	add("revocation claim ", list(texts(i.Revocation.Claims), maxParties, " "))
	add("decrypt keys ", decryption(i.Decrypt))
	add("", s.PlainHTTP)
	add("introspect ", s.Introspect)
	return short(i.Name) + " (" + strings.Join(facts, ", ") + ")"
}

// proof is what proves that a token is used by whom it was issued to.
func proof(c *gate.Config) string {
	var facts []string
	if p := c.Proof; p != nil {
		facts = append(facts, p.Summary()...)
	}
	if c.RequireTLS {
		facts = append(facts, "tls required")
	}
	return strings.Join(facts, ", ")
}

// decryption is what an issuer's encrypted tokens may be encrypted with. Nothing of a key is in it but how many there
// are.
func decryption(d *gate.Decryption) string {
	if d == nil {
		return ""
	}
	text := fmt.Sprintf("%d", len(d.Keys.Present()))
	if d.Required {
		text += " required"
	}
	return text + " by " + strings.Join(d.Algorithms.Keys(), " ") + " " + strings.Join(d.Algorithms.Contents(), " ")
}

// consumer is a username, with what is unusual about the consumer's tokens.
func consumer(c *gate.Consumer) string {
	if c.Tolerate == 0 {
		return short(c.Username)
	}
	return short(c.Username) + " (tolerates " + c.Tolerate.String() + ")"
}

// texts are paths as they are configured.
func texts(paths []claims.Path) (all []string) {
	for _, path := range paths {
		all = append(all, path.String())
	}
	return all
}

func tenants(listed tenant.List) string {
	n := listed.Len()
	if n < 0 {
		return "any"
	}
	return joined(listed.First(maxParties), n, " or ")
}

func audience(a gate.Audience) string {
	if a.Any {
		return "any"
	}
	return list(a.Accepted, maxParties, " or ")
}

func requirements(r gate.Requirements) (all []string) {
	var others []string
	for _, rule := range r.Rules() {
		if text := ruleText(rule); strings.HasSuffix(rule.Kind(), "scope") {
			all = append(all, text)
		} else {
			others = append(others, text)
		}
	}
	if len(r.ACR) > 0 {
		all = append(all, "acr "+list(r.ACR, maxNames, " or "))
	}
	if r.MaxAuthAge > 0 {
		all = append(all, "max_auth_age "+r.MaxAuthAge.String())
	}
	return append(all, others...)
}

// ruleText is a requirement in a few words.
func ruleText(rule demand.Rule) string {
	kind, terms := rule.Kind(), rule.Terms()
	switch kind {
	case "scope":
		return "scope " + list(terms, maxNames, " ")
	case "any":
		return "any of " + list(terms, maxParties, " | ")
	case "claim", "not claim", "header", "not header":
		path, values := kind+" "+short(terms[0]), terms[1:]
		switch {
		case len(values) == 0:
			return path
		case len(values) > 1 && demand.Compares(values[0]):
			return path + " " + values[0] + " " + list(values[1:], maxParties, " or ")
		}
		return path + " = " + list(values, maxParties, " or ")
	default:
		return kind + " " + list(terms, maxNames, " or ")
	}
}

func implications(of []scope.Implication) (all []string) {
	for _, i := range of {
		all = append(all, short(i.Broad)+" implies "+list(i.Narrow, maxNames, " "))
	}
	return all
}

func asking(r gate.RouteAsking) string {
	var facts []string
	switch r.Mode {
	case gate.RouteForce:
		facts = append(facts, "force")
	case gate.RouteSkip:
		facts = append(facts, "skip")
	case gate.RouteAsIssuer:
	}
	if r.MaxAge != nil {
		facts = append(facts, "max_age "+r.MaxAge.String())
	}
	return strings.Join(facts, " ")
}

func withoutToken(c *gate.Config) string {
	switch {
	case c.Anonymous != "":
		return "passes as the consumer " + short(c.Anonymous)
	case c.Optional:
		return "passes without identity"
	default:
		return "refused"
	}
}
