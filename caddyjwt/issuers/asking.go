package issuers

import (
	"crypto"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/privatekey"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Asking is an introspect block whose settings have been checked.
type Asking struct {
	Mode   gate.AskMode
	Prefix string
	Client introspect.Config
	Doubt  string // about the secret that signs assertions, see jose.Key.Doubt

	credential credential
	renew      func(text string) (introspect.Credentials, error) // nil if no secret follows a file
}

func (i *Introspect) compile(s *words.Settings, of *Issuer, plan *Plan) (*Asking, error) {
	out := &Asking{}
	switch i.Mode {
	case "", "opaque":
		out.Mode = gate.AskOpaque
	case "always":
		out.Mode = gate.AskAlways
	default:
		return nil, setting.Errorf("Mode", "mode %q: expected opaque or always", i.Mode)
	}
	config := &out.Client
	how := plan.Issuer.Reading(0)
	config.Issuer, config.Decode = plan.Issuer.Name, gate.DecodeAnswer(plan.Issuer.Name, how)
	config.Tolerate = gate.AnswerTolerance(plan.Issuer.Tolerate)
	switch i.Verify {
	case "", "introspection":
	case "userinfo":
		decode := how.DecodeUserInfo
		if i.Signed {
			decode = how.DecodeSignedUserInfo
		}
		config.Mode, config.Decode = introspect.UserInfo, gate.DecodeUserInfo(plan.Issuer.Name, decode)
		if err := out.withoutAudience(of); err != nil {
			return nil, err
		}
	default:
		return nil, setting.Errorf("Verify", "verify %q: expected introspection or userinfo", i.Verify)
	}
	if err := i.compileTexts(s, out); err != nil {
		return nil, err
	}
	config.AssertionAlg, config.PlainHTTP = i.AssertionAlg, introspect.PlainHTTP(plan.Server.Fetch.Plain)
	if err := i.compileKey(s, out); err != nil {
		return nil, err
	}
	if err := i.compileParams(s, config); err != nil {
		return nil, err
	}
	config.RawBasic, config.Signed = i.RawBasic, i.Signed
	config.Timeout, config.MaxInFlight = time.Duration(i.Timeout), i.MaxInFlight
	if err := i.compileTTLs(config); err != nil {
		return nil, err
	}
	if err := i.checkMethod(of, out); err != nil {
		return nil, err
	}
	if err := i.checkBeside(out, plan); err != nil {
		return nil, err
	}
	if err := out.check(); err != nil {
		return nil, byOurField(err)
	}
	if out.credential.Word != "" {
		out.renew = func(text string) (introspect.Credentials, error) { return i.renewed(out, text) }
	}
	return out, nil
}

// withoutAudience handles UserInfo, whose answers do not tell a token's audience. A JWT has it itself.
func (p *Asking) withoutAudience(of *Issuer) error {
	switch {
	case of.AnyAudience:
	case p.Mode == gate.AskOpaque:
		return setting.Errorf("Verify", "verify userinfo does not tell a token's audience: "+
			"to accept every token of this issuer, write \"audience any\" in the issuer block")
	case of.Introspect.Prefix != "":
		return setting.Errorf("Prefix",
			"prefix is about opaque tokens, which verify userinfo cannot accept with an audience: remove it")
	default:
		p.Mode = gate.AskJWTs
	}
	return nil
}

// checkBeside checks that the issuer has the keys and the address that the settings need.
func (i *Introspect) checkBeside(p *Asking, plan *Plan) error {
	switch {
	case i.Signed && !slices.ContainsFunc(plan.Sources, Source.public):
		return setting.Errorf("Signed", "signed answers need the issuer's public keys, and \"keys %s\" has none",
			plan.KeysFrom())
	case i.Signed && i.ClientID == "" && p.Client.Mode == introspect.Introspection:
		return setting.Errorf("Signed",
			"signed answers name the client that they are for (RFC 9701 section 5): add client_id")
	}
	if i.Endpoint == "" && plan.Server.Metadata == "" && plan.Server.IssuerKnown {
		return setting.Wrap("the endpoint cannot be discovered from this issuer; add \"endpoint <url>\"",
			keyset.CheckDiscoverable(plan.Server.Fetch.Plain, plan.Server.Issuer))
	}
	return nil
}

// compileTexts resolves the texts. Those that are not known yet get stand-ins, so that all else can be checked.
func (i *Introspect) compileTexts(s *words.Settings, out *Asking) error {
	var endpoint, secret bool // whether they are known
	for _, text := range []struct {
		field, name, value string
		into               *string
		known              *bool
	}{
		{"Prefix", "prefix", i.Prefix, &out.Prefix, new(bool)},
		{"Endpoint", "endpoint", i.Endpoint, &out.Client.Endpoint, &endpoint},
		{"ClientID", "client_id", i.ClientID, &out.Client.ClientID, new(bool)},
		{"ClientSecret", "client_secret", i.ClientSecret, &out.Client.ClientSecret, &secret},
		{"KeyID", "key_id", i.KeyID, &out.Client.KeyID, new(bool)},
		{"BearerToken", "bearer_token", i.BearerToken, &out.Client.BearerToken, new(bool)},
		{"TokenTypeHint", "token_type_hint", i.TokenTypeHint, &out.Client.TokenTypeHint, new(bool)},
	} {
		template, known, err := s.Rotating(text.name, text.value)
		if err != nil {
			return setting.In(text.field, err)
		}
		*text.into, *text.known = template.First, known
		if text.name == "client_secret" || text.name == "bearer_token" {
			out.rotates(text.name, template, "")
		}
	}
	if !endpoint {
		out.Client.Endpoint = ""
	}
	if !secret {
		out.Client.ClientSecret = words.Unguessable() + words.Unguessable() // as long as any algorithm needs
	}
	return nil
}

// compileKey reads the private key.
func (i *Introspect) compileKey(s *words.Settings, out *Asking) error {
	if i.PrivateKey == "" {
		for _, of := range []struct{ field, word, value string }{
			{"KeyID", "key_id names", i.KeyID}, {"PrivateKeyPassword", "password is for", i.PrivateKeyPassword},
		} {
			if of.value != "" {
				return setting.Errorf(of.field, "%s a private_key, and there is none: remove it, or add the key", of.word)
			}
		}
		return nil
	}
	password, openable, err := s.Text("password", i.PrivateKeyPassword)
	if err != nil {
		return setting.In("PrivateKeyPassword", setting.Wrap("private_key", err))
	}
	template, known, err := s.RotatingPEM("private_key", i.PrivateKey)
	switch {
	case err != nil:
	case known && openable:
		out.Client.PrivateKey, err = parseKey(template.First, password)
		out.rotates("private_key", template, password)
	default: // any key will do, so that all else can be checked; only the algorithm must fit it
		_, out.Client.PrivateKey, err = ed25519.GenerateKey(nil)
		if alg, ok := jose.ParseAlgorithm(i.AssertionAlg); ok && jose.AsymmetricAlgorithms().Has(alg) {
			out.Client.AssertionAlg = ""
		}
	}
	if setting.Field(err) != "" {
		return err
	}
	return setting.In("PrivateKey", err)
}

// parseKey reads the private key, and names the words that are about it.
func parseKey(text, password string) (crypto.Signer, error) {
	key, err := privatekey.Parse([]byte(text), []byte(password))
	return key, words.PasswordMistake(err, "private_key", "PrivateKey", "PrivateKeyPassword")
}

func (i *Introspect) compileParams(s *words.Settings, config *introspect.Config) error {
	for n, p := range i.Params {
		err := words.Literal("param", p.Name)
		value := ""
		if err == nil {
			value, _, err = s.Text("param "+p.Name, p.Value)
		}
		if err != nil {
			return setting.In(setting.Element("Params", n), err)
		}
		config.Params = append(config.Params, introspect.Param{Name: p.Name, Value: value})
	}
	return nil
}

// compileTTLs checks the times in the words of the configuration. The client would check them too, but has another
// value for "remember nothing".
func (i *Introspect) compileTTLs(config *introspect.Config) error {
	for _, ttl := range []struct {
		field, word string
		given       *caddy.Duration
		into        *time.Duration
	}{
		{"CacheTTL", "cache_ttl", i.CacheTTL, &config.CacheTTL},
		{"NegativeTTL", "negative_ttl", i.NegativeTTL, &config.NegativeTTL},
	} {
		*ttl.into = lifetime(ttl.given)
		if *ttl.into > introspect.MaxCacheTTL || *ttl.into < 0 && *ttl.into != introspect.Off {
			return setting.Errorf(ttl.field, "%s %v is not between 0s (nothing is remembered) and %v",
				ttl.word, *ttl.into, introspect.MaxCacheTTL)
		}
	}
	return nil
}

// lifetime translates a missing duration and "0s" to what the client calls them.
func lifetime(d *caddy.Duration) time.Duration {
	switch {
	case d == nil:
		return 0
	case *d == 0:
		return introspect.Off
	default:
		return time.Duration(*d)
	}
}
