package caddyjwt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// sourcePlan is how to open a key source.
type sourcePlan struct {
	kind     string // as Keys.Source
	issuer   string
	url      string
	path     string
	pem      string
	static   []*jose.Key // of a secret
	taken    keyset.Selection
	fetch    fetch.Options
	maxStale time.Duration
}

// leastStale is the least max_stale: keys are fetched again before they are too old, and nobody's server should be asked
// more often than once a minute because of that.
const leastStale = caddy.Duration(time.Minute)

// compileKeys handles where the keys come from, and so which algorithms there can be.
func (i *Issuer) compileKeys(repl *caddy.Replacer, plan *issuerPlan) (err error) {
	keys := Keys{Source: "discovery"}
	if i.Keys != nil {
		keys = *i.Keys
	}
	allowed, err := compileAlgorithms(i.Algorithms)
	if err != nil {
		return err
	}
	if keys.Source == "none" && (i.Algorithms != nil || i.Types != nil || i.Profile != "") {
		return errors.New("algorithms, type and profile are about JWTs that are verified here, and keys none verifies nothing: " +
			"say where the keys are, or leave these words out")
	}
	possible := jose.AsymmetricAlgorithms()
	if keys.Source == "secret" {
		possible = jose.HMACAlgorithms()
	}
	if allowed == 0 {
		allowed = possible
	} else if other := allowed &^ possible; other != 0 {
		return fmt.Errorf("algorithms %v cannot be used with keys %s: HS algorithms need \"keys secret\", "+
			"all others public keys; the two are never mixed", other, keys.Source)
	}
	if i.MaxStale != 0 && i.MaxStale < leastStale {
		return fmt.Errorf("max_stale %v is less than %v: keys would have to be fetched without a break",
			time.Duration(i.MaxStale), time.Duration(leastStale))
	}
	plan.source = sourcePlan{kind: keys.Source, issuer: plan.issuer.Name, maxStale: time.Duration(i.MaxStale)}
	if plan.source.fetch, err = i.fetchOptions(repl); err != nil {
		return err
	}
	if err := keys.alone(); err != nil {
		return err
	}
	fetched := keys.Source == "discovery" || keys.Source == "jwks"
	switch {
	case fetched:
	case i.Introspect == nil && (i.TLS != nil || i.RequestHeaders != nil || i.AllowLinkLocal || i.MaxStale != 0):
		return fmt.Errorf("tls, request_header, allow_link_local and max_stale are about a server, and keys %s asks none",
			keys.Source)
	case i.Introspect != nil && i.Introspect.Endpoint != "" && (i.RequestHeaders != nil || i.MaxStale != 0):
		return fmt.Errorf("request_header and max_stale are about fetching keys and metadata, and neither are fetched with "+
			"keys %s and the endpoint of introspect given", keys.Source)
	}
	if err := i.selectKeys(keys.Source, &plan.source.taken); err != nil {
		return err
	}
	if err := keys.compile(repl, &plan.source, i.Algorithms != nil, &allowed); err != nil {
		return err
	}
	plan.issuer.Algorithms = allowed
	return nil
}

// selectKeys says which keys of a set are taken.
func (i *Issuer) selectKeys(source string, taken *keyset.Selection) error {
	switch source {
	case "pem", "secret", "none":
		if i.KeyUse != "" || i.MaxKeys != 0 {
			return fmt.Errorf("key_use and max_keys choose among the keys of a key set, and keys %s has none: remove them",
				source)
		}
	}
	*taken = keyset.Selection{Use: i.KeyUse, Max: i.MaxKeys}
	if err := taken.CheckUse(); err != nil {
		return fmt.Errorf("key_use %w", err)
	}
	if err := taken.CheckMax(); err != nil {
		return fmt.Errorf("max_keys %w", err)
	}
	return nil
}

