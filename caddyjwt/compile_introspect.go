package caddyjwt

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// introspectPlan is an introspect block whose settings have been checked.
type introspectPlan struct {
	mode   gate.IntrospectMode
	prefix string
	config introspect.Config
	doubt  string // about the secret that signs assertions, see jose.Key.Doubt
}

func (i *Introspect) compile(repl *caddy.Replacer, of *Issuer, plan *issuerPlan) (*introspectPlan, error) {
	out := &introspectPlan{}
	switch i.Mode {
	case "", "opaque":
		out.mode = gate.IntrospectOpaque
	case "always":
		out.mode = gate.IntrospectAlways
	default:
		return nil, fmt.Errorf("mode %q: expected opaque or always", i.Mode)
	}
	config := &out.config
	config.Issuer, config.Decode = plan.issuer.Name, gate.DecodeAnswer(plan.issuer.Name)
	switch i.Verify {
	case "", "introspection":
	case "userinfo":
		config.Mode, config.Decode = introspect.UserInfo, gate.DecodeUserInfo(plan.issuer.Name)
		if err := out.withoutAudience(of); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("verify %q: expected introspection or userinfo", i.Verify)
	}
	if err := i.compileTexts(repl, out); err != nil {
		return nil, err
	}
	if i.KeyID != "" && i.PrivateKey == "" {
		return nil, errors.New("key_id names a private_key, and there is none: remove it, or add the key")
	}
	if i.PrivateKey != "" {
		key, err := privateKey(repl, i.PrivateKey)
		if err != nil {
			return nil, err
		}
		config.PrivateKey = key
	}
	for _, p := range i.Params {
		if err := literal("param", p.Name); err != nil {
			return nil, err
		}
		value, err := resolve(repl, "param "+p.Name, p.Value)
		if err != nil {
			return nil, err
		}
		config.Params = append(config.Params, introspect.Param{Name: p.Name, Value: value})
	}
	config.AuthMethod = introspect.AuthMethod(i.AuthMethod)
	config.RawBasic, config.Signed = i.RawBasic, i.Signed
	if config.AuthMethod == introspect.ClientSecretJWT && config.ClientSecret != "" {
		// Elsewhere it is a password, which only the server checks; here whoever sees an assertion can try secrets.
		key, err := jose.NewSecretKey("", []byte(config.ClientSecret), jose.MakeAlgorithms(jose.HS256))
		if err != nil {
			return nil, wrap("client_secret", err)
		}
		out.doubt = key.Doubt()
	}
	config.Timeout, config.MaxInFlight = time.Duration(i.Timeout), i.MaxInFlight
	config.CacheTTL, config.NegativeTTL = lifetime(i.CacheTTL), lifetime(i.NegativeTTL)
	return out, out.checkBeside(&plan.source)
}

// withoutAudience handles answers that cannot tell for whom a token was issued, as those of UserInfo. A JWT says it
// itself.
func (p *introspectPlan) withoutAudience(of *Issuer) error {
	switch {
	case of.AnyAudience:
	case p.mode == gate.IntrospectOpaque:
		return errors.New("verify userinfo cannot tell for whom a token was issued: " +
			"if every token of this issuer may pass, write out \"audience any\" in the issuer block")
	case of.Introspect.Prefix != "":
		return errors.New("prefix is how opaque tokens begin, and verify userinfo with an audience takes none: remove it")
	default:
		p.mode = gate.IntrospectJWTs
	}
	return nil
}

// checkBeside checks what the settings need of the issuer's keys and of its TLS settings.
func (p *introspectPlan) checkBeside(source *sourcePlan) error {
	switch {
	case p.config.Signed && source.kind == "none":
		return errors.New("signed answers are verified with the issuer's keys: \"keys none\" has none")
	case p.config.Signed && source.kind == "secret":
		return errors.New("signed answers are verified with public keys: \"keys secret\" has none")
	case p.config.Signed && p.config.ClientID == "" && p.config.Mode == introspect.Introspection:
		return errors.New("signed answers name the client that they are for (RFC 9701 section 5): add client_id")
	case p.config.AuthMethod == introspect.TLSClientAuth && len(source.fetch.ClientCert) == 0:
		return errors.New("auth_method tls_client_auth needs a certificate: " +
			"add client_cert and client_key to a tls block of the issuer")
	}
	if p.config.Endpoint == "" && (source.kind != "discovery" || source.url == "") {
		return wrap("discovering the endpoint (or give one with \"endpoint\")", keyset.CheckDiscoverable(source.issuer))
	}
	return nil
}

func (i *Introspect) compileTexts(repl *caddy.Replacer, out *introspectPlan) (err error) {
	for _, field := range []struct {
		name  string
		value string
		into  *string
	}{
		{"prefix", i.Prefix, &out.prefix},
		{"endpoint", i.Endpoint, &out.config.Endpoint},
		{"client_id", i.ClientID, &out.config.ClientID},
		{"client_secret", i.ClientSecret, &out.config.ClientSecret},
		{"key_id", i.KeyID, &out.config.KeyID},
		{"bearer_token", i.BearerToken, &out.config.BearerToken},
		{"token_type_hint", i.TokenTypeHint, &out.config.TokenTypeHint},
	} {
		if *field.into, err = resolve(repl, field.name, field.value); err != nil {
			return err
		}
	}
	return nil
}

// lifetime translates "not said" and "0s", which a pointer tells apart, for the client.
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

// privateKey reads the private key of a setting.
func privateKey(repl *caddy.Replacer, value string) (crypto.Signer, error) {
	text, err := readPEM(repl, "private_key", value)
	if err != nil {
		return nil, err
	}
	return parsePrivateKey([]byte(text))
}

func parsePrivateKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(jose.PlainText(text))
	if block == nil {
		return nil, errors.New("private key: no PEM block")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("private key: a PEM block of type %q is not an unencrypted private key", block.Type)
	}
	if err != nil {
		return nil, errors.New("private key: the PEM block cannot be read")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("private key: this kind of key cannot sign")
	}
	return signer, nil
}
