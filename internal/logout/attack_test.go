package logout_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// payloadOf decodes the payload of a token.
func payloadOf(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// RFC 8725 section 3.1 and section 2.6 step 3: none, another algorithm, and the public key as a secret.
func TestAlgorithmAttacks(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "k1")
	for _, attack := range tokentest.AlgorithmAttacks(key, payloadOf(t, key.Sign(t, says()))) {
		t.Run(attack.Name, func(t *testing.T) {
			var s state
			_, err := open(t, config(t, &s, key)).Receive(request(attack.Token))
			if err == nil || !s.nothing() {
				t.Fatalf("error %v, and the state %+v", err, &s)
			}
			if errors.Is(err, logout.KeysUnavailable) {
				t.Errorf("a stranger's token is called trouble of ours: %v", err)
			}
		})
	}
}

func TestForgedSignatures(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	good := key.Sign(t, says(), typed)
	parts := strings.Split(good, ".")
	other := strings.Split(key.Sign(t, says(m{"sid": "s2"}), typed), ".")
	refused(t, key, stranger.WithKID("k1").Sign(t, says(), typed), logout.InvalidSignature)
	refused(t, key, stranger.Sign(t, says(), typed), logout.UnknownKey)
	refused(t, key, stranger.WithKID("").Sign(t, says(), typed), logout.InvalidSignature)
	refused(t, key, tokentest.FlipSignature(t, good), logout.InvalidSignature)
	refused(t, key, parts[0]+"."+other[1]+"."+parts[2], logout.InvalidSignature)
	for _, text := range []string{
		parts[0] + "." + parts[1] + ".", parts[0] + "." + parts[1], good + ".", good + ".x", "." + good, "x", "...",
		good + "=", parts[0] + ".!." + parts[2],
		parts[0] + "." + parts[1] + "." + parts[2] + ".a.b", // an encrypted one has five parts
	} {
		var s state
		_, err := open(t, config(t, &s, key)).Receive(request(text))
		if !errors.Is(err, logout.MalformedToken) && !errors.Is(err, logout.MalformedRequest) || !s.nothing() {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// A shared secret verifies only where the issuer's keys are one.
func TestSharedSecrets(t *testing.T) {
	secret := tokentest.NewKey(t, "HS256", "s")
	var s state
	if _, err := open(t, config(t, &s, secret)).Receive(request(secret.Sign(t, says(), typed))); err != nil {
		t.Errorf("the issuer's keys are a secret: %v", err)
	}
	refused(t, tokentest.NewKey(t, "RS256", "s"), secret.Sign(t, says(), typed), logout.UnsupportedAlgorithm)
}

// Two readers of such a payload could find two different sessions in it.
func TestPayloadsThatCanBeReadInTwoWays(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	payload := payloadOf(t, key.Sign(t, says()))
	inside := strings.TrimSuffix(strings.TrimPrefix(payload, "{"), "}")
	for name, text := range map[string]string{
		"sid twice":              `{"sid":"s2",` + inside + `}`,
		"sid twice by an escape": `{"s\u0069d":"s2",` + inside + `}`,
		"sub twice":              `{"sub":"bob",` + inside + `}`,
		"events twice":           `{"events":{},` + inside + `}`,
		"event twice":            strings.Replace(payload, `{}`, `{},"`+event+`":{}`, 1),
		"twice inside":           strings.Replace(payload, `{}`, `{"a":1,"a":2}`, 1),
		"aud twice":              `{"aud":"x",` + inside + `}`,
		"iss twice":              `{"iss":"` + issuer + `",` + inside + `}`,
		"text behind it":         payload + `{}`,
		"a byte order mark":      "\ufeff" + payload,
		"a comma too many":       `{` + inside + `,}`,
		"a comment":              `{/**/` + inside + `}`,
		"not UTF-8":              strings.Replace(payload, "alice", "al\xffice", 1),
		"a lone surrogate":       strings.Replace(payload, "alice", `\ud800`, 1),
		"a list":                 `[` + payload + `]`,
		"empty":                  ` `,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, key, key.SignRaw(`{"alg":"ES256","kid":"k1"}`, text), logout.MalformedToken)
		})
	}
	for name, header := range map[string]string{
		"alg twice": `{"alg":"ES256","alg":"ES256","kid":"k1"}`, "typ twice": `{"alg":"ES256","typ":"JWT","typ":"at+jwt"}`,
		"crit": `{"alg":"ES256","kid":"k1","crit":["exp"]}`, "b64": `{"alg":"ES256","kid":"k1","b64":false}`,
		"nested": `{"alg":"ES256","kid":"k1","cty":"JWT"}`,
	} {
		t.Run(name, func(t *testing.T) { refused(t, key, key.SignRaw(header, payload), logout.MalformedToken) })
	}
}

