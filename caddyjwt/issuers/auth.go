package issuers

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// authMethod is one way to authenticate at an introspection endpoint.
type authMethod struct {
	name introspect.AuthMethod
	also []string // its names elsewhere
	// check checks what the method needs and the client does not check itself. It may be nil.
	check func(i *Introspect, of *Issuer, out *Asking) error
}

var authMethods = []authMethod{
	{name: introspect.ClientSecretBasic, also: []string{"basic", "http_basic", "header"}},
	{name: introspect.ClientSecretPost, also: []string{"post", "body", "form"}},
	{name: introspect.ClientSecretJWT, also: []string{"jwt", "hmac"}, check: (*Introspect).checkAssertionSecret},
	{name: introspect.PrivateKeyJWT, also: []string{"private_key", "private_jwt", "assertion"}},
	{name: introspect.TLSClientAuth, also: []string{"mtls", "tls", "certificate", "self_signed_tls_client_auth"},
		check: (*Introspect).checkCertificate},
	{name: introspect.Bearer, also: []string{"token", "bearer_token"}},
	{name: introspect.None, also: []string{"off", "public"}},
}

// AuthMethods names the methods of authentication at an introspection endpoint.
func AuthMethods() (names []string) {
	for _, method := range authMethods {
		names = append(names, string(method.name))
	}
	return names
}

// checkMethod checks the method of authentication. If the configuration names none, the client chooses one.
func (i *Introspect) checkMethod(of *Issuer, out *Asking) error {
	if i.AuthMethod == "" && i.AssertionAlg != "" && i.PrivateKey == "" { // only client_secret_jwt fits
		return i.checkAssertionSecret(of, out)
	}
	if i.AuthMethod == "" {
		return nil
	}
	for _, method := range authMethods {
		if i.AuthMethod == string(method.name) {
			out.Client.AuthMethod = method.name
			if method.check == nil {
				return nil
			}
			return method.check(i, of, out)
		}
		if slices.Contains(method.also, i.AuthMethod) {
			return unknownMethod(i.AuthMethod, string(method.name))
		}
	}
	names := AuthMethods()
	if meant := words.MostAlike(i.AuthMethod, names); meant != "" {
		return unknownMethod(i.AuthMethod, meant)
	}
	return setting.Errorf("AuthMethod", "auth_method %q is unknown; expected %s", i.AuthMethod, words.Alternatives(names))
}

func unknownMethod(name, meant string) error {
	return setting.In("AuthMethod", fmt.Errorf("auth_method %q is unknown (did you mean %q?)", name, meant))
}

// checkAssertionSecret requires a random secret. In other methods the secret is a password, which only the server can
// check. Here everybody who sees an assertion can try secrets against it.
func (i *Introspect) checkAssertionSecret(_ *Issuer, out *Asking) error {
	if i.ClientSecret == "" {
		return nil // the client reports this
	}
	key, err := jose.NewSecretKey("", []byte(out.Client.ClientSecret), jose.MakeAlgorithms(jose.HS256))
	if err != nil {
		return setting.In("ClientSecret", setting.Wrap("client_secret", err))
	}
	out.Doubt = key.Doubt()
	return nil
}

func (i *Introspect) checkCertificate(of *Issuer, _ *Asking) error {
	if of.TLS == nil || of.TLS.ClientCert == "" {
		return setting.Errorf("AuthMethod", "auth_method tls_client_auth needs a certificate: "+
			"add client_cert and client_key to a tls block of the issuer")
	}
	return nil
}
