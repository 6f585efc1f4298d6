package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// repels wants the token endpoint to refuse a request as the fault of whoever has sent it.
func (h *house) repels(t *testing.T, name string, q *oauth.Request) {
	t.Helper()
	before := h.signed.Load()
	tokens, err := h.Token(q)
	failure, is := errors.AsType[*issuing.Failure](err)
	if tokens != nil || !is || failure.Status < 400 || failure.Status > 499 || h.signed.Load() != before {
		t.Errorf("%s: %+v, %v", name, tokens, err)
	}
}

// pair is a parameter of a form.
type pair struct{ name, value string }

func encode(pairs []pair) string {
	all := make([]string, len(pairs))
	for i, p := range pairs {
		all[i] = url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value)
	}
	return strings.Join(all, "&")
}

// without is a list without one of its pairs.
func without(pairs []pair, i int) []pair {
	return append(append([]pair{}, pairs[:i]...), pairs[i+1:]...)
}

// with is a list with another value in one of its pairs.
func with(pairs []pair, i int, value string) []pair {
	changed := append([]pair{}, pairs...)
	changed[i].value = value
	return changed
}

// spoilt are bodies of a good form that must not be taken. Two readers could take different requests from each, or it
// lacks a part of the credential.
func spoilt(pairs []pair) map[string]string {
	good, all := encode(pairs), make(map[string]string)
	for i, p := range pairs {
		name := url.QueryEscape(p.name)
		for _, again := range []string{p.value, "", "x", p.value + " ", strings.ToUpper(p.value)} {
			twice := name + "=" + url.QueryEscape(again)
			all[fmt.Sprintf("%s again as %q, before", p.name, again)] = twice + "&" + good
			all[fmt.Sprintf("%s again as %q, behind", p.name, again)] = good + "&" + twice
			escaped := fmt.Sprintf("%%%02x%s=%s", p.name[0], p.name[1:], url.QueryEscape(again))
			all[fmt.Sprintf("%s again as %q, escaped", p.name, again)] = good + "&" + escaped
		}
		all[p.name+" again without a value"] = good + "&" + name
		all[p.name+" behind a semicolon"] = encode(without(pairs, i)) + ";" + name + "=" + url.QueryEscape(p.value)
		if p.name == "scope" {
			continue // it may be left out
		}
		all[p.name+" left out"] = encode(without(pairs, i))
		for at := range len(p.value) { // each letter is needed, and each as it is
			all[fmt.Sprintf("%s without letter %d", p.name, at)] = encode(with(pairs, i, p.value[:at]+p.value[at+1:]))
			for _, other := range []string{"\x00", "\xff", "\n", "\u00a0", p.value[at:at+1] + p.value[at:at+1],
				string(p.value[at] ^ 1)} {
				all[fmt.Sprintf("%s with %q for letter %d", p.name, other, at)] =
					encode(with(pairs, i, p.value[:at]+other+p.value[at+1:]))
			}
		}
		for _, other := range []string{" " + p.value, p.value + " ", p.value + "\x00", p.value + "\r\n",
			strings.ToUpper(p.value), `"` + p.value + `"`, "*", "%", p.value + "%00"} {
			if other != p.value {
				all[fmt.Sprintf("%s as %q", p.name, other)] = encode(with(pairs, i, other))
			}
		}
	}
	for _, more := range []string{"%", "%4", "%zz", "a=%ff", "%ff=a", "a;b", "a=1&a=2", "a&a", strings.Repeat("x",
		issuing.MaxForm)} {
		all[fmt.Sprintf("%.10q behind it", more)] = good + "&" + more
	}
	object, _ := json.Marshal(map[string]string{"grant_type": "client_credentials", "client_id": "batch",
		"client_secret": secret})
	all["an object"], all["XML"], all["nothing"] = string(object), "<a>"+good+"</a>", ""
	return all
}

// forgetful remembers no assertion.
type forgetful struct{}

func (forgetful) Use(context.Context, [32]byte, string, time.Time, time.Time) error { return nil }

