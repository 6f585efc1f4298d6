package integration

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// The tests in this file are about what standards want of the addresses for OAuth clients, seen from outside:
// docs/issuing-standards.md says which requirement each is for.

// descriptions are the characters of an error_description (RFC 6749 section 5.2).
var descriptions = regexp.MustCompile(`^[ !#-\[\]-~]+$`)

// An error is a JSON object with a code of the standard, and a text of its characters. One of 401 has a challenge for
// the way in which clients show who they are (RFC 6749 section 5.2). No cache keeps it.
func TestErrorsAreThoseOfRFC6749(t *testing.T) {
	b := openBoothForClients(t)
	at := func(path string, form url.Values, header ...string) func() answer {
		return func() answer { return b.form(path, form, header...) }
	}
	billing := secretOf("billing")
	for name, c := range map[string]struct {
		send   func() answer
		status int
		code   string
	}{
		"nobody":          {at(tokenPath, asking()), 401, "invalid_client"},
		"nobody asks":     {at(introspectionPath, formOf("token", "x")), 401, "invalid_client"},
		"nobody revokes":  {at(revocationPath, formOf("token", "x")), 401, "invalid_client"},
		"a wrong secret":  {at(tokenPath, asking(), secretOf("billing", "wrong")...), 401, "invalid_client"},
		"in the form":     {at(tokenPath, asking("client_id", "stock", "client_secret", "x")), 401, "invalid_client"},
		"another scheme":  {at(tokenPath, asking(), "Authorization", "Bearer x"), 401, "invalid_client"},
		"a bad assertion": {at(tokenPath, asserting(asking(), "x")), 401, "invalid_client"},
		"an unknown method": {at(tokenPath, asking("client_assertion_type", "x", "client_assertion", "x")), 401,
			"invalid_client"},
		"two methods":           {at(tokenPath, asserting(asking(), "x"), billing...), 400, "invalid_request"},
		"no grant_type":         {at(tokenPath, formOf(), billing...), 400, "invalid_request"},
		"a parameter twice":     {at(tokenPath, asking("scope", "a", "scope", "b"), billing...), 400, "invalid_request"},
		"a parameter in query":  {at(tokenPath+"?scope=read", asking(), billing...), 400, "invalid_request"},
		"no token to ask about": {at(introspectionPath, formOf(), secretOf("asker")...), 400, "invalid_request"},
		"no token to revoke":    {at(revocationPath, formOf(), billing...), 400, "invalid_request"},
		"no refresh token":      {at(tokenPath, refreshing(orders, "")), 400, "invalid_request"},
		"a bad refresh token":   {at(tokenPath, refreshing(orders, "x")), 400, "invalid_grant"},
		"another client's":      {at(tokenPath, asking("client_id", orders)), 400, "unauthorized_client"},
		"no grant":              {at(tokenPath, asking(), secretOf("asker")...), 400, "unauthorized_client"},
		"nothing to ask about":  {at(introspectionPath, formOf("token", "x"), billing...), 403, "unauthorized_client"},
		"an unknown grant":      {at(tokenPath, formOf("grant_type", "x"), billing...), 400, "unsupported_grant_type"},
		"an unknown scope":      {at(tokenPath, asking("scope", "\"\\ä"), billing...), 400, "invalid_scope"},
		"an unknown resource":   {at(tokenPath, asking("resource", "\"\\ä"), billing...), 400, "invalid_target"},
		"no proof":              {at(tokenPath, asking(), append(billing, "DPoP", "x")...), 400, "invalid_dpop_proof"},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.in(t)
			a := c.send()
			b.failed(a, c.status, c.code)
			var members map[string]string
			if err := json.Unmarshal([]byte(a.body), &members); err != nil || len(members) != 2 ||
				!descriptions.MatchString(members["error_description"]) {
				t.Errorf("%s: %v", a.body, err)
			}
			if kind := a.Header.Get("Content-Type"); kind != "application/json" || a.Header.Get("Pragma") != "no-cache" {
				t.Errorf("Content-Type %q, Pragma %q", kind, a.Header.Get("Pragma"))
			}
			challenges := a.Header.Values("WWW-Authenticate")
			if is := len(challenges) == 1 && strings.HasPrefix(challenges[0], "Basic "); is != (c.status == 401) {
				t.Errorf("challenges %q", challenges)
			}
		})
	}
}