// alone refuses settings of another source: they would look as if they did something.
func (k *Keys) alone() error {
	for _, field := range []struct {
		name, value string
		of          []string
	}{
		{"url", k.URL, []string{"discovery", "jwks"}},
		{"path", k.Path, []string{"file"}},
		{"pem", k.PEM, []string{"pem"}},
		{"secret", k.Secret, []string{"secret"}},
	} {
		if field.value != "" && !slices.Contains(field.of, k.Source) {
			return fmt.Errorf("keys %s has no %s", k.Source, field.name)
		}
	}
	if k.Base64 && k.Source != "secret" {
		return fmt.Errorf("base64 says how a secret is written, and keys %s has none", k.Source)
	}
	return nil
}

// compile reads the setting of one source. Keys that are in the configuration are read here.
func (k *Keys) compile(repl *caddy.Replacer, plan *sourcePlan, chosen bool, allowed *jose.Algorithms) (err error) {
	need := func(what, value string) (string, error) {
		if value == "" {
			return "", fmt.Errorf("keys %s needs a %s", k.Source, what)
		}
		return resolve(repl, "keys "+k.Source, value)
	}
	switch k.Source {
	case "discovery":
		if plan.url, err = resolve(repl, "keys discovery", k.URL); err != nil {
			return err
		}
		if plan.url == "" {
			err = keyset.CheckDiscoverable(plan.issuer)
			return wrap("the issuer is also the address from which its keys are discovered; if it is not, "+
				"say where the keys are with \"keys …\"", err)
		}
		_, err = fetch.CheckURL(plan.url)
		return wrap("keys discovery", err)
	case "jwks":
		if plan.url, err = need("url", k.URL); err != nil {
			return err
		}
		_, err = fetch.CheckURL(plan.url)
		return wrap("keys jwks", err)
	case "file":
		if plan.path, err = need("path", k.Path); err != nil {
			return err
		}
		content, err := readFile("keys file", plan.path)
		if err != nil {
			return err
		}
		return wrap("keys file "+plan.path, checkKeys(content, plan.taken, *allowed))
	case "pem":
		if plan.pem, err = need("PEM text", k.PEM); err != nil {
			return err
		}
		if !strings.Contains(plan.pem, pemBegin) && isPath(plan.pem) {
			return errors.New("keys pem: this is the path of a file: " +
				"write \"keys file\" before it, or keys pem {file./the/path}")
		}
		return wrap("keys pem", checkKeys([]byte(plan.pem), plan.taken, *allowed))
	case "secret":
		return k.compileSecret(repl, plan, chosen, allowed)
	case "none":
		return nil
	default:
		return fmt.Errorf("keys %q: expected discovery, jwks, file, pem, secret or none", k.Source)
	}
}

// checkKeys makes sure that there is a key in the text that one of the algorithms can use.
func checkKeys(text []byte, taken keyset.Selection, allowed jose.Algorithms) error {
	keys, _, _, err := keyset.ParseKeys(text, taken, time.Now())
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key.Algorithms().Intersect(allowed) != 0 {
			return nil
		}
	}
	var possible jose.Algorithms
	for _, key := range keys {
		possible = possible.Union(key.Algorithms())
	}
	return fmt.Errorf("no key in it is for the algorithms %v; those there are for %v", allowed, possible)
}

// compileSecret makes a key of the secret for the algorithms chosen, or else for those that it is long enough for.
func (k *Keys) compileSecret(repl *caddy.Replacer, plan *sourcePlan, chosen bool, allowed *jose.Algorithms) error {
	if k.Secret == "" {
		return errors.New("keys secret needs a value")
	}
	secret, err := resolveSecret(repl, k.Secret, k.Base64)
	if err != nil {
		return wrap("keys", err)
	}
	var wanted jose.Algorithms // none: all that the secret is long enough for
	if chosen {
		wanted = *allowed
	}
	key, err := jose.NewSecretKey("", secret, wanted)
	if err != nil {
		return wrap("keys secret", err)
	}
	plan.static, *allowed = []*jose.Key{key}, key.Algorithms()
	return nil
}

func compileAlgorithms(names []string) (jose.Algorithms, error) {
	var algorithms jose.Algorithms
	if err := notEmpty("algorithms", names); err != nil {
		return 0, err
	}
	for _, name := range names {
		algorithm, ok := jose.ParseAlgorithm(name)
		if !ok {
			return 0, unknownAlgorithm(name)
		}
		algorithms = algorithms.With(algorithm)
	}
	return algorithms, nil
}
