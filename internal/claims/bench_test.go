package claims_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

func BenchmarkDecode(b *testing.B) {
	for _, bm := range []struct{ name, text string }{
		{"typical", typical},
		{"small", `{"iss":"https://as.example","sub":"alice","aud":"me","exp":1700000300,"iat":1682707417.749942}`},
		{"refused: date of 1e300", `{"iss":"https://as.example","exp":1e300}`},
		{"refused: 100,000 digits", `{"exp":` + strings.Repeat("9", 100_000) + `}`},
		{"refused: 100 KB of commas", `{"aud":["a"` + strings.Repeat(`,"a"`, 25_000) + `]}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			text := []byte(bm.text)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _ = claims.Decode(text)
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	set := decode(b, typical)
	for _, path := range []string{
		"iss", "realm_access.roles", "https://example.com/roles", "/resource_access/account/roles/1", "absent",
	} {
		b.Run(strings.ReplaceAll(path, "/", "|"), func(b *testing.B) {
			p := mustPath(b, path)
			b.ReportAllocs()
			for b.Loop() {
				v, _ := set.Lookup(p)
				v.Matches("reader")
			}
		})
	}
}

func BenchmarkChecks(b *testing.B) {
	set := decode(b, typical)
	accepted := []string{"https://api.example.com"}
	b.ReportAllocs()
	for b.Loop() {
		if claims.CheckTime(set, now, 5*time.Second) != nil || claims.CheckAudience(set, accepted) != nil ||
			claims.CheckIssuer(set, "https://auth.example.com/realms/main") != nil || claims.CheckAccessToken(set) != nil ||
			!set.HasScope("write") {
			b.Fatal("refused")
		}
	}
}