// counting is a source that counts how often it is asked. It has no keys if the error is not nil.
type counting struct {
	keyset.Source
	asked int
	err   error
	leave func() // called when it is asked; nil for nothing
}

func (c *counting) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if c.leave != nil {
		c.leave()
	}
	if c.asked++; c.err != nil {
		return nil, c.err
	}
	return c.Source.Find(ctx, alg, kid)
}

// A flood of garbage costs neither keys nor memory: everything that needs no key is judged before.
func TestGarbageNeverReachesTheKeys(t *testing.T) {
	key, stranger := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "stranger")
	var s state
	c := config(t, &s, key)
	keys := &counting{Source: c.Keys}
	c.Keys = keys
	r := open(t, c)
	for _, body := range []string{
		"", "logout_token=", "logout_token=x", "logout_token=a.b.c", "a=b&c=d",
		"logout_token=" + strings.Repeat("a.", 8000), "logout_token=" + strings.Repeat("A", 15000),
		"logout_token=" + stranger.Sign(t, says(m{"iss": "https://other.example"})),
		"logout_token=" + stranger.Sign(t, says(m{"aud": "x"})),
		"logout_token=" + stranger.Sign(t, says(m{"exp": 1})),
		"logout_token=" + stranger.Sign(t, says(m{"events": nil})),
		"logout_token=" + stranger.Sign(t, says(m{"jti": nil})),
		"logout_token=" + stranger.Sign(t, says(m{"sub": nil, "sid": nil})),
		"logout_token=" + stranger.Sign(t, says(m{"nonce": "n"})),
		"logout_token=" + stranger.Sign(t, says(), m{"typ": "at+jwt"}),
		"logout_token=" + stranger.WithAlg("ES256").Sign(t, says(), m{"alg": "RS256"}),
	} {
		if _, err := r.Receive(post(body)); err == nil {
			t.Errorf("%.40q is accepted", body)
		}
	}
	if keys.asked != 0 {
		t.Errorf("the keys were asked %d times", keys.asked)
	}
	if _, err := r.Receive(request(stranger.Sign(t, says()))); err == nil || keys.asked != 1 {
		t.Errorf("error %v, and the keys were asked %d times", err, keys.asked)
	}
	if !s.nothing() {
		t.Errorf("garbage had an effect: %+v", &s)
	}
}

// Without keys a token cannot be judged. The answer asks the server to try again. Strangers can cause that, so it
// raises no alarm.
func TestKeysThatAreNotAvailable(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		trouble error
		leaves  bool
		want    logout.Reason
	}{
		"no keys":                {&keyset.UnavailableError{}, false, logout.KeysUnavailable},
		"an error of no kind":    {errors.New("new"), false, logout.KeysUnavailable},
		"a key just published":   {&keyset.UnavailableError{Err: keyset.ErrPending}, false, logout.KeyPending},
		"the client leaves":      {&keyset.UnavailableError{Err: context.Canceled}, true, logout.ClientGone},
		"unknown, and it leaves": {keyset.ErrUnknownKey, true, logout.UnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			settings := config(t, &s, key)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			keys := &counting{Source: settings.Keys, err: c.trouble}
			if settings.Keys = keys; c.leaves {
				keys.leave = leave
			}
			token := key.Sign(t, says(), typed)
			_, err := open(t, settings).Receive(request(token).WithContext(ctx))
			if !errors.Is(err, c.want) || !errors.Is(err, c.trouble) || !s.nothing() {
				t.Fatalf("error %v, and the state %+v", err, &s)
			}
			checkRefusal(t, err, token, 400)
		})
	}
}
