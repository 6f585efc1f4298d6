package registration

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// Settings are what a configuration says about clients.
type Settings struct {
	Clients         []Client
	File            string
	DefaultAudience string
	// Issuer is the one that has the clients, and Trusted are those whose tokens they may hand in.
	Issuer  string
	Trusted []string
	// Public are the clients of the applications.
	Public []clients.Client
}

// Plan is how to make the set of clients. A client of the configuration whose keys are at an address has none in it
// yet.
type Plan struct {
	DefaultAudience string
	issuer          string // empty while a file is only checked
	trusted         []string
	file            string // empty for none
	fixed           []clients.Client
	jwks            map[string]string // addresses of key sets, by client
	unknown         bool              // some value is not known yet
	known           *clients.Set      // those of the configuration; nil while a value is not known
}

// Compile checks the clients. An error names a field of the handler: Clients, ClientsFile or DefaultAudience.
func Compile(s *words.Settings, from Settings) (p *Plan, err error) {
	p = &Plan{
		jwks: make(map[string]string), fixed: slices.Clone(from.Public), issuer: from.Issuer, trusted: from.Trusted,
	}
	if err := words.NotEmpty("clients", from.Clients); err != nil {
		return nil, setting.In("Clients", err)
	}
	audience, _, err := s.Text("default_audience", from.DefaultAudience)
	if err != nil {
		return nil, setting.In("DefaultAudience", err)
	}
	p.DefaultAudience = audience
	var fileKnown bool
	if p.file, fileKnown, err = s.Text("clients file", from.File); err != nil {
		return nil, setting.In("ClientsFile", err)
	}
	for i := range from.Clients {
		client, err := p.compile(s, &from.Clients[i])
		if err != nil {
			return nil, setting.In(setting.Element("Clients", i), err)
		}
		p.fixed = append(p.fixed, *client)
	}
	if p.unknown {
		return p, nil
	}
	if p.known, err = p.set(p.fixed); err != nil {
		return nil, inClients(err, len(from.Public))
	}
	if !fileKnown {
		return p, nil
	}
	return p, p.tryFile(s)
}

// IsTaken reports whether no user can have a name, as far as the configuration says: see clients.Set.
func (p *Plan) IsTaken(name string) bool { return p.known != nil && p.known.IsTaken(name) }

// inClients is an error about a client, whose place in the set is after those of the applications.
func inClients(err error, before int) error {
	field := setting.Field(err)
	var n int
	if _, scanErr := fmt.Sscanf(field, "[%d]", &n); scanErr != nil || n < before {
		return setting.In("Clients", err)
	}
	_, rest, _ := strings.Cut(field, "]")
	return &setting.Error{Field: setting.Element("Clients", n-before) + ofSettings.Replace(rest), Err: err}
}

// ofSettings has the fields of clients.Client that have another name here.
var ofSettings = strings.NewReplacer("Audiences", "Audience", "Introspects", "Introspect",
	"Certificate", "TLSClientAuth", "Exchanges", "Exchange", "Accepted", "SubjectAudience", "Prefix", "SubjectPrefix",
	"Lifetimes", "AccessLifetimes")

// set makes the set of these clients.
func (p *Plan) set(list []clients.Client) (*clients.Set, error) {
	var comparer users.Comparer
	for i := range list {
		if hashes := list[i].SecretHashes; len(hashes) > 0 {
			if strings.HasPrefix(hashes[0], "$argon2") {
				comparer = caddyauth.Argon2idHash{}
			}
			break
		}
	}
	return clients.NewSet(list, comparer)
}

// compile checks one client of the configuration. What it makes of a client is empty while a value is not known.
func (p *Plan) compile(s *words.Settings, c *Client) (*clients.Client, error) {
	if err := c.checkWritten(); err != nil {
		return nil, err
	}
	if c.PublicKey != "" && c.JWKS != "" {
		return nil, setting.Errorf("JWKS", "client %q has public_key and jwks: keep one of them", c.ID)
	}
	resolved, known, err := c.resolve(s)
	switch {
	case err != nil:
		return nil, err
	case !known:
		p.unknown = true
		return new(clients.Client), nil
	case c.PublicKey != "" && resolved.PublicKey == "":
		return nil, setting.Errorf("PublicKey", "client %q: the file of public_key is empty", c.ID)
	case c.JWKS != "":
		p.jwks[c.ID] = resolved.JWKS
	}
	return resolved.client(p)
}

