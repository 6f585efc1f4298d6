package keyring_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// secretsIn are the private keys of a document in all forms in which somebody could print them: pieces of each, since
// a message may be cut.
func secretsIn(t *testing.T, text string) (pieces []string) {
	t.Helper()
	var doc struct {
		Keys []struct{ Private, Sealing []byte }
	}
	must(t, json.Unmarshal([]byte(text), &doc))
	for _, key := range doc.Keys {
		if key.Sealing != nil {
			numbers := strings.Trim(fmt.Sprint(key.Sealing[:8]), "[]")
			pieces = append(pieces, base64.StdEncoding.EncodeToString(key.Sealing)[:24], hex.EncodeToString(key.Sealing)[:20],
				numbers, strings.ReplaceAll(numbers, " ", ", "), string(key.Sealing[:8]))
		}
		if key.Private == nil {
			continue
		}
		secret := privateNumber(t, key.Private)[:24]
		numbers := strings.Trim(fmt.Sprint(secret[:8]), "[]")
		pieces = append(pieces, base64.StdEncoding.EncodeToString(key.Private)[24:60],
			base64.StdEncoding.EncodeToString(secret), hex.EncodeToString(secret)[:20],
			strings.ToUpper(hex.EncodeToString(secret))[:20], numbers, strings.ReplaceAll(numbers, " ", ", "),
			new(big.Int).SetBytes(secret).String()[:16], string(secret[:8]))
	}
	return pieces
}

// privateNumber is what must not be known of a private key.
func privateNumber(t *testing.T, pkcs8 []byte) []byte {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	must(t, err)
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key.Primes[0].Bytes()
	case *ecdsa.PrivateKey:
		number, err := key.Bytes()
		must(t, err)
		return number
	default:
		return key.(ed25519.PrivateKey).Seed()
	}
}

func keepsSecret(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows a private key: %.200q", what, text)
			return
		}
	}
}

func TestPrivateKeysAreNeverPrinted(t *testing.T) {
	for _, alg := range allAlgorithms() {
		synctest.Test(t, func(t *testing.T) {
			shared := newVault()
			var log tokentest.Buffer
			var told troubles
			ring := open(t, shared.node(), algorithm(alg), told.into, func(o *keyring.Options) {
				o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			place, good := shared.place(), shared.text()
			secrets := secretsIn(t, good)
			for _, text := range damages(good) {
				if text == good { // it is about another algorithm
					continue
				}
				shared.put(place, text)
				_, err := keyring.Open(t.Context(), with(shared.node(), algorithm(alg)))
				wants(t, err, keyring.ErrDocument)
				keepsSecret(t, "an error", fmt.Sprintf("%v %+v %#v", err, err, err), secrets)
				afterALook()
				shared.put(place, good)
				afterALook()
			}
			must(t, ring.Rotate(t.Context()))
			must(t, ring.Reset(t.Context()))
			time.Sleep(time.Minute)
			synctest.Wait()
			secrets = append(secrets, secretsIn(t, shared.text())...)
			inside := struct {
				Ring  *keyring.Ring
				ring  *keyring.Ring
				value any
			}{ring, ring, ring}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
				keepsSecret(t, verb, fmt.Sprintf(verb, ring), secrets)
				keepsSecret(t, verb, fmt.Sprintf(verb, inside), secrets)
				keepsSecret(t, verb, fmt.Sprintf(verb, ring.Keys()), secrets)
			}
			for _, value := range []any{ring, inside, ring.Keys()} {
				text, err := json.Marshal(value)
				must(t, err)
				keepsSecret(t, "JSON", string(text), secrets)
				slog.New(slog.NewTextHandler(&log, nil)).Info("test", "value", value)
				slog.New(slog.NewJSONHandler(&log, nil)).Info("test", "value", value)
			}
			keepsSecret(t, "the log", log.String(), secrets)
			keepsSecret(t, "the key set", string(ring.JWKS()), secrets)
			if got := fmt.Sprintf("%+v", ring); got != `signing keys of "https://as.example"` {
				t.Errorf("printed as %s", got)
			}
		})
	}
}

func TestTheTestFindsAPrivateKey(t *testing.T) {
	shared := newVault()
	open(t, shared.node())
	secrets := secretsIn(t, shared.text())
	if len(secrets) != 16 || !strings.Contains(shared.text(), secrets[0]) || !strings.Contains(shared.text(), secrets[8]) {
		t.Errorf("%d secrets", len(secrets))
	}
}

func TestTheLogSaysWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		shared := newVault()
		storage := shared.node()
		ring := open(t, storage, func(o *keyring.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		first := signs(ring)
		must(t, open(t, shared.node()).Reset(t.Context()))
		storage.hook("Load", failing)
		afterALook()
		afterALook()
		storage.hook("Load", nil)
		afterALook()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 3 {
			t.Fatalf("%d lines: %s", len(lines), log.String())
		}
		for i, want := range [][]string{
			{"WARN", "cannot be kept up to date", "the storage is away", issuer},
			{"INFO", "have changed", "signs=" + signs(ring), first, "keys=2"},
			{"INFO", "up to date again"},
		} {
			for _, part := range want {
				if !strings.Contains(lines[i], part) {
					t.Errorf("line %s lacks %q", lines[i], part)
				}
			}
		}
	})
}