// What nobody knows means nothing, and what has no value is not there (RFC 6749 section 3.2).
func TestParametersThatMeanNothing(t *testing.T) {
	b := openBoothForClients(t)
	nothing := []string{"state", "x", "redirect_uri", "x", "code", "x", "username", "x", "password", "x", "request", "x",
		"scope", "", "resource", "", "client_secret", "", "client_assertion", "", "token_type_hint", "x", "bare", ""}
	given := b.tokensIn(b.form(tokenPath, asking(nothing...), secretOf("billing")...))
	if given.Scope != "read write" {
		t.Errorf("scope %q", given.Scope)
	}
	a := b.form(introspectionPath, formOf(append(nothing, "token", given.Access)...), secretOf("asker")...)
	if !strings.Contains(a.body, `"active":true`) {
		t.Errorf("status %d, %s", a.StatusCode, a.body)
	}
	a = b.form(revocationPath, formOf(append(nothing, "token", given.Access)...), secretOf("billing")...)
	if a.StatusCode != http.StatusOK {
		t.Errorf("status %d, %s", a.StatusCode, a.body)
	}
	b.isOut(given.Access, "revoked")
}

// There is nothing for whoever signs in through a page: no authorization endpoint, no registration, and no grant that
// takes a password or a code. What asks for them gets no answer of the issuer.
func TestThereIsNoAuthorizationEndpoint(t *testing.T) {
	b := openBoothForClients(t)
	for _, grant := range []string{
		"authorization_code", "implicit", "password", "urn:ietf:params:oauth:grant-type:device_code",
		"urn:ietf:params:oauth:grant-type:saml2-bearer", "urn:openid:params:grant-type:ciba",
		exchangeGrant, assertionGrant, // nobody has a policy for them here
	} {
		form := formOf("grant_type", grant, "username", "alice", "password", password, "code", "x")
		b.failed(b.form(tokenPath, form, secretOf("billing")...), http.StatusBadRequest, "unsupported_grant_type")
		form.Set("client_id", orders)
		b.failed(b.form(tokenPath, form), http.StatusBadRequest, "unsupported_grant_type")
	}
	for _, name := range []string{"authorize", "authorization", "register", "registration", "par", "device_authorization",
		"userinfo", "logout"} {
		for _, path := range []string{"/", "/oauth2/"} {
			a := b.get(path+name+"?response_type=code&client_id=billing&redirect_uri=https://friend.example/", "")
			b.refused(a, http.StatusUnauthorized, "missing_token") // by the gate behind
			if a.Header.Get("Location") != "" {
				t.Errorf("%s%s leads to %s", path, name, a.Header.Get("Location"))
			}
		}
	}
	for _, document := range b.metadata() {
		for member := range document {
			if strings.HasPrefix(member, "authorization_") || strings.HasPrefix(member, "registration_") ||
				strings.HasPrefix(member, "code_challenge") || strings.HasPrefix(member, "pushed_") {
				t.Errorf("the metadata have %s", member)
			}
		}
	}
}

// metadata are both documents with metadata.
func (b *booth) metadata() (all []map[string]any) {
	b.t.Helper()
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		var document map[string]any
		a := b.get("/.well-known/"+name, "")
		if err := json.Unmarshal([]byte(a.body), &document); err != nil || a.StatusCode != http.StatusOK ||
			a.Header.Get("Content-Type") != "application/json" {
			b.t.Fatalf("status %d, %s", a.StatusCode, a.body)
		}
		all = append(all, document)
	}
	return all
}

