package proof_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/proof"
)

func good() *proof.Proof {
	return &proof.Proof{
		ID: "id", Method: "GET", URI: "https://api.example.com/items", TokenHash: hashOf(token), IssuedAt: now,
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*proof.Proof, *proof.Expected)
		words  string
	}{
		{"another method", func(_ *proof.Proof, e *proof.Expected) { e.Method = "POST" },
			`htm is "GET", and the method of the request is "POST"`},
		{"method in lower case", func(p *proof.Proof, _ *proof.Expected) { p.Method = "get" }, `htm is "get"`},
		{"no method", func(p *proof.Proof, e *proof.Expected) { p.Method, e.Method = "", "" }, "not known"},
		{"no scheme", func(_ *proof.Proof, e *proof.Expected) { e.Scheme = "" }, "not known"},
		{"no host", func(_ *proof.Proof, e *proof.Expected) { e.Host = "" }, "not known"},
		{"no target", func(_ *proof.Proof, e *proof.Expected) { e.Target = "" }, "has a target that is neither"},
		{"target at another host", func(_ *proof.Proof, e *proof.Expected) { e.Target = "https://evil.example.com/items" },
			"has a target that is neither"},
		{"target at a longer host", func(_ *proof.Proof, e *proof.Expected) {
			e.Target = "https://" + e.Host + ".evil.example/items"
		}, "has a target that is neither"},
		{"authority as target", func(_ *proof.Proof, e *proof.Expected) { e.Target = "api.example.com:443" },
			"has a target that is neither"},
		{"another host", func(_ *proof.Proof, e *proof.Expected) { e.Host = "other.example.com" },
			`htu is "https://api.example.com/items", and the request was for "https://other.example.com/items"`},
		{"http for https", func(_ *proof.Proof, e *proof.Expected) { e.Scheme = "http" },
			`and the request was for "http://api.example.com/items"`},
		{"another path", func(_ *proof.Proof, e *proof.Expected) { e.Target = "/items/1?key=tokentoken" },
			`was for "https://api.example.com/items/1"`},
		{"user in htu", func(p *proof.Proof, _ *proof.Expected) { p.URI = "https://me:tokentoken@api.example.com/items" },
			"htu has user information"},
		{"user in the host", func(_ *proof.Proof, e *proof.Expected) { e.Host = "me@api.example.com" },
			"the URI of the request has user information"},
		{"relative htu", func(p *proof.Proof, _ *proof.Expected) { p.URI = "/items?tokentoken" },
			"htu is not an absolute URI of http or https"},
		{"no ath", func(p *proof.Proof, _ *proof.Expected) { p.TokenHash = "" }, "there is no ath"},
		{"ath of another token", func(p *proof.Proof, _ *proof.Expected) { p.TokenHash = hashOf("other") },
			"ath is not the hash of the token"},
		{"short ath", func(p *proof.Proof, _ *proof.Expected) { p.TokenHash = hashOf(token)[:42] },
			"ath is not the hash of the token"},
		{"no token", func(p *proof.Proof, e *proof.Expected) { p.TokenHash, e.Token = hashOf(""), "" }, "there is no token"},
		{"old", func(p *proof.Proof, _ *proof.Expected) { p.IssuedAt = now.Add(-61 * time.Second) },
			"iat was 1m1s ago, and may be 1m0s"},
		{"of the future", func(p *proof.Proof, _ *proof.Expected) { p.IssuedAt = now.Add(61 * time.Second) },
			"iat is 1m1s ahead of our clock, and may be 1m0s"},
		{"of 1970", func(p *proof.Proof, _ *proof.Expected) { p.IssuedAt = time.Unix(0, 0) }, "iat was 20833 days ago"},
		{"of the year 9999", func(p *proof.Proof, _ *proof.Expected) { p.IssuedAt = time.Unix(253402300799, 0) }, "ahead"},
		{"of the year 1", func(p *proof.Proof, _ *proof.Expected) { p.IssuedAt = time.Time{} }, "ago"},
		{"no time", func(_ *proof.Proof, e *proof.Expected) { e.Now = time.Time{} }, "ahead"},
		{"no age", func(_ *proof.Proof, e *proof.Expected) { e.Now, e.MaxAge = now.Add(1), 0 }, "may be 0s"},
		{"a negative age", func(_ *proof.Proof, e *proof.Expected) { e.MaxAge = -1 }, "iat was 0s ago"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, e := good(), expected()
			tt.change(p, &e)
			requireInvalid(t, p.Check(e), tt.words)
		})
	}
}

func TestCheckAccepts(t *testing.T) {
	for name, change := range map[string]func(*proof.Proof, *proof.Expected){
		"as it is":     func(*proof.Proof, *proof.Expected) {},
		"just old":     func(p *proof.Proof, _ *proof.Expected) { p.IssuedAt = now.Add(-time.Minute) },
		"just new":     func(p *proof.Proof, _ *proof.Expected) { p.IssuedAt = now.Add(time.Minute) },
		"any nonce":    func(p *proof.Proof, _ *proof.Expected) { p.Nonce = "x" },
		"own method":   func(p *proof.Proof, e *proof.Expected) { p.Method, e.Method = "get", "get" },
		"a port":       func(_ *proof.Proof, e *proof.Expected) { e.Host = "API.example.com:443" },
		"query in htu": func(p *proof.Proof, _ *proof.Expected) { p.URI += "?page=3#x" },
		"long path": func(p *proof.Proof, e *proof.Expected) {
			path := "/" + strings.Repeat("x", 1000)
			p.URI, e.Target = "https://api.example.com"+path, path
		},
		"*": func(p *proof.Proof, e *proof.Expected) {
			p.Method, e.Method, p.URI, e.Target = "OPTIONS", "OPTIONS", "https://api.example.com", "*"
		},
		"http": func(p *proof.Proof, e *proof.Expected) {
			p.URI, e.Scheme, e.Host = "http://api.example.com:80/items", "http", "api.example.com"
		},
	} {
		p, e := good(), expected()
		change(p, &e)
		if err := p.Check(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// exp and nbf are honoured if they are there.
func TestOtherDates(t *testing.T) {
	c := newClient(t, "ES256")
	for name, tt := range map[string]struct {
		changes object
		words   string
	}{
		"expired":          {object{"exp": now.Unix() - 1}, "exp was 1s ago, and may be 0s"},
		"expires now":      {object{"exp": now.Unix()}, "exp was 0s ago"},
		"expires later":    {object{"exp": now.Unix() + 1}, ""},
		"not yet valid":    {object{"nbf": now.Unix() + 61}, "nbf is 1m1s ahead of our clock, and may be 1m0s"},
		"clock runs ahead": {object{"nbf": now.Unix() + 60}, ""},
		"long valid":       {object{"nbf": 0}, ""},
	} {
		err := accept(newVerifier(t), c.sign(c.header(), with(payload(), tt.changes)), c.thumbprint, expected())
		switch {
		case tt.words != "":
			requireInvalid(t, err, tt.words)
		case err != nil:
			t.Errorf("%s: %v", name, err)
		}
	}
}
