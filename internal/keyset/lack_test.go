package keyset_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// An error about a key names the key that the token needs, and the first few that there are.
func TestTheErrorNamesTheKeysThatThereAre(t *testing.T) {
	es := publicKey(t, tokentest.NewKey(t, "ES256", "one"))
	one, err := keyset.NewStatic(es)
	if err != nil {
		t.Fatal(err)
	}
	nameless := publicKey(t, tokentest.NewKey(t, "EdDSA", ""))
	four, err := keyset.NewStatic(es, publicKey(t, tokentest.NewKey(t, "RS256", "two")),
		publicKey(t, tokentest.NewKey(t, "RS256", "evil\n\"")), nameless)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		source keyset.Source
		alg    jose.Algorithm
		kid    string
		want   string
	}{
		"another id": {one, jose.ES256, "two", `unknown key: the token's kid is "two", but the only key is "one"`},
		"another id of four": {four, jose.ES256, "x", `unknown key: the token's kid is "x", ` +
			`but the 4 keys are "one", "two", "evil\n\"" and 1 more`},
		"no id": {one, jose.RS256, "",
			`unknown key: the token has no kid, and the only key, "one", is not for RS256`},
		"no id, and four keys": {four, jose.ES384, "",
			`unknown key: the token has no kid, and none of the 4 keys "one", "two", "evil\n\"" and 1 more is for ES384`},
		"another algorithm": {one, jose.RS256, "one",
			`unknown key: the key "one" is for ES256, not for RS256, in a set of 1`},
		"a hostile id": {one, jose.ES256, "\x1b[1m\n" + strings.Repeat("k", 500),
			`unknown key: the token's kid is "\x1b[1m\n` + strings.Repeat("k", 91) + `"..., but the only key is "one"`},
	} {
		_, err := c.source.Find(t.Context(), c.alg, c.kid)
		if fmt.Sprint(err) != c.want || !errors.Is(err, keyset.ErrUnknownKey) {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
}

// An operator sees whether the set is old.
func TestTheErrorSaysHowOldTheSetIs(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.body = manyKeys(t, 1)
		for _, c := range []struct {
			wait time.Duration
			want string
		}{{0, "0s"}, {3 * time.Second, "0s"}, {3 * time.Second, "3s"}} {
			time.Sleep(c.wait)
			var err error
			for i := range 5 { // while the budget lasts, the first ones cause a fetch
				_, err = source.FindFor(t.Context(), keyset.Signed{Algorithm: jose.ES256, KeyID: "nobody",
					Signature: fmt.Append(nil, i)})
			}
			want := "; the keys were fetched " + c.want + " ago"
			if text := fmt.Sprint(err); !strings.HasSuffix(text, want) || !strings.Contains(text, `kid is "nobody", but`) {
				t.Errorf("%v, want %q at its end", err, want)
			}
		}
	})
}

// A signature that nobody has made is not blamed on a key that was not tried.
func TestTheErrorNamesTheKeysThatWereTried(t *testing.T) {
	first, second := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	both, err := keyset.NewStatic(publicKey(t, first), publicKey(t, second))
	if err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]string{
		"one": `invalid signature: it was not made with the key "one"`,
		"":    `invalid signature: it was made with none of the keys "one", "two"`,
	} {
		token, err := jose.Parse(stranger.WithKID(kid).Sign(t, map[string]any{"iss": "x"}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = keyset.Verify(t.Context(), both, &token); fmt.Sprint(err) != want || !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
