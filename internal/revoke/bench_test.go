package revoke_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// typical is what a list is asked about an access token of a large server. None of its entries revoke it.
func typical(tb testing.TB) revoke.Token {
	tb.Helper()
	set, err := claims.Decode([]byte(`{"exp":1795435500,"iat":1795435200,"auth_time":1795431600,` +
		`"jti":"5c1a2e0f-1c1f-4f0e-9a57-0a4f8a3f2b11","iss":"https://login.example.com/realms/acme",` +
		`"aud":"https://api.example","sub":"2f6b5d1e-7b1f-4f4e-8f57-1a4f8a3f2b22","typ":"Bearer","client_id":"portal",` +
		`"azp":"portal","sid":"9c1a2e0f-1c1f-4f0e-9a57-0a4f8a3f2b33","acr":"1","scope":"openid profile orders.read",` +
		`"realm_access":{"roles":["offline_access","default-roles"]},"groups":["staff","admins"],` +
		`"preferred_username":"alice","email":"alice@example.com","email_verified":true}`))
	if err != nil {
		tb.Fatal(err)
	}
	return revoke.Token{Issuer: set.Issuer, Set: set, Terms: terms(tb, "groups")}
}

// crowd fills a list with entries of all kinds, of issuers and of consumers. None of them revokes the typical token.
func crowd(l *revoke.List, n int) {
	kinds := []revoke.Kind{
		revoke.All, revoke.ID, revoke.Text, revoke.Subject, revoke.Session, revoke.Client, revoke.Claim,
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for i := range n {
		e := &revoke.Entry{NotAfter: now, Expires: now.Add(time.Hour), At: now}
		e.Kind = kinds[i%len(kinds)]
		value := fmt.Sprintf("%08x-1c1f-4f0e-9a57-0a4f8a3f2b11", i)
		switch {
		case e.Kind == revoke.All:
			e.Issuer = "https://login.example.com/realms/" + value
		case i%2 == 0:
			e.Consumer, e.Value = fmt.Sprint("consumer ", i%1000), value
		default:
			e.Issuer, e.Value = "https://login.example.com/realms/acme", value
		}
		if e.Kind == revoke.Claim {
			e.Claim = "/groups"
		}
		l.Apply(e)
	}
}

func BenchmarkRevokes(b *testing.B) {
	for _, n := range []int{0, 7_000, 1_000_000} {
		l := revoke.NewList()
		crowd(l, n)
		b.Run(fmt.Sprintf("entries=%d/kind=jwt", n), func(b *testing.B) {
			t := typical(b)
			b.ReportAllocs()
			for b.Loop() {
				if by, revoked := l.Revokes(t); revoked {
					b.Fatal(by)
				}
			}
		})
	}
}
