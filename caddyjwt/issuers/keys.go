package issuers

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Source is how to open a key source.
type Source struct {
	kind        *keySource
	Issuer      string
	IssuerKnown bool
	Metadata    string // address of the metadata, if the configuration has one
	URL         string // address of the key set
	path        string
	pem         string
	Static      []*jose.Key // keys that are made of a secret
	taken       keyset.Selection
	Fetch       fetch.Options
	MaxStale    time.Duration
}

// Kind is the name of the kind of key source.
func (p *Source) Kind() string { return p.kind.name }

// Verifies reports whether the source has keys, so that JWTs are verified here.
func (p *Source) Verifies() bool { return p.kind.verifies() }

// Fetched reports whether the keys come from a server.
func (p *Source) Fetched() bool { return p.kind.fetched }

// leastStale is the least max_stale. Keys are fetched again before they are too old, and that must not burden a server
// more often than once a minute.
const leastStale = caddy.Duration(time.Minute)

// compileKeys handles where the keys come from, and with that the possible algorithms.
func (i *Issuer) compileKeys(s *words.Settings, plan *Plan) (err error) {
	keys := Keys{Source: "discovery"}
	if i.Keys != nil {
		keys = *i.Keys
	}
	source := keys.source()
	if source == nil {
		return setting.Errorf("Keys.Source", "keys %q: expected %s", keys.Source, words.Alternatives(sourceNames()))
	}
	allowed, err := i.compileAlgorithms(source)
	if err != nil {
		return err
	}
	if i.MaxStale != 0 && i.MaxStale < leastStale {
		return setting.Errorf("MaxStale", "max_stale %v is less than %v: keys would be fetched too often",
			time.Duration(i.MaxStale), time.Duration(leastStale))
	}
	plan.Source.kind, plan.Source.MaxStale = source, time.Duration(i.MaxStale)
	if plan.Source.Fetch, err = i.fetchOptions(s); err != nil {
		return err
	}
	if err := keys.alone(source); err != nil {
		return setting.In("Keys", err)
	}
	if err := i.checkServer(source); err != nil {
		return err
	}
	if err := i.selectKeys(source, &plan.Source.taken); err != nil {
		return err
	}
	if err := keys.compile(s, source, &plan.Source, i.Algorithms != nil, &allowed); err != nil {
		return setting.In("Keys", err)
	}
	plan.Issuer.Algorithms = allowed
	return nil
}

// compileAlgorithms is the algorithms that tokens may use: the configured ones, or else all that fit the source.
func (i *Issuer) compileAlgorithms(source *keySource) (jose.Algorithms, error) {
	if err := words.NotEmpty("algorithms", i.Algorithms); err != nil {
		return 0, setting.In("Algorithms", err)
	}
	var allowed jose.Algorithms
	for n, name := range i.Algorithms {
		algorithm, ok := jose.ParseAlgorithm(name)
		if !ok {
			return 0, setting.In(setting.Element("Algorithms", n), jose.UnknownAlgorithm(name))
		}
		allowed = allowed.With(algorithm)
	}
	if !source.verifies() && (i.Algorithms != nil || i.Types != nil || i.Profile != "") {
		return 0, setting.In(firstThere(
			field{"Algorithms", i.Algorithms != nil}, field{"Types", i.Types != nil}, field{"Profile", true}),
			fmt.Errorf("keys %s verifies nothing here, so algorithms, type and profile have no effect: "+
				"remove these words, or name another source of keys", source.name))
	}
	possible := jose.AsymmetricAlgorithms()
	if source.shared {
		possible = jose.HMACAlgorithms()
	}
	if allowed == 0 {
		return possible, nil
	}
	if other := allowed &^ possible; other != 0 {
		return 0, setting.Errorf("Algorithms",
			"algorithms %v cannot be used with keys %s: HS algorithms need \"keys secret\", all others public keys; "+
				"the two are never mixed", other, source.name)
	}
	return allowed, nil
}

// checkServer refuses settings for requests to a server when no such requests are made.
func (i *Issuer) checkServer(source *keySource) error {
	if source.fetched {
		return nil
	}
	if i.Prefetch && (i.Introspect == nil || i.Introspect.Endpoint != "") {
		return setting.Errorf("Prefetch", "prefetch is for keys and metadata from a server, and nothing is fetched with "+
			"keys %s: remove it", source.name)
	}
	switch {
	case i.Introspect == nil && (i.TLS != nil || i.RequestHeaders != nil || i.AllowLinkLocal || i.MaxStale != 0):
		return setting.In(firstThere(
			field{"TLS", i.TLS != nil}, field{"RequestHeaders", i.RequestHeaders != nil},
			field{"AllowLinkLocal", i.AllowLinkLocal}, field{"MaxStale", true}),
			fmt.Errorf("tls, header_up, allow_link_local and max_stale are for requests to a server, and keys %s "+
				"makes none: remove them", source.name))
	case i.Introspect != nil && i.Introspect.Endpoint != "" && (i.RequestHeaders != nil || i.MaxStale != 0):
		return setting.In(firstThere(field{"RequestHeaders", i.RequestHeaders != nil}, field{"MaxStale", true}),
			fmt.Errorf("header_up and max_stale are for fetching keys and metadata, and neither is fetched with "+
				"keys %s and an endpoint in introspect: remove them", source.name))
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
func (i *Issuer) selectKeys(source *keySource, taken *keyset.Selection) error {
	if !source.keySet && (i.KeyUse != "" || i.MaxKeys != 0) {
		return setting.In(firstThere(field{"KeyUse", i.KeyUse != ""}, field{"MaxKeys", true}),
			fmt.Errorf("key_use and max_keys choose from a key set, and keys %s has none: remove them",
				source.name))
	}
	*taken = keyset.Selection{Use: i.KeyUse, Max: i.MaxKeys}
	if err := taken.CheckUse(); err != nil {
		return setting.Errorf("KeyUse", "key_use %w", err)
	}
	if err := taken.CheckMax(); err != nil {
		return setting.Errorf("MaxKeys", "max_keys %w", err)
	}
	return nil
}