// Requests of clients that two readers could take for two different ones, or that lack a part of a credential.
func TestAttackHostileFormsOfClients(t *testing.T) {
	// An assertion may come again, or an attack might fail by that alone.
	h := newHouse(t, func(h *house) { h.options.Assertions = forgetful{} })
	h.gives(t, own("batch", secret)) // its secret is remembered, so that wrong ones alone are compared
	grant := pair{"grant_type", "client_credentials"}
	forms := map[string][]pair{
		"post": {grant, {"client_id", "batch"}, {"client_secret", secret}, {"scope", "read"}},
		"signed": {grant, {"client_assertion_type", assertionType}, {"client_assertion", h.assert(t, signerKeys(t)[2],
			"signer", nil)}},
	}
	count := 0
	try := func(name string, q *oauth.Request) {
		count++
		h.repels(t, name, q)
	}
	for method, pairs := range forms {
		good := encode(pairs)
		for name, text := range spoilt(pairs) {
			try(method+": "+name, body(text))
		}
		for i, p := range pairs { // in the address, where logs keep it
			for _, rest := range [][]pair{pairs, without(pairs, i)} {
				q := body(encode(rest))
				q.HTTP.URL.RawQuery = encode([]pair{p})
				try(method+": "+p.name+" in the query", q)
			}
		}
		for _, types := range [][]string{
			nil, {""}, {"application/json"}, {"text/plain"}, {"multipart/form-data; boundary=x"},
			{"application/x-www-form-urlencoded2"},
			{"application/x-www-form-urlencoded, text/plain"}, {"application/x-www-form-urlencoded; charset=utf-7"},
			{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded"}, {"application/x-www-form-urlencoded; ;"},
		} {
			q := body(good)
			q.HTTP.Header["Content-Type"] = types
			try(fmt.Sprintf("%s: types %q", method, types), q)
		}
		for _, verb := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "POST ", ""} {
			q := body(good)
			q.HTTP.Method = verb
			try(method+": method "+verb, q)
		}
		for _, coding := range []string{"gzip", "br", "identity, gzip", "x"} {
			q := body(good)
			q.HTTP.Header.Set("Content-Encoding", coding)
			try(method+": coding "+coding, q)
		}
		for _, credential := range []string{"batch:" + secret, "batch:", ":" + secret, "two:" + secret, "batch", "\xff:x",
			"%:x"} {
			try(method+": and Basic "+credential, raw(body(good), encoded(credential)))
		}
	}
	for name, text := range map[string]string{
		"raw": "Basic batch:" + secret, "no blank": "Basic" + base64.StdEncoding.EncodeToString([]byte("batch:"+secret)),
		"Bearer": "Bearer " + base64.StdEncoding.EncodeToString([]byte("batch:"+secret)), "empty": "", "Basic alone": "Basic",
		"unpadded":          strings.TrimRight(encoded("batch:"+secret+"1"), "="),
		"garbage behind it": encoded("batch:"+secret) + "x",
		"two in one":        encoded("batch:"+secret) + ", " + encoded("two:"+secret),
	} {
		try("Basic "+name, raw(byForm(), text))
	}
	t.Logf("%d requests", count)
	if count < 1500 {
		t.Errorf("only %d requests", count)
	}
	for _, pairs := range forms { // all of them failed by what is wrong with them
		h.gives(t, body(encode(pairs)))
	}
}

// changedTexts are a token with one character more, less, or another one, at each place.
func changedTexts(token string, each func(name, text string)) {
	for at := range len(token) {
		each(fmt.Sprint("without ", at), token[:at]+token[at+1:])
		for _, other := range []string{".", "=", "A", "_", "\x00"} {
			if token[at:at+1] != other {
				each(fmt.Sprintf("%q at %d", other, at), token[:at]+other+token[at+1:])
			}
			each(fmt.Sprintf("%q before %d", other, at), token[:at]+other+token[at:])
		}
	}
}

// foundEverywhere reports whether a flaw is one by itself, whatever the token is for.
func foundEverywhere(flaw tokentest.Flaw) bool {
	switch flaw {
	case tokentest.Malformed, tokentest.NoAlgorithm, tokentest.KeyAlgorithm, tokentest.Critical, tokentest.Nested,
		tokentest.Encrypted, tokentest.UnknownKey, tokentest.OtherIssuer, tokentest.OtherAudience, tokentest.Expired,
		tokentest.NoExpiry:
		return true
	}
	return false
}

// parts are the decoded header and payload of a token; false if they cannot be decoded.
func parts(token string) (header, payload string, ok bool) {
	all := strings.Split(token, ".")
	if len(all) != 3 {
		return "", "", false
	}
	h, err1 := base64.RawURLEncoding.DecodeString(all[0])
	p, err2 := base64.RawURLEncoding.DecodeString(all[1])
	return string(h), string(p), err1 == nil && err2 == nil
}

// completed is a payload with further members, unless it has one of them already.
func completed(payload string, members ...string) string {
	for _, member := range members {
		name, _, _ := strings.Cut(member, ":")
		if strings.HasPrefix(payload, "{") && !strings.Contains(payload, name+":") {
			payload = "{" + member + "," + payload[1:]
		}
	}
	return payload
}

