package issuers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Server is how to reach the authorization server of an issuer.
type Server struct {
	Issuer      string
	IssuerKnown bool
	Tenants     *Tenants // nil for an issuer without "*"
	Metadata    string   // address of the metadata, if the configuration has one
	Fetch       fetch.Options
	MaxStale    time.Duration
}

// Source is how to open one source of an issuer's keys.
type Source struct {
	kind       *keySource
	URL        string // address of the key set
	path       string
	pem        string
	Static     []*jose.Key // keys that are made of a secret
	taken      keyset.Selection
	algorithms jose.Algorithms // those for which its keys may be used
}

// Kind is the name of the kind of key source.
func (s Source) Kind() string { return s.kind.name }

// Verifies reports whether the source has keys, so that JWTs are verified here.
func (s Source) Verifies() bool { return s.kind.verifies() }

// Fetched reports whether the keys come from a server.
func (s Source) Fetched() bool { return s.kind.fetched }

// public reports whether the source has keys that are no shared secrets.
func (s Source) public() bool { return s.Verifies() && !s.kind.shared }

// Verifies reports whether the issuer has keys, so that its JWTs are verified here.
func (p *Plan) Verifies() bool {
	return slices.ContainsFunc(p.Sources, Source.Verifies)
}

// FetchesKeys reports whether keys come from a server.
func (p *Plan) FetchesKeys() bool {
	return slices.ContainsFunc(p.Sources, Source.Fetched)
}

