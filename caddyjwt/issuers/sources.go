package issuers

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
)

// keySource is one kind of key source. A new kind needs a row in keySources.
type keySource struct {
	name  string // as Keys.Source
	usage string // what follows the name in a Caddyfile
	hint  string // added to the error when something else follows

	value    func(*Keys) *string // the setting that it needs; nil if it needs none
	needs    string              // what that setting is
	optional bool                // the setting may be missing
	base64   bool                // the value may be in base64

	fetched bool // asks a server for keys
	signers bool // its keys may come with certificates, so it takes ca
	keySet  bool // has a key set, from which key_use and max_keys choose
	shared  bool // its keys are shared secrets, for HS algorithms
	local   bool // its keys are those of a token_issuer

	// plan resolves and checks the setting, and reads keys that are in the configuration.
	plan func(c *keyCheck) error
	// open opens the source that the plan describes. The second result fingerprints its settings. open is nil for a source
	// without keys.
	open func(o Opener, l *pool.Lease, server *Server, plan *Source) (keyset.Source, [32]byte, error)
}

// verifies reports whether the source has keys, so that JWTs are verified here.
func (s *keySource) verifies() bool { return s.open != nil }

// keyCheck is the state of checking one source.
type keyCheck struct {
	settings *words.Settings
	keys     *Keys
	value    string // of the setting, resolved
	server   *Server
	plan     *Source
	chosen   bool // the configuration names algorithms
	later    bool // a file of authorities does not exist yet, so no key can be judged
}

var keySources = []keySource{
	{name: "discovery", usage: "[<url>]", value: func(k *Keys) *string { return &k.URL }, optional: true,
		signers: true, fetched: true, keySet: true, plan: (*keyCheck).discovery, open: Opener.openDiscovery},
	{name: "jwks", usage: "<url>", value: func(k *Keys) *string { return &k.URL }, needs: "url",
		signers: true, fetched: true, keySet: true, plan: (*keyCheck).jwks, open: Opener.openJWKS},
	{name: "file", usage: "<path>", value: func(k *Keys) *string { return &k.Path }, needs: "path",
		signers: true, keySet: true, plan: (*keyCheck).file, open: Opener.openFile},
	{name: "pem", usage: "<text>", value: func(k *Keys) *string { return &k.PEM }, needs: "PEM text",
		hint: "put PEM text in quotes, or write {file./path} for the content of a file",
		plan: (*keyCheck).pem, open: Opener.openPEM},
	{name: "secret", usage: "<value> [base64]", value: func(k *Keys) *string { return &k.Secret }, needs: "value",
		hint: words.SecretHint, base64: true, shared: true, plan: (*keyCheck).secret, open: Opener.openSecret},
	{name: "local", local: true, open: Opener.openLocal},
	{name: "none"},
}

// source is the row of the keys' source, or nil.
func (k *Keys) source() *keySource {
	i := slices.IndexFunc(keySources, func(s keySource) bool { return s.name == k.Source })
	if i < 0 {
		return nil
	}
	return &keySources[i]
}

func keysUsage() []string {
	usage := make([]string, len(keySources))
	for i, source := range keySources {
		usage[i] = strings.TrimSpace(source.name + " " + source.usage)
	}
	return usage
}

func sourceNames() []string {
	names := make([]string, len(keySources))
	for i, source := range keySources {
		names[i] = source.name
	}
	return names
}

// fields of Keys that a source may need, with their names in errors.
var keyFields = []struct {
	field, name string
	value       func(*Keys) *string
}{
	{"URL", "url", func(k *Keys) *string { return &k.URL }},
	{"Path", "path", func(k *Keys) *string { return &k.Path }},
	{"PEM", "pem", func(k *Keys) *string { return &k.PEM }},
	{"Secret", "secret", func(k *Keys) *string { return &k.Secret }},
}

// same reports whether two sources are the same, whatever their authorities are.
func (k Keys) same(other Keys) bool {
	k.CA, other.CA = nil, nil
	return reflect.DeepEqual(k, other)
}

// alone refuses settings of other sources: they would look as if they had an effect.
func (k *Keys) alone(source *keySource) error {
	for _, other := range keyFields {
		value := other.value(k)
		if *value != "" && (source.value == nil || source.value(k) != value) {
			return setting.Errorf(other.field, "keys %s takes no %s: remove it", k.Source, other.name)
		}
	}
	if k.Base64 && !source.base64 {
		return setting.Errorf("Base64", "base64 is about a secret, and keys %s has none: remove it", k.Source)
	}
	if k.CA != nil && !source.signers {
		return setting.Errorf("CA", "ca is about certificates of signers, which keys %s does not judge: remove it, or write "+
			"keys file, jwks or discovery", k.Source)
	}
	return nil
}

// compile resolves and checks the setting of the source, and makes the plan for it.
func (k *Keys) compile(
	s *words.Settings, server *Server, plan *Source, chosen bool,
) error {
	source := plan.kind
	if source.value == nil { // nothing to plan
		return nil
	}
	c := &keyCheck{settings: s, keys: k, server: server, plan: plan, chosen: chosen, value: *source.value(k)}
	if c.value == "" && !source.optional {
		return fmt.Errorf("keys %s needs a %s", k.Source, source.needs)
	}
	if err := c.authorities(); err != nil {
		return err
	}
	return source.plan(c)
}

