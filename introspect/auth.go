package introspect

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// assertionLife is how long a client assertion is valid. Each request has a new one.
const assertionLife = time.Minute

// authenticate adds our credentials to a request, by one method (RFC 6749 section 2.3).
func (c *Config) authenticate(method AuthMethod, where string, header http.Header, body *form) error {
	//exhaustive:enforce
	switch method {
	case ClientSecretBasic:
		header.Set("Authorization", "Basic "+c.basic())
	case ClientSecretPost:
		body.add("client_id", c.ClientID)
		body.add("client_secret", c.ClientSecret)
	case ClientSecretJWT, PrivateKeyJWT:
		assertion, err := c.assertion(method, where)
		if err != nil {
			return fmt.Errorf("client assertion: %w", err)
		}
		body.add("client_id", c.ClientID)
		body.add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		body.add("client_assertion", assertion)
	case TLSClientAuth: // RFC 8705 section 2: the certificate proves the id
		body.add("client_id", c.ClientID)
	case Bearer:
		header.Set("Authorization", "Bearer "+c.BearerToken)
	case None:
		if c.ClientID != "" {
			body.add("client_id", c.ClientID)
		}
	default:
		return configError("AuthMethod", "%q is unknown", method)
	}
	return nil
}

// basic form-encodes id and secret first (RFC 6749 section 2.3.1), so that a colon in the id is not taken for the
// separator between the two.
func (c *Config) basic() string {
	id, secret := url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret)
	if c.RawBasic {
		id, secret = c.ClientID, c.ClientSecret
	}
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}

// assertion signs a JWT that proves who we are (RFC 7523 section 3).
func (c *Config) assertion(method AuthMethod, where string) (string, error) {
	var key any = []byte(c.ClientSecret)
	if method == PrivateKeyJWT {
		key = c.PrivateKey
	}
	audience := orDefault(orDefault(c.AssertionAudience, c.Issuer), where)
	now := c.Now()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(c.assertionAlg(method)), jwt.MapClaims{
		"iss": c.ClientID,
		"sub": c.ClientID,
		"aud": audience,
		"jti": rand.Text(),
		"iat": now.Unix(),
		"exp": now.Add(assertionLife).Unix(),
	})
	if c.KeyID != "" {
		token.Header["kid"] = c.KeyID
	}
	return token.SignedString(key)
}

// canSign tries PrivateKey out. It recovers, because the standard library panics on an incomplete key.
func (c *Config) canSign() (can bool) {
	defer func() {
		if recover() != nil {
			can = false
		}
	}()
	_, err := c.assertion(PrivateKeyJWT, c.Issuer)
	return err == nil
}

func (c *Config) assertionAlg(method AuthMethod) string {
	if c.AssertionAlg != "" {
		return c.AssertionAlg
	}
	if method == ClientSecretJWT {
		return "HS256"
	}
	if algs := keyAlgs(c.PrivateKey); len(algs) > 0 {
		return algs[0]
	}
	return ""
}

// keyAlgs lists the JWS algorithms that fit a private key, the default first. It is empty when the key cannot be used.
func keyAlgs(key any) []string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k != nil && k.N != nil && k.N.BitLen() >= 2048 { // RFC 7518 section 3.3
			return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		}
	case *ecdsa.PrivateKey:
		if k != nil {
			return map[elliptic.Curve][]string{
				elliptic.P256(): {"ES256"}, elliptic.P384(): {"ES384"}, elliptic.P521(): {"ES512"},
			}[k.Curve]
		}
	case ed25519.PrivateKey:
		if len(k) == ed25519.PrivateKeySize {
			return []string{"EdDSA"}
		}
	}
	return nil
}

// secretAlgs has the shortest secret in bytes for each HMAC: as long as its output (RFC 7518 section 3.2).
var secretAlgs = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// authMethod decides how to authenticate. The configured method is the operator's choice and wins. Otherwise it is the
// first that fits the credentials, among those that the server supports when it names any (RFC 8414 section 2). Empty
// means that no method fits.
func (c *Config) authMethod(supported []AuthMethod) AuthMethod {
	if c.AuthMethod != "" {
		return c.AuthMethod
	}
	for _, method := range c.fitting() {
		if len(supported) == 0 || slices.Contains(supported, method) {
			return method
		}
	}
	return ""
}

// fitting lists the methods that the credentials are good for, the most widely supported first.
func (c *Config) fitting() []AuthMethod {
	switch {
	case c.PrivateKey != nil:
		return []AuthMethod{PrivateKeyJWT}
	case c.ClientSecret != "" && (c.AssertionAlg != "" || c.AssertionAudience != "" || c.KeyID != ""):
		return []AuthMethod{ClientSecretJWT}
	case c.ClientSecret != "" && len(c.ClientSecret) >= secretAlgs["HS256"] && !c.RawBasic:
		return []AuthMethod{ClientSecretBasic, ClientSecretPost, ClientSecretJWT}
	case c.ClientSecret != "" && !c.RawBasic:
		return []AuthMethod{ClientSecretBasic, ClientSecretPost}
	case c.ClientSecret != "":
		return []AuthMethod{ClientSecretBasic}
	case c.BearerToken != "":
		return []AuthMethod{Bearer}
	}
	return nil
}

