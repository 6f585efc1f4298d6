package integration

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// Each encoding of forward_claims arrives at the backend as the manual says, and refuses what it cannot say.
func TestClaimsInTheEncodingOfTheBackend(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "forward_claims X-Plain v", "forward_claims X-Json v json", `forward_claims {
			X-Base64 v base64url
			X-Percent v percent
		}`))
	for name, c := range map[string]struct {
		claim                          any
		plain, json, base64id, percent string
	}{
		"a name": {"Jürgen", "Jürgen", `"J\u00fcrgen"`, b64("Jürgen"), "J%C3%BCrgen"},
		"a list": {[]string{"Büro", "a,b"}, "Büro,a%2Cb", `["B\u00fcro","a\u002cb"]`, b64(`["Büro","a\u002cb"]`),
			"B%C3%BCro,a%2Cb"},
		"a number": {7, "7", "7", b64("7"), "7"},
		"an object": {map[string]any{"ü": 1}, `{"ü":1}`, `{"\u00fc":1}`, b64(`{"ü":1}`),
			`{"\u00fc":1}`},
	} {
		got := s.passed(s.get("/", hmacKey(t).Sign(t, claims("v", c.claim))))
		for header, want := range map[string]string{
			"X-Plain": c.plain, "X-Json": c.json, "X-Base64": c.base64id, "X-Percent": c.percent,
		} {
			if values := got.Header[header]; len(values) != 1 || values[0] != want {
				t.Errorf("%s: %s %q at the backend, want %q", name, header, values, want)
			}
		}
	}
}

func TestClaimsAsAPlainList(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "forward_claims X-List v comma"))
	for name, c := range map[string]struct {
		claim any
		want  string // empty: refused
	}{
		"a list":                 {[]any{"100%", "a b", 1, true, "ü"}, "100%,a b,1,true,ü"},
		"a text":                 {"alice", "alice"},
		"an element with commas": {[]string{"a", "b,admin"}, ""},
		"a text with commas":     {"a,admin", ""},
		"an empty element":       {[]string{"a", ""}, ""},
		"a blank at an end":      {[]string{"a", " admin"}, ""},
		"a quote":                {[]string{`"a`, `b"`}, ""},
		"an object":              {map[string]any{"a": 1}, ""},
		"a list in a list":       {[]any{[]string{"a"}}, ""},
		"null in a list":         {[]any{"a", nil}, ""},
	} {
		got := s.get("/", hmacKey(t).Sign(t, claims("v", c.claim)))
		if c.want == "" {
			s.refused(got, http.StatusUnauthorized, "unsafe_claim")
		} else if values := s.passed(got).Header["X-List"]; len(values) != 1 || values[0] != c.want {
			t.Errorf("%s: %q at the backend, want %q", name, values, c.want)
		}
	}
}

// With the word "padded", decoders that want padding read the payload.
func TestPayloadWithPadding(t *testing.T) {
	for word, encoding := range map[string]*base64.Encoding{
		"forward_payload X-Claims": base64.RawURLEncoding, "forward_payload X-Claims padded": base64.URLEncoding,
	} {
		s := start(t, gateFor(consumerAlice(t), word))
		for _, filler := range []string{"", "x", "xx"} {
			token := hmacKey(t).Sign(t, claims("filler", filler))
			payload := strings.Split(token, ".")[1]
			want := encoding.EncodeToString(unb64(t, payload))
			if got := s.passed(s.get("/", token)).Header["X-Claims"]; len(got) != 1 || got[0] != want {
				t.Errorf("%s: %q at the backend, want %q", word, got, want)
			}
		}
	}
}

// Headers about consumers that are off do not arrive, whoever sends them.
func TestConsumerHeadersOff(t *testing.T) {
	forged := []string{"X-Consumer-ID", "1", "x-consumer-username", "admin", "X-Consumer-Groups", "admin",
		"X-Credential-Identifier", "k", "X-Consumer-Custom-ID", "c", "X-Anonymous-Consumer", "false"}
	for word, want := range map[string]map[string]string{
		"consumer_headers off": {},
		"consumer_headers X-Consumer-Username X-Consumer-Groups": {"X-Consumer-Username": "alice",
			"X-Consumer-Groups": "staff,editors"},
	} {
		s := start(t, gateFor(consumerAlice(t), word, "optional"))
		for _, token := range []string{hmacKey(t).Sign(t, claims()), ""} {
			got := s.passed(s.get("/", token, forged...))
			for name := range got.Header {
				if wanted := want[name]; token != "" && wanted != "" {
					if got.Header.Get(name) != wanted {
						t.Errorf("%s: %s %q at the backend, want %q", word, name, got.Header[name], wanted)
					}
				} else if strings.HasPrefix(name, "X-C") || strings.HasPrefix(name, "X-Anon") {
					t.Errorf("%s: %s %q at the backend", word, name, got.Header[name])
				}
			}
			for name := range want {
				if token != "" && got.Header[name] == nil {
					t.Errorf("%s: %s did not arrive", word, name)
				}
			}
		}
	}
}
