package consumer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestAlgorithmOfAWrittenKey(t *testing.T) {
	for name, c := range map[string]struct {
		written     consumer.Written
		want, field string // of the error; empty for none
	}{
		"a secret":           {consumer.Written{Algorithm: "HS256", Secret: "s"}, "", ""},
		"a secret in base64": {consumer.Written{Algorithm: "HS512", Secret: "s", Base64: true}, "", ""},
		"a public key":       {consumer.Written{Algorithm: "RS256", PublicKey: "k"}, "", ""},
		"no algorithm":       {consumer.Written{Secret: "s"}, "no algorithm", "Algorithm"},
		"none":               {consumer.Written{Algorithm: "none", Secret: "s"}, "none", "Algorithm"},
		"in other letters":   {consumer.Written{Algorithm: "rs256", PublicKey: "k"}, "RS256", "Algorithm"},
		"a key in its place": {consumer.Written{Algorithm: strings.Repeat("secret", 9), Secret: "s"}, "this is no algorithm",
			"Algorithm"},
		"base64 of nothing":  {consumer.Written{Algorithm: "RS256", PublicKey: "k", Base64: true}, "there is none", "Base64"},
		"two keys":           {consumer.Written{Algorithm: "HS256", PublicKey: "k", Secret: "s"}, "one of them", "Secret"},
		"a key for a MAC":    {consumer.Written{Algorithm: "HS256", PublicKey: "k"}, "needs a secret", "Algorithm"},
		"a secret for a key": {consumer.Written{Algorithm: "ES256", Secret: "s"}, "needs a public_key", "Algorithm"},
		"nothing":            {consumer.Written{Algorithm: "ES256"}, "needs a public_key", "Algorithm"},
	} {
		algorithm, err := c.written.ParseAlgorithm()
		if c.want == "" {
			if err != nil || algorithm.String() != c.written.Algorithm {
				t.Errorf("%s: %v, error %v", name, algorithm, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || setting.Field(err) != c.field {
			t.Errorf("%s: %v about %q, want %q about %q", name, err, setting.Field(err), c.want, c.field)
		}
		if err != nil && strings.Contains(err.Error(), "secretsecret") {
			t.Errorf("%s: the error quotes it", name)
		}
	}
}

func TestPublicKeyOfACredential(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	for name, c := range map[string]struct {
		text string
		alg  jose.Algorithm
		want string // in the error; empty for none
	}{
		"one key":             {one.PublicPEM(), jose.ES256, ""},
		"two keys":            {one.PublicPEM() + two.PublicPEM(), jose.ES256, "it has 2 keys"},
		"a private key":       {one.PrivatePEM(), jose.ES256, "private key"},
		"for another curve":   {one.PublicPEM(), jose.ES384, "ES384"},
		"for another family":  {one.PublicPEM(), jose.RS256, "RS256"},
		"a text that is none": {"words", jose.ES256, "PEM"},
	} {
		key, notAfter, err := consumer.ParsePublicKey(c.text, c.alg, time.Now())
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case c.want == "" && (err != nil || !key.Algorithms().Has(c.alg) || !notAfter.IsZero()):
			t.Errorf("%s: %v, %v, error %v", name, key, notAfter, err)
		}
	}
}
