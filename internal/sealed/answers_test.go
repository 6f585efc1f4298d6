package sealed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/go-jose/go-jose/v4"

	ours "github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

func TestOpenFor(t *testing.T) {
	ec, rsa := ecPair(t, "ES256"), rsaPair(t)
	var texts []sealed.Text
	for _, text := range []string{ec.pem, rsa.pem} {
		texts = append(texts, sealed.Text{First: keys(t, text),
			Template: rotating.Template{Parts: []rotating.Part{{Text: text}}, First: text}})
	}
	k, turns := sealed.NewKeys(texts, nil), sealed.NewTurns()
	for name, test := range map[string]struct {
		text string
		is   error
	}{
		"for the EC key":      {seal(t, "content", ec.public, "ECDH-ES", "A256GCM"), nil},
		"for the RSA key":     {seal(t, "content", rsa.public, "RSA-OAEP-256", "A256GCM"), nil},
		"with a name":         {seal(t, "content", ec.public, "ECDH-ES", "A256GCM", kid("any")), nil},
		"of another typ":      {seal(t, "content", ec.public, "ECDH-ES", "A256GCM", typed("x+jwt")), nil},
		"for another":         {seal(t, "content", ecPair(t, "ES384").public, "ECDH-ES", "A256GCM"), sealed.ErrNotOpened},
		"not allowed":         {seal(t, "content", rsa.public, "RSA-OAEP", "A256GCM"), sealed.ErrNotOpened},
		"of a typ not wanted": {seal(t, "content", ec.public, "ECDH-ES", "A256GCM", typed("y+jwt")), ours.ErrType},
		"no encrypted text":   {"content", ours.ErrMalformed},
	} {
		got, outer, err := sealed.OpenFor(context.Background(), turns, k, sealed.Algorithms{}, test.text, "x+jwt")
		if !errors.Is(err, test.is) || (err == nil) != (got == "content" && outer.Algorithm != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	busy := sealed.NewTurnsOf(1)
	if err := busy.Begin(context.Background(), addr("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	text := seal(t, "content", rsa.public, "RSA-OAEP-256", "A256GCM")
	if _, _, err := sealed.OpenFor(ctx, busy, k, sealed.Algorithms{}, text); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func typed(typ string) func(*jose.EncrypterOptions) {
	return func(o *jose.EncrypterOptions) { o.WithType(jose.ContentType(typ)) }
}

func TestCheckRepeated(t *testing.T) {
	p := ecPair(t, "ES256")
	claims, err := strictjson.ParseObject(`{"iss":"a","co":[1]}`, strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		value any
		ok    bool
	}{
		{"iss", "a", true}, {"iss", "b", false}, {"co", []int{1}, true}, {"co", []int{2}, false}, {"other", 1, true},
		{"sub", "x", false},
	} {
		token := seal(t, "x", p.public, "ECDH-ES", "A256GCM", func(o *jose.EncrypterOptions) {
			o.WithHeader(jose.HeaderKey(test.name), test.value)
		})
		outer, err := ours.ParseEncrypted(token, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = sealed.CheckRepeated(&outer, claims.Member)
		if (err == nil) != test.ok || err != nil && !errors.Is(err, sealed.ErrRepeated) {
			t.Errorf("%s: %v", fmt.Sprint(test.name, test.value), err)
		}
	}
	if name := sealed.EncryptionOf(&ours.Encrypted{Encryption: "A256GCM"}); name != "A256GCM" {
		t.Error(name)
	}
	if name := sealed.EncryptionOf(&ours.Encrypted{Encryption: "x"}); name != "" {
		t.Error(name)
	}
}