// The metadata say what there is, and nothing else (RFC 8414 sections 2, 3.2 and 3.3).
func TestMetadataAreThoseOfRFC8414(t *testing.T) {
	b := openBoothForClients(t)
	for _, document := range b.metadata() {
		if document["issuer"] != ownIssuer {
			t.Errorf("issuer %v", document["issuer"])
		}
		for member, value := range document {
			text, isText := value.(string)
			list, isList := value.([]any)
			switch {
			case value == nil:
				t.Errorf("%s is null", member)
			case strings.HasSuffix(member, "_endpoint") || strings.HasSuffix(member, "_uri"):
				if !isText || !strings.HasPrefix(text, ownIssuer+"/") {
					t.Errorf("%s is %v", member, value)
				}
			case isList && len(list) == 0 && member != "response_types_supported": // which is required
				t.Errorf("%s has no element", member)
			case strings.Contains(member, "_alg_values_supported") && (!isList || slices.Contains(list, any("none")) ||
				slices.Contains(list, any("HS256"))):
				t.Errorf("%s is %v", member, value)
			}
		}
		for _, endpoint := range []string{"token", "introspection", "revocation"} {
			methods, _ := document[endpoint+"_endpoint_auth_methods_supported"].([]any)
			algorithms, _ := document[endpoint+"_endpoint_auth_signing_alg_values_supported"].([]any)
			if !slices.Contains(methods, any("private_key_jwt")) || len(algorithms) == 0 ||
				slices.Contains(methods, any("none")) != (endpoint != "introspection") {
				t.Errorf("at %s: %v by %v", endpoint, methods, algorithms)
			}
		}
		if document["tls_client_certificate_bound_access_tokens"] != true {
			t.Errorf("%v", document)
		}
	}
	for _, name := range []string{"oauth-authorization-server", "openid-configuration", "jwks.json"} {
		path := "/.well-known/" + name
		if a := b.do(b.request(http.MethodHead, path, nil)); a.StatusCode != http.StatusOK || a.body != "" {
			t.Errorf("HEAD %s: status %d, %s", path, a.StatusCode, a.body)
		}
		if a := b.post(path, asForm, ""); a.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: status %d", path, a.StatusCode)
		}
	}
	b.nothingForwarded()
}

// publishedKeys are the keys at the address that the metadata name.
func (b *booth) publishedKeys() (set jose.JSONWebKeySet) {
	b.t.Helper()
	address, _ := b.metadata()[0]["jwks_uri"].(string)
	a := b.get(strings.TrimPrefix(address, ownIssuer), "")
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || a.StatusCode != http.StatusOK || len(set.Keys) == 0 {
		b.t.Fatalf("status %d, %s, %v", a.StatusCode, a.body, err)
	}
	return set
}

// Another library verifies the tokens with the keys that are published. Each key has a name of its own, says what it is
// for, and has no private half (RFC 7517 sections 4 and 9.2). A gate that insists on RFC 9068 takes the tokens, RS256
// (section 2.1) among them.
func TestAccessTokensMeetRFC9068(t *testing.T) {
	for _, algorithm := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			b := newBooth(t)
			b.runs(b.issuerWith("algorithm "+algorithm, b.billing(), appOf("/iris/", "compat iris")),
				gateForAudience(issuerBlock(ownIssuer, "keys local", "profile rfc9068")))
			set := b.publishedKeys()
			names := make(map[string]bool)
			for _, key := range set.Keys {
				if names[key.KeyID] || key.KeyID == "" || !key.IsPublic() || key.Use != "sig" || key.Algorithm != algorithm {
					t.Errorf("key %q, use %q, alg %q", key.KeyID, key.Use, key.Algorithm)
				}
				names[key.KeyID] = true
			}
			for name, token := range map[string]string{"a client's": b.tokenOf("billing"), "a user's": b.login().Access} {
				b.works(token)
				signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := signed.Verify(set); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			// Tokens as those of IRIS are another kind, which somebody has to ask for.
			b.refused(b.get("/iris/7", b.loginAt("/iris/", signsIn()).Access), http.StatusUnauthorized, "invalid_type")
		})
	}
}

