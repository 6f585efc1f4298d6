package tokenissuer

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// BenchmarkClientCredentials gives a client one token after another, without the network.
func BenchmarkClientCredentials(b *testing.B) {
	for _, c := range []struct{ name, algorithm, line string }{
		{"ES256", "ES256", ""}, {"EdDSA", "EdDSA", ""}, {"RS256", "RS256", ""}, {"opaque", "ES256", "token opaque"},
	} {
		b.Run(c.name, func(b *testing.B) {
			give := giver(b, c.algorithm, c.line)
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}
			give(form)
			b.ReportAllocs()
			for b.Loop() {
				give(form)
			}
		})
	}
}

// BenchmarkExchange exchanges one token for others.
func BenchmarkExchange(b *testing.B) {
	for name, line := range map[string]string{"ES256": "", "opaque": "token opaque"} {
		b.Run(name, func(b *testing.B) {
			give := giver(b, "ES256", line+"\nexchange from https://gate.test {\nsubject_audience https://gate.test\n}")
			token := give(url.Values{"grant_type": {"client_credentials"}})
			form := url.Values{
				"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
				"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			}
			b.ReportAllocs()
			for b.Loop() {
				give(form)
			}
		})
	}
}

// BenchmarkTokenAtAGate has a gate without a cache judge a token, up to its claims.
func BenchmarkTokenAtAGate(b *testing.B) {
	for name, line := range map[string]string{"ES256": "", "opaque": "token opaque"} {
		b.Run(name, func(b *testing.B) {
			token := giver(b, "ES256", line)(url.Values{"grant_type": {"client_credentials"}})
			r := httptest.NewRequestWithContext(b.Context(), "POST", "/oauth2/token", nil)
			c := &call{r: r}
			judge, q := inForce.all()[0].judge, c.request()
			accepted := func(string) []string { return []string{"https://gate.test"} }
			b.ReportAllocs()
			for b.Loop() {
				if _, err := judge.Judge(q, token, accepted); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// giver runs an issuer whose client has these lines. What it returns gives the client a token.
func giver(b *testing.B, algorithm, lines string) func(form url.Values) (token string) {
	b.Helper()
	s := newServer(b)
	s.runs("https://gate.test", "algorithm "+algorithm,
		"client billing {\nsecret_hash "+hash+"\naudience https://gate.test\nscopes read\n"+lines+"\n}")
	i := inForce.all()[0]
	return func(form url.Values) string {
		r := httptest.NewRequestWithContext(b.Context(), "POST", "/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", asForm)
		r.SetBasicAuth("billing", "secret")
		w := httptest.NewRecorder()
		i.answer(w, r, i.byPath["/oauth2/token"])
		var given struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &given); err != nil || w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
		return given.Token
	}
}