// validateAuth demands credentials that fit exactly one method. The endpoint must require some authentication (RFC 7662
// section 2.1), so the operator has to write out the method none.
func (c *Config) validateAuth() error {
	method := c.authMethod(nil)
	//exhaustive:enforce
	switch method {
	case "":
		return configError("AuthMethod", "no client authentication: give a client secret, a private key or a bearer token, "+
			"or choose tls_client_auth or, if the endpoint is open, none")
	case ClientSecretBasic, ClientSecretPost, ClientSecretJWT, PrivateKeyJWT, TLSClientAuth, Bearer, None:
	default:
		return configError("AuthMethod", "%q is unknown; known are %s, %s, %s, %s, %s, %s and %s", method,
			ClientSecretBasic, ClientSecretPost, ClientSecretJWT, PrivateKeyJWT, TLSClientAuth, Bearer, None)
	}
	wantsSecret := method == ClientSecretBasic || method == ClientSecretPost || method == ClientSecretJWT
	for _, credential := range []struct {
		field        string
		there, wants bool
	}{
		{"ClientSecret", c.ClientSecret != "", wantsSecret},
		{"PrivateKey", c.PrivateKey != nil, method == PrivateKeyJWT},
		{"BearerToken", c.BearerToken != "", method == Bearer},
	} {
		if credential.there && !credential.wants {
			return configError(credential.field, "the method %s does not use it; remove it, or choose another method", method)
		}
		if credential.wants && !credential.there {
			return configError(credential.field, "missing: the method %s needs it", method)
		}
	}
	if c.ClientID == "" && method != Bearer && method != None {
		return configError("ClientID", "missing: the method %s needs it", method)
	}
	if c.RawBasic && method != ClientSecretBasic {
		return configError("RawBasic", "it is for client_secret_basic only, not for %s", method)
	}
	if method != ClientSecretJWT && method != PrivateKeyJWT {
		for _, of := range []struct{ field, value string }{
			{"KeyID", c.KeyID}, {"AssertionAlg", c.AssertionAlg}, {"AssertionAudience", c.AssertionAudience},
		} {
			if of.value != "" {
				return configError(of.field, "it is for client_secret_jwt and private_key_jwt, not for %s", method)
			}
		}
	}
	return c.validateMethod(method)
}

func (c *Config) validateMethod(method AuthMethod) error {
	//exhaustive:enforce
	switch method {
	case ClientSecretBasic:
		control := strings.ContainsFunc(c.ClientID+c.ClientSecret, isControl)
		if c.RawBasic && (control || strings.Contains(c.ClientID, ":")) {
			return configError("RawBasic", "without encoding, the client id must not contain a colon, and neither id nor "+
				"secret may contain control characters")
		}
	case ClientSecretJWT:
		alg := c.assertionAlg(method)
		size, ok := secretAlgs[alg]
		if !ok {
			return configError("AssertionAlg", "%q does not fit client_secret_jwt; use HS256, HS384 or HS512", alg)
		}
		if len(c.ClientSecret) < size {
			return configError("ClientSecret", "it has %d bytes, and %s needs at least %d", len(c.ClientSecret), alg, size)
		}
	case PrivateKeyJWT:
		algs := keyAlgs(c.PrivateKey)
		if len(algs) == 0 {
			return configError("PrivateKey", "a key of this kind cannot be used; use RSA of at least 2048 bits, P-256, P-384, "+
				"P-521 or Ed25519")
		}
		if c.AssertionAlg != "" && !slices.Contains(algs, c.AssertionAlg) {
			return configError("AssertionAlg", "%q does not fit the private key; use %s",
				c.AssertionAlg, strings.Join(algs, ", "))
		}
		if c.publicKey() == "" || !c.canSign() {
			return configError("PrivateKey", "it is incomplete: it cannot sign")
		}
	case TLSClientAuth:
		if c.HTTPClient == nil {
			return configError("HTTPClient", "missing: tls_client_auth needs one with a client certificate")
		}
		if strings.HasPrefix(c.Endpoint, "http:") {
			return configError("Endpoint", "tls_client_auth needs TLS: use https")
		}
	case Bearer:
		if !isPrintable(c.BearerToken) {
			return configError("BearerToken", "it is not one word of visible ASCII")
		}
	case ClientSecretPost, None: // any values will do
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