// Who accepts a signed answer gets one, by a key that is published (RFC 9701 sections 4, 5 and 7).
func TestSignedAnswersAreThoseOfRFC9701(t *testing.T) {
	const media = "application/token-introspection+jwt"
	b := openBoothForClients(t)
	token := b.tokenOf("billing")
	ask := func(token string, header ...string) answer {
		return b.form(introspectionPath, formOf("token", token), append(header, "Accept", media)...)
	}
	algorithms, _ := b.metadata()[0]["introspection_signing_alg_values_supported"].([]any)
	for name, c := range map[string]struct {
		token  string
		active bool
	}{"a good token": {token, true}, "none": {"x", false}} {
		a := ask(c.token, secretOf("asker")...)
		if kind := a.Header.Get("Content-Type"); a.StatusCode != http.StatusOK || kind != media {
			t.Fatalf("%s: status %d, %s, %s", name, a.StatusCode, kind, a.body)
		}
		b.neverCached(a)
		signed, err := jose.ParseSignedCompact(a.body, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		header := signed.Signatures[0].Header
		if typ := header.ExtraHeaders[jose.HeaderType]; typ != "token-introspection+jwt" ||
			!slices.Contains(algorithms, any(header.Algorithm)) {
			t.Errorf("%s: %+v, and the metadata have %v", name, header, algorithms)
		}
		payload, err := signed.Verify(b.publishedKeys())
		if err != nil {
			t.Fatal(err)
		}
		var says struct {
			Issuer   string `json:"iss"`
			Audience string `json:"aud"`
			IssuedAt int64  `json:"iat"`
			Expires  *int64 `json:"exp"`
			Subject  string `json:"sub"`
			Members  m      `json:"token_introspection"`
		}
		if err := json.Unmarshal(payload, &says); err != nil || says.Issuer != ownIssuer || says.Audience != "asker" ||
			says.IssuedAt == 0 || says.Expires != nil || says.Subject != "" || says.Members["active"] != c.active ||
			!c.active && len(says.Members) != 1 {
			t.Errorf("%s: %s, %v", name, payload, err)
		}
		b.refused(b.get("/", a.body), http.StatusUnauthorized, "invalid_type") // it is no access token (section 8.1)
	}
	// Errors are those of JSON.
	b.failed(ask(token), http.StatusUnauthorized, "invalid_client")
	b.failed(ask(token, secretOf("billing")...), http.StatusForbidden, "unauthorized_client")
}

// RFC 7009 section 2.2: what is no token, or is one no more, is revoked already, whoever says so. A token of somebody
// else is not.
func TestWhatIsNoTokenIsRevokedForEveryClient(t *testing.T) {
	b := openBoothForClients(t)
	p, over := b.login(), b.login()
	b.end("logout", over.Access)
	for name, who := range map[string]struct{ form, header []string }{
		"a client":       {nil, secretOf("billing")},
		"an application": {[]string{"client_id", orders}, nil},
	} {
		for kind, token := range map[string]string{
			"text": "x", "what looks like a refresh token": strings.Repeat("A", 64), "a session that is over": over.Refresh,
			"a token of a session that is over": over.Access,
		} {
			a := b.form(revocationPath, formOf(append([]string{"token", token}, who.form...)...), who.header...)
			if a.StatusCode != http.StatusOK || a.body != "" {
				t.Errorf("%s, %s: status %d, %s", name, kind, a.StatusCode, a.body)
			}
		}
	}
	for _, token := range []string{p.Refresh, p.Access} {
		b.failed(b.form(revocationPath, formOf("token", token), secretOf("billing")...), http.StatusBadRequest,
			"unauthorized_client")
	}
	b.works(p.Access)
}