// checkWritten checks what is written before placeholders are resolved: lists that restrict nothing, and placeholders
// where none are resolved.
func (c *Client) checkWritten() error {
	for _, list := range []struct {
		field, word string
		values      []string
	}{
		{"SecretHashes", "secret_hash", c.SecretHashes}, {"Scopes", "scopes", c.Scopes}, {"Grants", "grants", c.Grants},
		{"Audience", "audience", c.Audience}, {"Introspect", "introspect", c.Introspect},
	} {
		if err := words.NotEmpty(list.word, list.values); err != nil {
			return setting.In(list.field, fmt.Errorf("client %q: %w", c.ID, err))
		}
	}
	if err := literal("ID", "client", c.ID); err != nil {
		return err
	}
	if err := literal("Scopes", "scopes", c.Scopes...); err != nil {
		return err
	}
	if err := c.checkExchangesWritten(false); err != nil {
		return err
	}
	if err := c.checkMembersWritten(false); err != nil {
		return err
	}
	if of := c.TLSClientAuth; of != nil {
		return literal("TLSClientAuth", "tls_client_auth", of.Subject, of.DNS, of.URI)
	}
	return nil
}

// literal refuses placeholders in values of a field.
func literal(field, word string, values ...string) error {
	for _, value := range values {
		if err := words.Literal(word, value); err != nil {
			return setting.In(field, err)
		}
	}
	return nil
}

// resolve resolves the placeholders of a client, and reads its files.
func (c *Client) resolve(s *words.Settings) (r *Client, known bool, err error) {
	r, known = new(Client), true
	*r = *c
	resolve := func(field string, into *[]string, read func() ([]string, bool, error)) {
		if err != nil {
			return
		}
		texts, is, failed := read()
		known, *into, err = known && is, texts, setting.In(field, failed)
	}
	one := func(field, word string, into *string, read func(what, value string) (string, bool, error)) {
		if err != nil || *into == "" {
			return
		}
		text, is, failed := read(word, *into)
		known, *into, err = known && is, text, setting.In(field, failed)
	}
	resolve("SecretHashes", &r.SecretHashes, func() (texts []string, all bool, err error) {
		all = true
		for _, hash := range c.SecretHashes {
			text, is, err := s.Text("secret_hash", hash)
			if err != nil {
				return nil, false, err
			}
			all, texts = all && is, append(texts, text)
		}
		return texts, all, nil
	})
	resolve("Audience", &r.Audience, func() ([]string, bool, error) { return s.Texts("audience", c.Audience) })
	resolve("Introspect", &r.Introspect, func() ([]string, bool, error) { return s.Texts("introspect", c.Introspect) })
	one("PublicKey", "public_key", &r.PublicKey, s.PEM)
	one("JWKS", "jwks", &r.JWKS, s.Text)
	if err != nil {
		return nil, false, err
	}
	for _, of := range []struct {
		field, word string
		into        *members
	}{{"Claims", "claim", &r.Claims}, {"Header", "header", &r.Header}} {
		all, is, err := resolveMembers(s, of.word, *of.into)
		if err != nil {
			return nil, false, setting.In(of.field, err)
		}
		*of.into, known = all, known && is
	}
	lifetimes, is, err := c.resolveLifetimes(s)
	if err != nil {
		return nil, false, setting.In("AccessLifetimes", err)
	}
	r.AccessLifetimes, known = lifetimes, known && is
	exchanges, is, err := c.resolveExchanges(s)
	r.Exchange = exchanges
	return r, known && is, err
}

