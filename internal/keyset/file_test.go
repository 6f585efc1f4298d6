package keyset_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// certificatePEM is a certificate of the key that is valid from an hour ago.
func certificatePEM(tb testing.TB, key *tokentest.Key, expires time.Time) string {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: expires.Add(-48 * time.Hour),
		NotAfter: expires, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key.Private())
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// strangeCertificate is a certificate with an unknown kind of key: the name of the kind is changed.
func strangeCertificate(tb testing.TB, expires time.Time) string {
	tb.Helper()
	text := der(tb, certificatePEM(tb, tokentest.NewKey(tb, "ES256", "strange"), expires))
	ecPublicKey := "\x2a\x86\x48\xce\x3d\x02\x01" // 1.2.840.10045.2.1
	if !strings.Contains(text, ecPublicKey) {
		tb.Fatal("the certificate does not name the kind of its key")
	}
	text = strings.Replace(text, ecPublicKey, ecPublicKey[:6]+"\x09", 1)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(text)}))
}

func der(tb testing.TB, text string) string {
	tb.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		tb.Fatal("no PEM")
	}
	return string(block.Bytes)
}

func TestFileFormats(t *testing.T) {
	key, other := tokentest.NewKey(t, "RS256", "one"), tokentest.NewKey(t, "ES256", "two")
	cert := certificatePEM(t, key, time.Now().Add(time.Hour))
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"a key set", tokentest.JWKS(other, key), nil},
		{"a key set after white space", "\n\t " + tokentest.JWKS(key), nil},
		{"a single JWK", change(key.JWK(), nil), nil},
		{"a public key", key.PublicPEM(), nil},
		{"two public keys", other.PublicPEM() + key.PublicPEM(), nil},
		{"a certificate", cert, nil},
		{"a public key in DER", der(t, key.PublicPEM()), nil},
		{"a certificate in DER", der(t, cert), nil},
		{"nothing", "", keyset.ErrFormat},
		{"white space", " \n", keyset.ErrFormat},
		{"an empty key set", `{"keys":[]}`, keyset.ErrNoKeys},
		{"another JSON text", `{"a":1}`, keyset.ErrFormat},
		{"a shared secret", change(tokentest.NewKey(t, "HS256", "").JWK(), nil), keyset.ErrNoKeys},
		{"a private key", key.PrivatePEM(), jose.ErrPrivateKey},
		{"a private key behind a public one", key.PublicPEM() + key.PrivatePEM(), jose.ErrPrivateKey},
		{"an expired certificate", certificatePEM(t, key, time.Now().Add(-time.Hour)), jose.ErrCertificate},
		{"a certificate for a key of an unknown kind", strangeCertificate(t, time.Now().Add(time.Hour)), jose.ErrKey},
		{"words", "this is not a key", jose.ErrKey},
		{"too much", string(bytes.Repeat([]byte(" "), 1<<20)) + key.PublicPEM(), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			write(t, path, test.text)
			source, err := keyset.NewFile(path, keyset.Selection{}, nil)
			if test.name == "too much" {
				if err == nil {
					t.Error("it is accepted")
				}
				return
			}
			if test.want != nil {
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
				t.Error(err)
			}
			if fixed, err := keyset.NewPEM([]byte(test.text)); err != nil {
				t.Error(err)
			} else if _, err := verify(t, fixed, key.Sign(t, claims())); err != nil {
				t.Error(err)
			}
		})
	}
	absent := filepath.Join(t.TempDir(), "nothing")
	if _, err := keyset.NewFile(absent, keyset.Selection{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := keyset.NewFile(t.TempDir(), keyset.Selection{}, nil); err == nil {
		t.Error("a directory is accepted")
	}
}

func TestFileChanges(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	write(t, path, tokentest.JWKS(one))
	synctest.Test(t, func(t *testing.T) {
		source, err := keyset.NewFile(path, keyset.Selection{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		events := new(observed)
		source.SetObserver(events.add)
		steps := []struct {
			name   string
			do     func()
			key    *tokentest.Key
			events []string
		}{
			{"nothing happens", func() {}, one, nil},
			{"the same text again", func() { write(t, path, tokentest.JWKS(one)) }, one, nil},
			{"another key", func() { write(t, path, tokentest.JWKS(two)) }, two, []string{"keys_changed"}},
			{"the file is cut short", func() { write(t, path, tokentest.JWKS(one)[:40]) }, two, []string{"failing"}},
			{"it is complete", func() { write(t, path, tokentest.JWKS(one)) }, one, []string{"recovered", "keys_changed"}},
			{"the file is gone", func() { os.Remove(path) }, one, []string{"failing"}},
			{"it is back", func() { write(t, path, tokentest.JWKS(one)) }, one, []string{"recovered"}},
			{"another form of the same key", func() { write(t, path, change(one.JWK(), nil)) }, one, nil},
			{"another file in its place", func() {
				write(t, path+".new", two.PublicPEM())
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}, two, []string{"keys_changed"}},
			{"a directory in its place", func() { os.Remove(path); os.Mkdir(path, 0o700) }, two, []string{"failing"}},
			{"a link to a file", func() {
				os.Remove(path)
				write(t, filepath.Join(dir, "target"), one.PublicPEM())
				if err := os.Symlink(filepath.Join(dir, "target"), path); err != nil {
					t.Fatal(err)
				}
			}, one, []string{"recovered", "keys_changed"}},
			{"the target changes", func() { write(t, filepath.Join(dir, "target"), two.PublicPEM()) },
				two, []string{"keys_changed"}},
		}
		var want []string
		for _, step := range steps {
			step.do()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if _, err := verify(t, source, step.key.Sign(t, claims())); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			want = append(want, step.events...)
			if got := events.kinds(); !slices.Equal(got, want) {
				t.Fatalf("%s: events %v, want %v", step.name, got, want)
			}
			if err, fails := source.Err(), slices.Contains(step.events, "failing"); (err != nil) != fails {
				t.Errorf("%s: error %v", step.name, err)
			}
		}
	})
}

// Err returns the present trouble, not the one that began it. It does not name the file.
func TestErrOfAFileIsTheLatest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	good := tokentest.NewKey(t, "ES256", "").PublicPEM()
	write(t, path, good)
	synctest.Test(t, func(t *testing.T) {
		source, err := keyset.NewFile(path, keyset.Selection{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		for i, step := range []struct {
			do   func()
			want error
		}{
			{func() {}, nil},
			{func() { os.Remove(path) }, fs.ErrNotExist},
			{func() { write(t, path, "{") }, keyset.ErrFormat},
			{func() { write(t, path, `{"keys":[]}`) }, keyset.ErrNoKeys},
			{func() { write(t, path, good) }, nil},
		} {
			step.do()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			err := source.Err()
			if !errors.Is(err, step.want) || err != nil && strings.Contains(err.Error(), path) {
				t.Errorf("step %d: error %v, want %v", i, err, step.want)
			}
		}
	})
}

// A file that is being written is not used before it is complete.
func TestFileHalfWritten(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, one.PublicPEM())
	synctest.Test(t, func(t *testing.T) {
		source, err := keyset.NewFile(path, keyset.Selection{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		time.Sleep(1900 * time.Millisecond)
		write(t, path, two.PublicPEM())
		time.Sleep(200 * time.Millisecond)
		write(t, path, two.PublicPEM()+one.PublicPEM())
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if n := source.Current().Len(); n != 1 || !source.Current().Has(publicKey(t, one.WithKID(""))) {
			t.Errorf("%d keys while it is being written", n)
		}
		time.Sleep(5 * time.Second)
		if n := source.Current().Len(); n != 2 {
			t.Errorf("%d keys in the end", n)
		}
	})
}

func TestCertificatesExpire(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	path := filepath.Join(t.TempDir(), "cert.pem")
	token := key.Sign(t, claims())
	synctest.Test(t, func(t *testing.T) {
		text := certificatePEM(t, key, time.Now().Add(time.Hour))
		write(t, path, text)
		file, err := keyset.NewFile(path, keyset.Selection{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		fixed, err := keyset.NewPEM([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range []keyset.Source{file, fixed} {
			defer source.Close()
			if _, err := verify(t, source, token); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(2 * time.Hour)
		for _, source := range []keyset.Source{file, fixed} {
			if _, err := verify(t, source, token); !errors.Is(err, keyset.ErrUnavailable) ||
				!errors.Is(err, jose.ErrCertificate) || source.Current() != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
		if err := file.Err(); !errors.Is(err, jose.ErrCertificate) {
			t.Errorf("the file's error is %v", err)
		}
		write(t, path, certificatePEM(t, key, time.Now().Add(time.Hour)))
		time.Sleep(5 * time.Second)
		if _, err := verify(t, file, token); err != nil || file.Err() != nil {
			t.Errorf("with a new certificate: %v, the file's error is %v", err, file.Err())
		}
	})
}
