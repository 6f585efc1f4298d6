package keyset_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	day  = 24 * time.Hour
	soon = 5 * time.Minute
)

// signers is a file of keys, and one of authorities.
type signers struct{ keys, ca string }

func newSigners(tb testing.TB, keys string, authorities ...*tokentest.Certificate) signers {
	tb.Helper()
	dir := tb.TempDir()
	s := signers{filepath.Join(dir, "keys"), filepath.Join(dir, "ca.pem")}
	write(tb, s.keys, keys)
	write(tb, s.ca, tokentest.PEMOf(authorities...))
	return s
}

func (s signers) taken() keyset.Selection { return keyset.Selection{CA: []string{s.ca}} }

func (s signers) open(logger *slog.Logger) (*keyset.File, error) {
	return keyset.NewFile(s.keys, s.taken(), logger)
}

// follow opens the file, and has it closed at the end.
func (s signers) follow(t *testing.T, logger *slog.Logger) *keyset.File {
	t.Helper()
	source, err := s.open(logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

// settle lets the files be read again.
func settle() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

func TestKeysNeedACertificateOfTheAuthorities(t *testing.T) {
	root, other := tokentest.NewAuthority(t, "root"), tokentest.NewAuthority(t, "other")
	middle := root.Authority(t, "middle")
	rsa, ec := tokentest.NewKey(t, "RS256", "rsa"), tokentest.NewKey(t, "ES256", "ec")
	ed := tokentest.NewKey(t, "EdDSA", "ed")
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	good := root.Certify(t, "good", ec)
	for _, test := range []struct {
		name, text string
		want       []string // ids of the keys; nil for an error
		skipped    string   // the reason of the only key that is left out, or why there is none
	}{
		{"a certificate", tokentest.PEMOf(good), []string{""}, ""},
		{"a chain", tokentest.PEMOf(middle.Certify(t, "s", rsa), middle), []string{""}, ""},
		{"in DER", string(good.Raw), []string{""}, ""},
		{"two signers", tokentest.PEMOf(middle.Certify(t, "s", rsa), middle, good), []string{"", ""}, ""},
		{"x5c of every kind", tokentest.JWKSOf(rsa.WithX5C(root.Certify(t, "s", rsa)), ec.WithX5C(good),
			ed.WithX5C(middle.Certify(t, "s", ed), middle)), []string{"rsa", "ec", "ed"}, ""},
		{"a JWK alone", change(ec.WithX5C(good), nil), []string{"ec"}, ""},
		{"a key without x5c", tokentest.JWKSOf(ec.WithX5C(good), rsa.JWK()), []string{"ec"}, "no_certificate"},
		{"an empty x5c", tokentest.JWKSOf(ec.WithX5C(good), rsa.WithX5C()), []string{"ec"}, "no_certificate"},
		{"x5c of another key", tokentest.JWKSOf(ec.WithX5C(good), stranger.WithX5C(good)), []string{"ec"},
			"certificate_mismatch"},
		{"x5c of another kind of key", tokentest.JWKSOf(ec.WithX5C(good), rsa.WithX5C(good)), []string{"ec"},
			"certificate_mismatch"},
		{"x5c of an Ed25519 key that is another", tokentest.JWKSOf(ec.WithX5C(good),
			ed.WithX5C(root.Certify(t, "s", tokentest.NewKey(t, "EdDSA", "other")))), []string{"ec"}, "certificate_mismatch"},
		{"x5c in the wrong order", tokentest.JWKSOf(ec.WithX5C(good), rsa.WithX5C(middle, middle.Certify(t, "s", rsa))),
			[]string{"ec"}, "certificate_mismatch"},
		{"a stranger in x5c", tokentest.JWKSOf(ec.WithX5C(good), rsa.WithX5C(root.Certify(t, "s", rsa), good)),
			[]string{"ec"}, "certificate_chain"},
		{"a huge x5c", tokentest.JWKSOf(ec.WithX5C(good), rsa.WithX5C(append([]*tokentest.Certificate{
			root.Certify(t, "s", rsa)}, slices.Repeat([]*tokentest.Certificate{root}, 500)...)...)), []string{"ec"},
			"certificate_mismatch"},
		{"an x5c that cannot be read", tokentest.JWKSOf(ec.WithX5C(good), with(rsa.WithX5C(root.Certify(t, "s", rsa)),
			"x5c", []any{1})), []string{"ec"}, "malformed"},
		{"another authority", tokentest.JWKSOf(ec.WithX5C(good), rsa.WithX5C(other.Certify(t, "s", rsa))), []string{"ec"},
			"certificate_untrusted"},
		{"an authority as signer", tokentest.JWKSOf(ec.WithX5C(good), middle.Key.WithX5C(middle)), []string{"ec"},
			"certificate_not_for_signatures"},
		{"an expired one", tokentest.JWKSOf(ec.WithX5C(good),
			rsa.WithX5C(root.Certify(t, "s", rsa, tokentest.Valid(-2*day, -day)))), []string{"ec"}, "certificate_expired"},
		{"one that is not yet valid", tokentest.JWKSOf(ec.WithX5C(good),
			rsa.WithX5C(root.Certify(t, "s", rsa, tokentest.Valid(day, 2*day)))), []string{"ec"}, "certificate_not_yet_valid"},
		{"the same key twice", tokentest.JWKSOf(ec.WithX5C(good), ec.WithX5C(good)), []string{"ec"}, "duplicate_key"},
		{"an old and a new certificate of a key", tokentest.PEMOf(
			root.Certify(t, "s", ec, tokentest.Valid(-2*day, -day)), good), []string{""}, ""},
		{"an expired one beside another, in PEM", tokentest.PEMOf(good,
			root.Certify(t, "s", rsa, tokentest.Valid(-2*day, -day))), []string{""}, "certificate_expired"},

		{"a public key", ec.PublicPEM(), nil, "is no certificate"},
		{"a public key beside a certificate", tokentest.PEMOf(good) + rsa.PublicPEM(), nil, "is no certificate"},
		{"a missing issuer", tokentest.PEMOf(middle.Certify(t, "s", rsa)), nil, "none of the authorities"},
		{"certified by nobody", certificatePEM(t, ec, time.Now().Add(time.Hour)), nil, "none of the authorities"},
		{"the authority itself", tokentest.PEMOf(root), nil, "is a certificate authority"},
		{"only an expired one", tokentest.PEMOf(root.Certify(t, "old", rsa, tokentest.Valid(-2*day, -day))), nil,
			`"CN=old" expired at`},
		{"a key set without x5c", tokentest.JWKS(ec), nil, "1 no_certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSigners(t, test.text, root)
			source, err := s.open(nil)
			keys, _, _, errParsed := keyset.ParseKeys([]byte(test.text), s.taken(), time.Now())
			if test.want == nil {
				if err == nil || !strings.Contains(err.Error(), test.skipped) {
					t.Errorf("error %v, want %q", err, test.skipped)
				}
				if errParsed == nil {
					t.Error("ParseKeys accepts it")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			if got := ids(source.Current().Keys()); !slices.Equal(got, test.want) {
				t.Errorf("keys %q, want %q", got, test.want)
			}
			if got := ids(keys); !slices.Equal(got, test.want) || errParsed != nil {
				t.Errorf("ParseKeys: %q, %v, want %q", got, errParsed, test.want)
			}
			skipped := source.Current().Skipped
			if test.skipped == "" && len(skipped) > 0 ||
				test.skipped != "" && !slices.Equal(skipped, []keyset.Skipped{{Reason: test.skipped, Count: 1}}) {
				t.Errorf("skipped %v, want %q", skipped, test.skipped)
			}
			if test.name == "two signers" {
				for _, key := range []*tokentest.Key{rsa, ec} {
					if _, err := verify(t, source, key.WithKID("").Sign(t, claims())); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func ids(keys []*jose.Key) []string {
	all := []string{}
	for _, key := range keys {
		all = append(all, key.ID)
	}
	return all
}

func with(jwk map[string]any, name string, value any) map[string]any {
	jwk[name] = value
	return jwk
}

// Without ca, nothing about x5c changes: it must have the key, and that is all.
func TestWithoutAuthoritiesX5CIsNoReasonToTrust(t *testing.T) {
	root := tokentest.NewAuthority(t, "root")
	key, other := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	expired := root.Certify(t, "s", key, tokentest.Valid(-2*day, -day))
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, tokentest.JWKSOf(key.WithX5C(expired), other.JWK()))
	source, err := keyset.NewFile(path, keyset.Selection{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if got := ids(source.Current().Keys()); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q", got)
	}
}

// A key goes at the moment when the first certificate of its chain ends, and others stay. It comes at the moment when
// the last of its chain begins.
func TestAttackKeyOfASignerWhoseCertificateHasEnded(t *testing.T) {
	stays, goes, comes := tokentest.NewKey(t, "ES256", "stays"), tokentest.NewKey(t, "ES256", "goes"),
		tokentest.NewKey(t, "ES256", "comes")
	for name, limited := range map[string]int{"the signer": 0, "an issuer": 1, "the authority": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := make([]time.Duration, 3)
				for i := range end {
					end[i] = 10 * soon
				}
				end[limited] = soon
				root, lasting := tokentest.NewAuthority(t, "root", tokentest.Valid(-soon, end[2])),
					tokentest.NewAuthority(t, "lasting")
				middle := root.Authority(t, "middle", tokentest.Valid(-soon, end[1]))
				leaf := middle.Certify(t, "leaf", goes, tokentest.Valid(-soon, end[0]))
				s := newSigners(t, tokentest.JWKSOf(
					stays.WithX5C(lasting.Certify(t, "stays", stays)), goes.WithX5C(leaf, middle),
					comes.WithX5C(lasting.Certify(t, "comes", comes, tokentest.Valid(2*soon, 10*soon)))), root, lasting)
				var log tokentest.Buffer
				source := s.follow(t, slog.New(slog.NewTextHandler(&log, nil)))
				events := new(observed)
				source.SetObserver(events.add)
				token := goes.Sign(t, claims())
				if _, err := verify(t, source, token); err != nil {
					t.Fatal(err)
				}
				key := source.Current().Keys()[1]
				first := source.Expires()
				if first.Sub(time.Now().Add(soon)).Abs() > time.Minute {
					t.Errorf("it expires at %v", first)
				}
				time.Sleep(time.Until(first) - time.Nanosecond)
				if !source.Current().Has(key) || source.Err() != nil {
					t.Errorf("it went too early: %v", source.Err())
				}
				time.Sleep(time.Nanosecond)
				if source.Current().Has(key) {
					t.Error("a remembered token of it would pass")
				}
				var unavailable *keyset.UnavailableError
				if _, err := verify(t, source, token); !errors.As(err, &unavailable) || !errors.Is(err, jose.ErrCertificate) {
					t.Errorf("error %v", err)
				}
				if _, err := verify(t, source, stays.Sign(t, claims())); err != nil {
					t.Errorf("the other key: %v", err)
				}
				if err := source.Err(); err == nil || !strings.Contains(err.Error(), "expired at") {
					t.Errorf("state %v", err)
				}
				settle()
				if event := events.last(); event.Kind != keyset.KeysChanged || !slices.Equal(event.Removed, []string{"goes"}) ||
					event.Err == nil || event.Keys != 1 {
					t.Errorf("event %+v", event)
				}
				if text := log.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "removed=goes") ||
					!strings.Contains(text, "expired at") || strings.Count(text, "removed=goes") != 1 {
					t.Errorf("log %s", text)
				}
				time.Sleep(2 * soon)
				synctest.Wait()
				if _, err := verify(t, source, comes.Sign(t, claims())); err != nil {
					t.Errorf("the key that has come: %v", err)
				}
			})
		})
	}
}

// When the last key of a source goes, there is none, and the state says why.
func TestAllCertificatesEnd(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	synctest.Test(t, func(t *testing.T) {
		root := tokentest.NewAuthority(t, "root")
		s := newSigners(t, tokentest.PEMOf(root.Certify(t, "s", key, tokentest.Valid(0, soon))), root)
		source := s.follow(t, nil)
		events := new(observed)
		source.SetObserver(events.add)
		time.Sleep(2 * soon)
		synctest.Wait()
		if source.Current() != nil || source.Err() == nil || !source.Expires().IsZero() {
			t.Errorf("%d keys, %v, %v", source.Current().Len(), source.Err(), source.Expires())
		}
		if event := events.last(); event.Kind != keyset.KeysChanged || event.Keys != 0 || len(event.Removed) != 1 {
			t.Errorf("event %+v", event)
		}
		if err := find(t, source, ""); !errors.Is(err, keyset.ErrUnavailable) || !errors.Is(err, jose.ErrCertificate) {
			t.Errorf("error %v", err)
		}
		// A new certificate of the same key brings it back.
		write(t, s.keys, tokentest.PEMOf(root.Certify(t, "s", key)))
		settle()
		if err := find(t, source, ""); err != nil || source.Err() != nil {
			t.Errorf("renewed: %v, %v", err, source.Err())
		}
	})
}

// A file whose certificates are not yet valid waits, as without ca.
func TestFileThatBecomesValid(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", ""), tokentest.NewKey(t, "ES384", "")
	synctest.Test(t, func(t *testing.T) {
		root := tokentest.NewAuthority(t, "root")
		s := newSigners(t, tokentest.PEMOf(root.Certify(t, "one", one)), root)
		source := s.follow(t, nil)
		write(t, s.keys, tokentest.PEMOf(root.Certify(t, "two", two, tokentest.Valid(soon, 2*soon))))
		settle()
		if _, err := verify(t, source, one.Sign(t, claims())); err != nil || source.Err() == nil {
			t.Errorf("before: %v, state %v", err, source.Err())
		}
		time.Sleep(soon)
		if settle(); source.Err() != nil {
			t.Error(source.Err())
		}
		if _, err := verify(t, source, two.Sign(t, claims())); err != nil {
			t.Errorf("then: %v", err)
		}
	})
}

// The authorities are replaced: keys are judged anew, also those that were refused before.
func TestAuthoritiesChange(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	synctest.Test(t, func(t *testing.T) {
		old, next := tokentest.NewAuthority(t, "old"), tokentest.NewAuthority(t, "next")
		s := newSigners(t, tokentest.JWKSOf(
			one.WithX5C(old.Certify(t, "one", one)), two.WithX5C(next.Certify(t, "two", two))), old)
		var log tokentest.Buffer
		source := s.follow(t, slog.New(slog.NewTextHandler(&log, nil)))
		events := new(observed)
		source.SetObserver(events.add)
		has := func(when string, want ...string) {
			t.Helper()
			settle()
			if got := ids(source.Current().Keys()); !slices.Equal(got, append([]string{}, want...)) {
				t.Errorf("%s: keys %q, want %q", when, got, want)
			}
		}
		has("at first", "one")
		if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnknownKey) ||
			!strings.Contains(err.Error(), "none of the authorities") {
			t.Errorf("error %v", err)
		}
		write(t, s.ca, tokentest.PEMOf(old, next))
		has("with both", "one", "two")
		write(t, s.ca, "words")
		if has("with a bad file", "one", "two"); source.Err() == nil || !strings.Contains(log.String(), s.ca) {
			t.Errorf("state %v, log %s", source.Err(), log.String())
		}
		write(t, s.ca, tokentest.PEMOf(next))
		if has("with the new one", "two"); source.Err() != nil {
			t.Error(source.Err())
		}
		if event := events.last(); event.Kind != keyset.KeysChanged || !slices.Equal(event.Removed, []string{"one"}) ||
			event.Err == nil {
			t.Errorf("event %+v", event)
		}
		write(t, s.ca, tokentest.PEMOf(tokentest.NewAuthority(t, "another")))
		if has("with a strange one"); source.Current() != nil || source.Err() == nil {
			t.Errorf("state %v", source.Err())
		}
		if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	})
}

// Keys behind a URL: what a server cannot mend goes, and what it renews comes back, though the keys are the same.
func TestFetchedKeysNeedCertificates(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	synctest.Test(t, func(t *testing.T) {
		root := tokentest.NewAuthority(t, "root")
		lasting := two.WithX5C(root.Certify(t, "two", two))
		files := newSigners(t, "", root)
		s := &server{body: tokentest.JWKSOf(one.WithX5C(root.Certify(t, "one", one, tokentest.Valid(0, soon))), lasting)}
		var log tokentest.Buffer
		source, err := keyset.NewRemote(keyset.RemoteOptions{
			URL: "https://as.example.com/jwks", Taken: files.taken(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}.With(s.get))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		events := new(observed)
		source.SetObserver(events.add)
		if err := errors.Join(find(t, source, "one"), find(t, source, "two")); err != nil {
			t.Fatal(err)
		}
		if end := source.Expires(); end.Sub(time.Now().Add(soon)).Abs() > time.Minute {
			t.Errorf("it expires at %v", end)
		}
		time.Sleep(soon + 10*time.Second)
		synctest.Wait()
		if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) || !errors.Is(err, jose.ErrCertificate) {
			t.Errorf("ended: %v", err)
		}
		if err := find(t, source, "two"); err != nil {
			t.Errorf("the other: %v", err)
		}
		if event := events.last(); event.Kind != keyset.KeysChanged || !slices.Equal(event.Removed, []string{"one"}) {
			t.Errorf("event %+v", event)
		}
		if stats := source.Stats(); stats.Keys != 1 || stats.Err == nil || stats.Failing ||
			!slices.Contains(stats.Skipped, keyset.Skipped{Reason: "certificate_expired", Count: 1}) {
			t.Errorf("%+v", stats)
		}
		s.set(func(s *server) { s.body = tokentest.JWKSOf(one.WithX5C(root.Certify(t, "one", one)), lasting) })
		time.Sleep(time.Minute)
		if err := find(t, source, "one"); err != nil { // it may ask for a key that is out of force
			t.Errorf("renewed: %v", err)
		}
		synctest.Wait()
		if event := events.last(); !slices.Equal(event.Added, []string{"one"}) || source.Stats().Err != nil {
			t.Errorf("event %+v, state %v", event, source.Stats().Err)
		}
		// A set without a good key counts as a failed fetch, and does not take the good ones away.
		s.set(func(s *server) { s.body = tokentest.JWKS(one, two) })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if err := find(t, source, "two"); err != nil || !source.Stats().Failing {
			t.Errorf("with rubbish: %v, %+v", err, source.Stats())
		}
		write(t, files.ca, tokentest.PEMOf(tokentest.NewAuthority(t, "another")))
		settle()
		if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnavailable) || source.Current() != nil {
			t.Errorf("with another authority: %v", err)
		}
	})
}

func TestSourcesWithoutGoodAuthorities(t *testing.T) {
	missing := keyset.Selection{CA: []string{filepath.Join(t.TempDir(), "missing")}}
	if _, err := keyset.NewRemote(keyset.RemoteOptions{URL: "https://as.example.com/jwks", Taken: missing}); err == nil {
		t.Error("a remote source opens")
	}
	discovery := keyset.DiscoveryOptions{Issuer: "https://as.example.com", Taken: missing}
	if _, err := keyset.NewDiscovery(discovery); err == nil {
		t.Error("discovery opens")
	}
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, "{}")
	if _, err := keyset.NewFile(path, missing, nil); err == nil {
		t.Error("a file opens")
	}
	if _, _, _, err := keyset.ParseKeys([]byte(`{"keys":[]}`), missing, time.Now()); err == nil {
		t.Error("keys are read")
	}
	if (keyset.Selection{}).Fingerprint() == missing.Fingerprint() {
		t.Error("sources with other authorities are shared")
	}
}

// Keys and authorities are replaced again and again while tokens arrive. None that is good is refused.
func TestRotationOfSignersRefusesNobody(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	token := key.Sign(t, claims())
	synctest.Test(t, func(t *testing.T) {
		first, second := tokentest.NewAuthority(t, "first"), tokentest.NewAuthority(t, "second")
		byFirst, bySecond := tokentest.PEMOf(first.Certify(t, "s", key)), tokentest.PEMOf(second.Certify(t, "s", key))
		s := newSigners(t, byFirst, first)
		source := s.follow(t, nil)
		var stop atomic.Bool
		var verified, refused atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for !stop.Load() {
					if _, err := verify(t, source, token); err != nil {
						refused.Add(1)
					}
					verified.Add(1)
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		for range 5 {
			for _, step := range []struct{ path, text string }{
				{s.ca, tokentest.PEMOf(first, second)}, {s.keys, bySecond}, {s.ca, tokentest.PEMOf(second)},
				{s.ca, tokentest.PEMOf(first, second)}, {s.keys, byFirst}, {s.ca, tokentest.PEMOf(first)},
			} {
				write(t, step.path, step.text)
				settle()
			}
		}
		stop.Store(true)
		wg.Wait()
		if refused.Load() != 0 || verified.Load() < 1000 {
			t.Errorf("%d of %d refused", refused.Load(), verified.Load())
		}
	})
}

// Asking for the keys builds no chain: that happens when something has changed.
func TestAllocationsOfKeysWithCertificates(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	root := tokentest.NewAuthority(t, "root")
	source := newSigners(t, tokentest.PEMOf(root.Certify(t, "s", key)), root).follow(t, nil)
	known := source.Current().Keys()[0]
	if n := testing.AllocsPerRun(100, func() {
		if !source.Current().Has(known) {
			t.Fatal("it is gone")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkKeysInForce(b *testing.B) {
	key := tokentest.NewKey(b, "ES256", "")
	root := tokentest.NewAuthority(b, "root")
	s := newSigners(b, tokentest.PEMOf(root.Certify(b, "s", key)), root)
	for name, taken := range map[string]keyset.Selection{"without ca": {}, "with ca": s.taken()} {
		b.Run(name, func(b *testing.B) {
			source, err := keyset.NewFile(s.keys, taken, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer source.Close()
			known := source.Current().Keys()[0]
			for b.Loop() {
				if !source.Current().Has(known) {
					b.Fatal("it is gone")
				}
			}
		})
	}
}

// As long as nothing changes, the set is the same.
func TestManyCertificatesAreJudgedOnce(t *testing.T) {
	root := tokentest.NewAuthority(t, "root")
	key := tokentest.NewKey(t, "ES256", "")
	leaf := root.Certify(t, "s", key)
	jwks := make([]map[string]any, 100)
	for i := range jwks {
		jwks[i] = key.WithKID(string(rune('a' + i))).WithX5C(leaf)
	}
	source := newSigners(t, tokentest.JWKSOf(jwks...), root).follow(t, nil)
	set := source.Current()
	if set.Len() != len(jwks) || source.Current() != set {
		t.Errorf("%d keys, or another set each time", set.Len())
	}
}