// Longest is the longest life of an access token of any client. The file may have another client at any time.
func (p *Plan) Longest() (longest time.Duration) {
	if p.file != "" {
		return longestLifetime
	}
	for i := range p.fixed {
		longest = max(longest, p.fixed[i].LongestLifetime())
	}
	return longest
}

// client makes a client of settings that are resolved.
func (c *Client) client(p *Plan) (*clients.Client, error) {
	made := &clients.Client{
		ID: c.ID, SecretHashes: c.SecretHashes, Scopes: c.Scopes, Audiences: c.Audience, Introspects: c.Introspect,
	}
	if len(made.Audiences) == 0 && p.DefaultAudience != "" {
		made.Audiences = []string{p.DefaultAudience}
		if p.issuer == "" { // nobody knows which one that will be
			for audience := range c.AccessLifetimes {
				if audience != p.DefaultAudience {
					made.Audiences = append(made.Audiences, audience)
				}
			}
		}
	}
	if err := c.setLifetimes(made); err != nil {
		return nil, err
	}
	if err := c.setMembers(made); err != nil {
		return nil, err
	}
	switch made.Proof = clients.Proof(c.Proof); made.Proof {
	case "", clients.DPoP, clients.MTLS:
	default:
		return nil, setting.Errorf("Proof", "client %q: proof %q: expected dpop or mtls", c.ID, c.Proof)
	}
	switch c.Token {
	case "", "jwt":
	case "opaque":
		made.Opaque = true
	default:
		return nil, setting.Errorf("Token", "client %q: token %q: expected jwt or opaque", c.ID, c.Token)
	}
	var err error
	if made.Grants, err = c.grants(); err != nil {
		return nil, setting.In("Grants", err)
	}
	if made.Exchanges, err = c.exchanges(p); err != nil {
		return nil, err
	}
	if len(made.Grants)+len(made.Exchanges)+len(made.Introspects) == 0 {
		return nil, setting.Errorf("Grants", "client %q can do nothing: leave grants out, or add introspect or exchange",
			c.ID)
	}
	if c.PublicKey != "" {
		if made.Keys, err = keyset.NewPEM([]byte(c.PublicKey)); err != nil {
			return nil, setting.Errorf("PublicKey", "client %q: public_key: %w", c.ID, err)
		}
	}
	if c.JWKS != "" {
		if _, err := (fetch.Options{}).Plain.CheckURL(c.JWKS); err != nil {
			return nil, setting.Errorf("JWKS", "client %q: jwks: %w", c.ID, err)
		}
		made.Keys = issuers.Unopened()
	}
	made.Certificate, err = c.TLSClientAuth.compile()
	return made, setting.In("TLSClientAuth", err)
}

// grants are those that the client may use.
func (c *Client) grants() ([]clients.Grant, error) {
	switch {
	case len(c.Grants) == 0 && len(c.Introspect)+len(c.Exchange) > 0 && len(c.Audience) == 0, slices.Equal(c.Grants,
		[]string{"none"}):
		return nil, nil
	case len(c.Grants) == 0, slices.Equal(c.Grants, []string{string(clients.ClientCredentials)}):
		return []clients.Grant{clients.ClientCredentials}, nil
	}
	return nil, fmt.Errorf("client %q: grants %q: expected client_credentials or none: refresh_token is for "+
		"applications, whose users sign in; password and implicit are not possible (RFC 9700)", c.ID, c.Grants)
}

func (c *Certificate) compile() (*clients.Certificate, error) {
	if c == nil {
		return nil, nil
	}
	made := &clients.Certificate{Subject: c.Subject, DNS: c.DNS, URI: c.URI}
	if c.Key != "" {
		sum, err := hex.DecodeString(strings.ReplaceAll(c.Key, ":", ""))
		if err != nil || len(sum) != len(made.Key) {
			return nil, errors.New("tls_client_auth spki_sha256: expected 64 hexadecimal digits, as \"openssl x509 -pubkey " +
				"-noout -in client.pem | openssl pkey -pubin -outform der | sha256sum\" prints them")
		}
		copy(made.Key[:], sum)
	}
	return made, nil
}
