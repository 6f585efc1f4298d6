package strictjson_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

func BenchmarkParseObject(b *testing.B) {
	for _, bm := range []struct{ name, text string }{
		{"header", `{"alg":"RS256","typ":"at+jwt","kid":"Fdh9u8rINxfivbrianbbVT1u232VQBZYKx1HGAGPt2I"}`},
		{"claims",
			`{"iss":"https://auth.example.com/realms/main","sub":"248289761001",` +
				`"aud":["https://api.example.com","account"],"client_id":"s6BhdRkqt3","exp":1700000300,"iat":1700000000,` +
				`"jti":"dbe39bf3a3ba4238a513f51d6e1691c4","scope":"openid profile read write",` +
				`"realm_access":{"roles":["offline_access","uma_authorization","reader"]},` +
				`"email_verified":true,"name":"Jane Doe"}`},
		{"4000 duplicate candidates in 48 KB", `{` + similar(4000, "") + `}`},
		{"100 KB string", `{"a":"` + strings.Repeat("a", 100_000) + `"}`},
		{"100 KB of digits", `{"a":` + strings.Repeat("1", 100_000) + `}`},
		{"100 KB of nested arrays", strings.Repeat("[", 100_000)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bm.text)))
			for b.Loop() {
				_, _ = strictjson.ParseObject(bm.text, strictjson.Limits{Members: 1 << 20})
			}
		})
	}
}