// resolved resolves the setting. A setting that is not known needs no check.
func (c *keyCheck) resolved() (known bool, err error) {
	c.value, known, err = c.settings.Text("keys "+c.keys.Source, c.value)
	return known, err
}

func (c *keyCheck) discovery() error {
	known, err := c.resolved()
	c.server.Metadata = c.value
	if err != nil || !known {
		return err
	}
	if c.value != "" {
		_, err = c.server.Fetch.Plain.CheckURL(c.value)
		return setting.Wrap("keys discovery", err)
	}
	if !c.server.IssuerKnown || c.server.Tenants != nil { // the issuers of tenants are URLs
		return nil
	}
	return setting.Wrap("keys cannot be discovered from this issuer; say where they are with \"keys …\"",
		keyset.CheckDiscoverable(c.server.Fetch.Plain, c.server.Issuer))
}

func (o Opener) openDiscovery(l *pool.Lease, server *Server, plan *Source) (keyset.Source, [32]byte, error) {
	options := o.discovery(server)
	options.Taken = plan.taken
	if server.each() {
		return o.openEach(l, server, plan, options)
	}
	return pooledSource(l, server, plan, options.Fingerprint(), func() (keyset.Source, error) {
		return keyset.NewDiscovery(options)
	})
}

func (c *keyCheck) jwks() error {
	known, err := c.resolved()
	if err != nil || !known {
		return err
	}
	c.plan.URL = c.value
	_, err = c.server.Fetch.Plain.CheckURL(c.value)
	return setting.Wrap("keys jwks", err)
}

func (o Opener) openJWKS(l *pool.Lease, server *Server, plan *Source) (keyset.Source, [32]byte, error) {
	options := keyset.RemoteOptions{
		URL: plan.URL, Taken: plan.taken, Fetch: server.FetchOptions(o.Shared.Log.Keys), Timing: server.timing(),
		Logger: o.Shared.Log.Keys, Kept: o.Shared.LastGood,
	}
	return pooledSource(l, server, plan, options.Fingerprint(), func() (keyset.Source, error) {
		return keyset.NewRemote(options)
	})
}

func (c *keyCheck) file() error {
	known, err := c.resolved()
	if err != nil || !known {
		return err
	}
	c.plan.path = c.value
	if c.isAuthority(c.value) {
		return setting.Errorf("CA", "ca %s: this is also the file of the keys, whose certificates would then vouch for "+
			"themselves: remove it, or give the certificate of who has issued them", c.value)
	}
	content, known, err := c.settings.ReadFile("keys file", c.value)
	if err != nil || !known || c.later {
		return err
	}
	return setting.Wrap("keys file "+c.value, c.checkKeys(content))
}

func (o Opener) openFile(l *pool.Lease, server *Server, plan *Source) (keyset.Source, [32]byte, error) {
	return pooledSource(l, server, plan, plan.taken.Fingerprint(), func() (keyset.Source, error) {
		return keyset.NewFile(plan.path, plan.taken, o.Shared.Log.Keys)
	})
}

func (c *keyCheck) pem() error {
	known, err := c.resolved()
	if err != nil || !known {
		return err
	}
	c.plan.pem = c.value
	if !strings.Contains(c.value, words.PEMBegin) && words.IsPath(c.value) {
		return errors.New("keys pem: this is the path of a file, not PEM text: " +
			"write keys file <path>, or keys pem {file./the/path}")
	}
	return setting.Wrap("keys pem", c.checkKeys([]byte(c.value)))
}

func (Opener) openPEM(_ *pool.Lease, _ *Server, plan *Source) (keyset.Source, [32]byte, error) {
	source, err := keyset.NewPEM([]byte(plan.pem))
	return source, hashing.Fingerprint(struct{ PEM string }{plan.pem}), err
}

// secret makes a key for the configured algorithms, or else for all that the secret is long enough for.
func (c *keyCheck) secret() error {
	secret, known, err := c.settings.Secret(c.value, c.keys.Base64)
	if err != nil || !known {
		return setting.Wrap("keys", err)
	}
	var wanted jose.Algorithms // none: all that the secret is long enough for
	if c.chosen {
		wanted = c.plan.algorithms
	}
	key, err := jose.NewSecretKey("", secret, wanted)
	if err != nil {
		return setting.Wrap("keys secret", err)
	}
	c.plan.Static, c.plan.algorithms = []*jose.Key{key}, key.Algorithms()
	return nil
}

func (Opener) openSecret(_ *pool.Lease, _ *Server, plan *Source) (keyset.Source, [32]byte, error) {
	source, err := keyset.NewStatic(plan.Static...)
	return source, fingerprintKeys(plan.Static), err
}

// checkKeys checks that the text has a key for one of the algorithms.
func (c *keyCheck) checkKeys(text []byte) error {
	keys, _, _, err := keyset.ParseKeys(text, c.plan.taken, time.Now())
	if err != nil {
		return err
	}
	var possible jose.Algorithms
	for _, key := range keys {
		possible = possible.Union(key.Algorithms())
	}
	if possible.Intersect(c.plan.algorithms) == 0 {
		return fmt.Errorf("no key in it fits the algorithms %v; its keys are for %v", c.plan.algorithms, possible)
	}
	return nil
}
