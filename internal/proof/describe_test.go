package proof_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/proof"
)

// What a proof says is shown whether or not its signature is good, and for whatever token it is.
func TestDescribeReadsWithoutVerifying(t *testing.T) {
	c := newClient(t, "ES256")
	text := c.sign(c.header(), with(payload(), object{"htu": "https://api.example.com/items?secret=1", "nonce": "n"}))
	for name, text := range map[string]string{
		"a good proof":             text,
		"one with a bad signature": text[:len(text)-4] + "AAAA",
	} {
		got, err := proof.Describe(text)
		if err != nil || got.Method != "GET" || got.URI != "https://api.example.com/items" || !got.HasNonce ||
			!got.IssuedAt.Equal(now) || got.Algorithm != "ES256" || got.Key == [32]byte{} {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDescribeShowsNoUserInformation(t *testing.T) {
	c := newClient(t, "ES256")
	got, err := proof.Describe(c.sign(c.header(), with(payload(), object{"htu": "https://me:secret@api.example.com/"})))
	if err != nil || got.URI != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDescribeRefusesWhatIsNoProof(t *testing.T) {
	c := newClient(t, "ES256")
	for name, text := range map[string]string{
		"nothing":      "",
		"too long":     strings.Repeat("a", proof.MaxSize+1),
		"another typ":  c.sign(with(c.header(), object{"typ": "jwt"}), payload()),
		"a secret":     c.sign(with(c.header(), object{"alg": "HS256"}), payload()),
		"no key":       c.sign(with(c.header(), object{"jwk": nil}), payload()),
		"no method":    c.sign(c.header(), with(payload(), object{"htm": ""})),
		"no signature": strings.Join(strings.Split(c.sign(c.header(), payload()), ".")[:2], "."),
	} {
		if got, err := proof.Describe(text); !errors.Is(err, proof.ErrInvalid) || got != (proof.Unverified{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestURIOfARequest(t *testing.T) {
	for _, tt := range []struct{ scheme, host, target, want string }{
		{"https", "API.example.com:443", "/a?b=c", "https://api.example.com/a"},
		{"http", "localhost:8080", "*", "http://localhost:8080/"},
		{"", "localhost", "/", ""},
		{"https", "localhost", "localhost:443", ""},
	} {
		e := proof.Expected{Scheme: tt.scheme, Host: tt.host, Target: tt.target}
		if got := e.URI(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt, got, tt.want)
		}
	}
}
