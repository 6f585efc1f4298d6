package caddyjwt

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// issuerPlan is an issuer whose settings have been checked, and how to open what it needs.
type issuerPlan struct {
	issuer     gate.Issuer
	source     sourcePlan
	introspect *introspectPlan
}

// sourcePlan is how to open a key source.
type sourcePlan struct {
	kind     string // as Keys.Source
	issuer   string
	url      string
	path     string
	pem      string
	static   []*jose.Key // of a secret
	fetch    fetch.Options
	maxStale time.Duration
}

func (i *Issuer) compile(repl *caddy.Replacer, leeway time.Duration) (issuerPlan, error) {
	var plan issuerPlan
	name, err := resolve(repl, "issuer", i.Issuer)
	if err != nil {
		return plan, err
	}
	if name == "" {
		return plan, errors.New("an issuer has no name: give the exact value of the tokens' iss")
	}
	plan.issuer.Name = name
	if err := i.compileRules(repl, &plan.issuer, leeway); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.compileKeys(repl, &plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if i.Introspect != nil {
		if plan.introspect, err = i.Introspect.compile(repl, i, &plan); err == nil {
			err = plan.introspect.check()
		}
		if err != nil {
			return plan, fmt.Errorf("issuer %q: introspect: %s", name, inOurWords(err))
		}
	}
	return plan, nil
}

// compileRules handles what tokens of the issuer must be.
func (i *Issuer) compileRules(repl *caddy.Replacer, out *gate.Issuer, leeway time.Duration) (err error) {
	if out.Audience, err = compileAudience(repl, i.Audience, i.AnyAudience); err != nil {
		return err
	}
	if out.Types, err = normalTypes(i.Types); err != nil {
		return err
	}
	switch i.Profile {
	case "":
	case "rfc9068":
		out.AccessTokenProfile = true
		if len(out.Types) > 0 && !slices.Contains(out.Types, "at+jwt") {
			return fmt.Errorf("type %q contradicts profile rfc9068, which wants at+jwt", i.Types)
		}
	default:
		return fmt.Errorf("unknown profile %q; the only one is rfc9068", i.Profile)
	}
	if err := notEmpty("require", i.Require); err != nil {
		return err
	}
	for _, text := range i.Require {
		path, err := claims.ParsePath(text)
		if err != nil {
			return fmt.Errorf("require: %w", err)
		}
		out.Require = append(out.Require, path)
	}
	out.MaxLifetime, out.Leeway = time.Duration(i.MaxLifetime), leeway
	if i.Leeway != nil {
		out.Leeway = time.Duration(*i.Leeway)
	}
	return nil
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
	possible := jose.AsymmetricAlgorithms()
	if keys.Source == "secret" {
		possible = jose.HMACAlgorithms()
	}
	if allowed == 0 {
		allowed = possible
	} else if other := allowed &^ possible; other != 0 {
		return fmt.Errorf("algorithms %v cannot be used with keys %s: HS algorithms need \"keys secret\", all others public keys; "+
			"the two are never mixed", other, keys.Source)
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
	if remote := keys.Source == "discovery" || keys.Source == "jwks" || i.Introspect != nil; !remote &&
		(i.TLS != nil || i.RequestHeaders != nil || i.AllowLinkLocal || i.MaxStale != 0) {
		return fmt.Errorf("tls, request_header, allow_link_local and max_stale are about a server, and keys %s asks none", keys.Source)
	}
	if err := keys.compile(repl, &plan.source, i.Algorithms != nil, &allowed); err != nil {
		return err
	}
	plan.issuer.Algorithms = allowed
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
		return wrap("keys file "+plan.path, checkKeys(content, *allowed))
	case "pem":
		if plan.pem, err = need("PEM text", k.PEM); err != nil {
			return err
		}
		if !strings.Contains(plan.pem, pemBegin) && isPath(plan.pem) {
			return errors.New("keys pem: this is the path of a file: write \"keys file\" before it, or keys pem {file./the/path}")
		}
		return wrap("keys pem", checkKeys([]byte(plan.pem), *allowed))
	case "secret":
		return k.compileSecret(repl, plan, chosen, allowed)
	case "none":
		return nil
	default:
		return fmt.Errorf("keys %q: expected discovery, jwks, file, pem, secret or none", k.Source)
	}
}

// checkKeys makes sure that there is a key in the text that one of the algorithms can use.
func checkKeys(text []byte, allowed jose.Algorithms) error {
	keys, _, _, err := keyset.ParseKeys(text, keyset.Policy{}, time.Now())
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

// fetchOptions says how to talk to the issuer's server.
func (i *Issuer) fetchOptions(repl *caddy.Replacer) (fetch.Options, error) {
	options := fetch.Options{AllowLinkLocal: i.AllowLinkLocal}
	for _, name := range slices.Sorted(maps.Keys(i.RequestHeaders)) { // in order: two spellings of one name share a field
		values, err := resolveAll(repl, "request_header "+name, append([]string{}, i.RequestHeaders[name]...))
		if err != nil {
			return options, err
		}
		if err := checkRequestHeader(name, values); err != nil {
			return options, fmt.Errorf("request_header %q: %w", name, err)
		}
		if options.Header == nil {
			options.Header = make(http.Header)
		}
		for _, value := range values {
			options.Header.Add(name, value)
		}
	}
	if i.TLS == nil {
		return options, nil
	}
	return options, wrap("tls", i.TLS.compile(repl, &options))
}

// checkRequestHeader refuses what would make every request fail, and what the client sets itself.
func checkRequestHeader(name string, values []string) error {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te", "Accept", "If-None-Match":
		return errors.New("this field is not for the configuration to set")
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return errors.New("this is not the name of a header field")
	}
	for _, value := range values {
		if !httpguts.ValidHeaderFieldValue(value) {
			return errors.New("the value has a character that header fields cannot have")
		}
	}
	return nil
}

func (t *TLS) compile(repl *caddy.Replacer, options *fetch.Options) error {
	if len(t.CA) == 0 && t.ClientCert == "" && t.ClientKey == "" && t.ServerName == "" && len(t.Pins) == 0 {
		return errors.New("it is empty: leave it out, or say what is different from the system's settings")
	}
	err := errors.Join(notEmpty("ca", t.CA), notEmpty("pin", t.Pins))
	if err != nil {
		return err
	}
	for _, file := range t.CA {
		content, err := readSetting(repl, "ca", file)
		if err != nil {
			return err
		}
		options.CA = append(append(options.CA, content...), 0x0a)
	}
	if (t.ClientCert == "") != (t.ClientKey == "") {
		return errors.New("client_cert and client_key go together: one of them is missing")
	}
	if t.ClientCert != "" {
		if options.ClientCert, err = readSetting(repl, "client_cert", t.ClientCert); err != nil {
			return err
		}
		if options.ClientKey, err = readSetting(repl, "client_key", t.ClientKey); err != nil {
			return err
		}
	}
	if options.ServerName, err = resolve(repl, "server_name", t.ServerName); err != nil {
		return err
	}
	for _, text := range t.Pins {
		pin, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(pin) != sha256.Size {
			return fmt.Errorf("pin %q is not the base64 of a SHA-256 hash", text)
		}
		options.Pins = append(options.Pins, [sha256.Size]byte(pin))
	}
	client, err := fetch.NewClient(*options) // are the certificates, and is the private key one of theirs?
	if err != nil {
		return err
	}
	return client.Close()
}