// Assertions of three algorithms, with one thing changed in each: a character, the header, the claims, the signature.
func TestAttackHostileAssertions(t *testing.T) {
	count := 0
	for _, key := range signerKeys(t) {
		t.Run(key.Alg, func(t *testing.T) {
			h := newHouse(t)
			h.setClients(t, clients.Client{
				ID: "signer", Keys: source(t, key), Audiences: []string{api}, AccessLifetime: time.Minute,
				Grants: []clients.Grant{clients.ClientCredentials},
			})
			try := func(name, text string) {
				count++
				h.repels(t, name, signed(text))
			}
			good := h.assert(t, key, "signer", nil)
			changedTexts(good, try)
			_, payload, _ := parts(good)
			if key.Alg == "RS256" {
				for _, attack := range tokentest.AlgorithmAttacks(key, payload) {
					try(attack.Name, attack.Token)
				}
			}
			target := &tokentest.Target{
				Key: key, Stranger: tokentest.NewKey(t, key.Alg, "stranger"), Issuer: "signer", Audience: issuer,
				Now: h.clock.now().Add(-210 * time.Minute), Trap: "https://evil.example/",
			}
			for _, attack := range target.HeaderAttacks() {
				header, _, ok := parts(attack.Token)
				own := strings.Contains(header, "client-authentication+jwt") // the one foreign type that is good here
				if !ok || own || !foundEverywhere(attack.Flaw) && attack.Flaw != tokentest.OtherType {
					continue
				}
				signer := key
				if attack.Flaw == tokentest.UnknownKey {
					signer = target.Stranger
				}
				try(attack.Name, signer.SignRaw(header, payload))
			}
			header := `{"alg":"` + key.Alg + `","kid":"` + key.KID + `"}`
			for i, attack := range target.ClaimAttacks() {
				if _, text, ok := parts(attack.Token); ok && foundEverywhere(attack.Flaw) {
					text = completed(text, `"sub":"signer"`, fmt.Sprintf(`"jti":"%d"`, i))
					try(attack.Name, key.SignRaw(header, text))
				}
			}
			// What was left as it was is good, and so is what the attacks are made of.
			h.gives(t, signed(good))
			_, text, _ := parts(target.Good())
			h.gives(t, signed(key.SignRaw(header, completed(text, `"sub":"signer"`, `"jti":"good"`))))
		})
	}
	t.Logf("%d assertions", count)
	if count < 5000 {
		t.Errorf("only %d assertions", count)
	}
}

// Whatever is not quite a token of the issuer is not active, and cannot make anything be revoked.
func TestAttackHostileTokensAtIntrospectionAndRevocation(t *testing.T) {
	count := 0
	for _, key := range signerKeys(t)[:2] {
		t.Run(key.Alg, func(t *testing.T) {
			h := newHouse(t, func(h *house) { h.options.Keys = source(t, key) })
			target := &tokentest.Target{
				Key: key, Stranger: tokentest.NewKey(t, key.Alg, "stranger"), Issuer: issuer, Audience: api,
				Now: h.clock.now().Add(-210 * time.Minute), Trap: "https://evil.example/",
			}
			header := `{"alg":"` + key.Alg + `","kid":"` + key.KID + `","typ":"at+jwt"}`
			_, claims, _ := parts(target.Good())
			claims = completed(claims, `"client_id":"batch"`, `"jti":"j"`)
			good := key.SignRaw(header, claims)
			if !isActive(t, h, good) {
				t.Fatal("a good token is not active")
			}
			try := func(name, token string) {
				count++
				answer, err := h.says(introspect("server", token))
				failure, is := errors.AsType[*issuing.Failure](err)
				if err == nil && (len(answer) != 1 || answer["active"] != false) ||
					err != nil && (!is || failure.Status != http.StatusRequestEntityTooLarge) {
					t.Errorf("%s: %v, %v", name, answer, err)
				}
				if err := h.Server.Revoke(basic(ask("token", token), "batch", secret)); err != nil && !errors.As(err, &failure) {
					t.Errorf("%s: %v", name, err)
				}
			}
			changedTexts(good, try)
			if key.Alg == "RS256" {
				for _, attack := range tokentest.AlgorithmAttacks(key, claims) {
					try(attack.Name, attack.Token)
				}
			}
			for _, attack := range target.HeaderAttacks() {
				if text, _, ok := parts(attack.Token); ok && foundEverywhere(attack.Flaw) {
					signer := key
					if attack.Flaw == tokentest.UnknownKey {
						signer = target.Stranger
					}
					try(attack.Name, signer.SignRaw(text, claims))
				}
			}
			for _, attack := range target.ClaimAttacks() {
				if _, text, ok := parts(attack.Token); ok && foundEverywhere(attack.Flaw) &&
					attack.Flaw != tokentest.OtherAudience {
					try(attack.Name, key.SignRaw(header, completed(text, `"client_id":"batch"`, `"jti":"j"`)))
				}
			}
			if h.until.Load() != 0 {
				t.Error("something was revoked")
			}
			if !isActive(t, h, good) {
				t.Error("the good token is revoked")
			}
		})
	}
	t.Logf("%d tokens", count)
	if count < 3000 {
		t.Errorf("only %d tokens", count)
	}
}