// KeysFrom names the kinds of the key sources.
func (p *Plan) KeysFrom() string {
	var kinds []string
	for i := range p.Sources {
		if kind := p.Sources[i].Kind(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, " and ")
}

// leastStale is the least max_stale. Keys are fetched again before they are too old, and that must not burden a server
// more often than once a minute.
const leastStale = caddy.Duration(time.Minute)

// compileKeys handles where the keys come from, and with that the possible algorithms.
func (i *Issuer) compileKeys(s *words.Settings, plan *Plan) (err error) {
	if err := words.NotEmpty("keys", i.Keys); err != nil {
		return setting.In("Keys", err)
	}
	sources := i.Keys
	if sources == nil {
		sources = KeySources{{Source: "discovery"}}
	}
	if plan.Sources, err = sources.plans(); err != nil {
		return err
	}
	chosen, err := i.chosenAlgorithms(plan)
	if err != nil {
		return err
	}
	if i.MaxStale != 0 && i.MaxStale < leastStale {
		return setting.Errorf("MaxStale", "max_stale %v is less than %v: keys would be fetched too often",
			time.Duration(i.MaxStale), time.Duration(leastStale))
	}
	plan.Server.MaxStale = time.Duration(i.MaxStale)
	if plan.Server.Fetch, err = i.fetchOptions(s); err != nil {
		return err
	}
	for n := range sources {
		if err := sources[n].alone(plan.Sources[n].kind); err != nil {
			return setting.In(sources.field(n), err)
		}
	}
	if err := i.checkServer(plan); err != nil {
		return err
	}
	taken, err := i.selectKeys(plan)
	if err != nil {
		return err
	}
	for n := range sources {
		source := &plan.Sources[n]
		source.taken = taken
		if source.algorithms, err = source.kind.allowed(chosen); err != nil {
			return err
		}
		if err := sources[n].compile(s, &plan.Server, source, chosen != 0); err != nil {
			return setting.In(sources.field(n), err)
		}
		plan.Issuer.Algorithms = plan.Issuer.Algorithms.Union(source.algorithms)
	}
	return nil
}

// field is the path of a source. The only one has the path of all: a configuration may name none.
func (s KeySources) field(n int) string {
	if len(s) == 1 {
		return "Keys"
	}
	return setting.Element("Keys", n)
}

// plans finds the kinds of the sources, and refuses sources that cannot stand together.
func (s KeySources) plans() ([]Source, error) {
	if len(s) > keyset.MaxParts {
		return nil, setting.Errorf("Keys", "keys: an issuer takes at most %d sources, and here are %d",
			keyset.MaxParts, len(s))
	}
	var plans []Source
	for n := range s {
		kind := s[n].source()
		switch {
		case kind == nil:
			return nil, setting.Errorf(s.field(n)+".Source", "keys %q: expected %s",
				s[n].Source, words.Alternatives(sourceNames()))
		case !kind.verifies() && len(s) > 1:
			return nil, setting.Errorf(s.field(n), "keys %s verifies nothing, and another line has keys: remove one of the two",
				kind.name)
		case kind.local && len(s) > 1:
			return nil, setting.Errorf(s.field(n), "keys local: a token_issuer has all keys of its tokens: remove the other "+
				"keys")
		case slices.ContainsFunc(s[:n], s[n].same):
			return nil, setting.Errorf(s.field(n), "keys %s: this source is there twice: remove one of the two", kind.name)
		case kind.name == "discovery" && slices.ContainsFunc(plans, func(p Source) bool { return p.kind == kind }):
			return nil, setting.Errorf(s.field(n),
				"keys discovery: an issuer has one metadata document: for another key set, write \"keys jwks <url>\"")
		}
		plans = append(plans, Source{kind: kind})
	}
	return plans, nil
}

// chosenAlgorithms is the algorithms that the configuration names; 0 for none.
func (i *Issuer) chosenAlgorithms(plan *Plan) (chosen jose.Algorithms, err error) {
	if err := words.NotEmpty("algorithms", i.Algorithms); err != nil {
		return 0, setting.In("Algorithms", err)
	}
	for n, name := range i.Algorithms {
		algorithm, ok := jose.ParseAlgorithm(name)
		if !ok {
			return 0, setting.In(setting.Element("Algorithms", n), jose.UnknownAlgorithm(name))
		}
		chosen = chosen.With(algorithm)
	}
	if !plan.Verifies() && (i.Algorithms != nil || i.Types != nil || i.Profile != "") {
		return 0, setting.In(firstThere(
			field{"Algorithms", i.Algorithms != nil}, field{"Types", i.Types != nil}, field{"Profile", true}),
			fmt.Errorf("keys %s verifies nothing here, so algorithms, type and profile have no effect: "+
				"remove these words, or name another source of keys", plan.KeysFrom()))
	}
	var possible jose.Algorithms
	for n := range plan.Sources {
		possible = possible.Union(plan.Sources[n].kind.possible())
	}
	if other := chosen &^ possible; other != 0 {
		return 0, setting.Errorf("Algorithms",
			"algorithms %v cannot be used with keys %s: HS algorithms need \"keys secret\", all others public keys; "+
				"the two are never mixed", other, plan.KeysFrom())
	}
	return chosen, nil
}

// possible is the algorithms that keys of this kind can have.
func (s *keySource) possible() jose.Algorithms {
	if s.shared {
		return jose.HMACAlgorithms()
	}
	return jose.AsymmetricAlgorithms()
}

// allowed is the algorithms for which keys of this kind may be used: the chosen ones, or else all that are possible.
func (s *keySource) allowed(chosen jose.Algorithms) (jose.Algorithms, error) {
	if chosen == 0 || !s.verifies() {
		return s.possible(), nil
	}
	allowed := chosen.Intersect(s.possible())
	if allowed == 0 {
		return 0, setting.Errorf("Algorithms", "algorithms %v: none of them is for keys %s: name one, or remove these keys",
			chosen, s.name)
	}
	return allowed, nil
}

// checkServer refuses settings for requests to a server when no such requests are made.
func (i *Issuer) checkServer(plan *Plan) error {
	if plan.FetchesKeys() {
		return nil
	}
	from := plan.KeysFrom()
	if i.Prefetch && (i.Introspect == nil || i.Introspect.Endpoint != "") {
		return setting.Errorf("Prefetch", "prefetch is for keys and metadata from a server, and nothing is fetched with "+
			"keys %s: remove it", from)
	}
	switch {
	case i.Introspect == nil && (i.TLS != nil || i.RequestHeaders != nil || i.AllowLinkLocal || i.AllowHTTP != "" ||
		i.MaxStale != 0):
		return setting.In(firstThere(
			field{"TLS", i.TLS != nil}, field{"RequestHeaders", i.RequestHeaders != nil},
			field{"AllowLinkLocal", i.AllowLinkLocal}, field{"AllowHTTP", i.AllowHTTP != ""}, field{"MaxStale", true}),
			fmt.Errorf("tls, header_up, allow_link_local, allow_http and max_stale are for requests to a server, and keys "+
				"%s makes none: remove them", from))
	case i.Introspect != nil && i.Introspect.Endpoint != "" && (i.RequestHeaders != nil || i.MaxStale != 0):
		return setting.In(firstThere(field{"RequestHeaders", i.RequestHeaders != nil}, field{"MaxStale", true}),
			fmt.Errorf("header_up and max_stale are for fetching keys and metadata, and neither is fetched with "+
				"keys %s and an endpoint in introspect: remove them", from))
	}
	return nil
}

// field is one of the settings that an error is about. there is true if the configuration has it.
type field struct {
	name  string
	there bool
}

// firstThere is the name of the first field that the configuration has.
func firstThere(fields ...field) string {
	for _, f := range fields {
		if f.there {
			return f.name
		}
	}
	return ""
}

// selectKeys handles which keys of a key set are taken.
func (i *Issuer) selectKeys(plan *Plan) (taken keyset.Selection, err error) {
	hasSet := slices.ContainsFunc(plan.Sources, func(s Source) bool { return s.kind.keySet })
	if !hasSet && (i.KeyUse != "" || i.MaxKeys != 0) {
		return taken, setting.In(firstThere(field{"KeyUse", i.KeyUse != ""}, field{"MaxKeys", true}),
			fmt.Errorf("key_use and max_keys choose from a key set, and keys %s has none: remove them", plan.KeysFrom()))
	}
	taken = keyset.Selection{Use: i.KeyUse, Max: i.MaxKeys, ByIssuer: plan.Server.Tenants != nil}
	if err := taken.CheckUse(); err != nil {
		return taken, setting.Errorf("KeyUse", "key_use %w", err)
	}
	if err := taken.CheckMax(); err != nil {
		return taken, setting.Errorf("MaxKeys", "max_keys %w", err)
	}
	return taken, nil
}
