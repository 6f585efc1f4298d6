package keyset_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const mark = "\xef\xbb\xbf"

// A server may publish the same documents that a file may contain.
func TestDocumentsOfKeysAreTakenFromEverywhere(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	for name, text := range map[string]string{
		"a key set":                              tokentest.JWKS(key),
		"a key set behind a byte order mark":     mark + tokentest.JWKS(key),
		"a single JWK":                           change(key.JWK(), nil),
		"a single JWK behind a byte order mark":  mark + change(key.JWK(), nil),
		"a single JWK between blanks":            "\r\n " + change(key.JWK(), nil) + "\r\n",
		"a key set of one that is a JWK as well": `{"kty":"oct","keys":[` + change(key.JWK(), nil) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			as := tokentest.NewAS(t)
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
			path := filepath.Join(t.TempDir(), "keys")
			write(t, path, text)
			file, err := keyset.NewFile(path, keyset.Selection{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			for from, source := range map[string]keyset.Source{
				"a file": file, "a URL": remote(t, keyset.RemoteOptions{URL: as.JWKSURL()}),
				"metadata": discovery(t, keyset.DiscoveryOptions{Issuer: as.URL}),
			} {
				if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
					t.Errorf("from %s: %v", from, err)
				}
			}
		})
	}
}

func TestAByteOrderMarkIsNotPartOfAText(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	for name, text := range map[string]string{"PEM": key.PublicPEM(), "DER": der(t, key.PublicPEM())} {
		if _, err := keyset.NewPEM([]byte(mark + text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const issuer = "https://as.example.com"
	if _, err := keyset.ParseMetadata([]byte(mark+`{"issuer":"`+issuer+`"}`), issuer, ""); err != nil {
		t.Errorf("metadata: %v", err)
	}
}

// A private key or a shared secret of a whole server is refused, even when it stands alone.
func TestABareJWKIsJudged(t *testing.T) {
	for reason, jwk := range map[string]string{
		"private_key":        change(tokentest.NewKey(t, "RS256", "one").JWK(), map[string]any{"d": "AQ"}),
		"symmetric_key":      change(tokentest.NewKey(t, "HS256", "one").JWK(), nil),
		"not_for_signatures": change(tokentest.NewKey(t, "RS256", "one").JWK(), map[string]any{"use": "enc"}),
		"duplicate_member":   `{"kty":"RSA",` + change(tokentest.NewKey(t, "RS256", "one").JWK(), nil)[1:],
		"malformed":          `{"kty":5}`,
	} {
		as := tokentest.NewAS(t)
		as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, jwk) })
		_, err := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()}).Find(t.Context(), 0, "one")
		if !errors.Is(err, keyset.ErrNoKeys) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// A SPIFFE bundle has keys for JWT-SVIDs beside X.509 authorities. Only "use" distinguishes them.
func TestKeysAreChosenByUse(t *testing.T) {
	use := func(kid string, use any) string {
		return change(tokentest.NewKey(t, "ES256", kid).JWK(), map[string]any{"use": use})
	}
	bundle := `{"keys":[` + strings.Join([]string{
		use("svid", "jwt-svid"), use("x509", "x509-svid"), use("sig", "sig"), use("none", nil), use("empty", ""),
	}, ",") + `]}`
	for wanted, want := range map[string][]string{
		"": {"sig", "none", "empty"}, "sig": {"sig", "none", "empty"}, "jwt-svid": {"svid"},
	} {
		keys, skipped, err := keyset.ParseFewJWKs([]byte(bundle), keyset.Selection{Use: wanted})
		var got []string
		for _, key := range keys {
			got = append(got, key.ID)
		}
		left := []keyset.Skipped{{Reason: "not_for_signatures", Count: 5 - len(want)}}
		if err != nil || !slices.Equal(got, want) || !slices.Equal(skipped, left) {
			t.Errorf("%q: %q, skipped %v, error %v", wanted, got, skipped, err)
		}
	}
}

func TestKeysForJWTSVIDsComeFromEverySource(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	bundle := `{"keys":[` + change(key.JWK(), map[string]any{"use": "jwt-svid"}) + `]}`
	as := tokentest.NewAS(t)
	as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, bundle) })
	path := filepath.Join(t.TempDir(), "bundle")
	write(t, path, bundle)
	taken := keyset.Selection{Use: keyset.UseJWTSVID}
	file, err := keyset.NewFile(path, taken, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, source := range map[string]keyset.Source{
		"a file": file, "a URL": remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Taken: taken}),
		"metadata": discovery(t, keyset.DiscoveryOptions{Issuer: as.URL, Taken: taken}),
	} {
		if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
			t.Errorf("from %s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"PEM": key.PublicPEM(), "DER": der(t, key.PublicPEM())} {
		write(t, path, text)
		if _, err := keyset.NewFile(path, taken, nil); !errors.Is(err, keyset.ErrFormat) ||
			!strings.Contains(err.Error(), "jwt-svid") {
			t.Errorf("%s, which says no use: %v", name, err)
		}
	}
}

func TestInvalidSelections(t *testing.T) {
	for _, taken := range []keyset.Selection{
		{Use: "enc"}, {Use: "SIG"}, {Use: "x509-svid"}, {Max: -1}, {Max: keyset.LargestMaxKeys + 1},
	} {
		_, remoteErr := keyset.NewRemote(keyset.RemoteOptions{URL: "https://as.example.com", Taken: taken})
		_, discoveryErr := keyset.NewDiscovery(keyset.DiscoveryOptions{Issuer: "https://as.example.com", Taken: taken})
		_, fileErr := keyset.NewFile("/dev/null", taken, nil)
		for _, err := range []error{errors.Join(taken.CheckUse(), taken.CheckMax()), remoteErr, discoveryErr, fileErr} {
			if err == nil {
				t.Errorf("%+v is accepted", taken)
			}
		}
	}
}

func TestEveryOptionIsPartOfTheFingerprint(t *testing.T) {
	hashingtest.EveryField(t, keyset.RemoteOptions{}, keyset.RemoteOptions.Fingerprint)
	hashingtest.EveryField(t, keyset.DiscoveryOptions{}, keyset.DiscoveryOptions.Fingerprint)
	hashingtest.EveryField(t, keyset.Selection{}, keyset.Selection.Fingerprint)
}

func TestDefaultsThatAreWrittenOutMakeNoDifference(t *testing.T) {
	prints := func(taken keyset.Selection) [3][32]byte {
		return [3][32]byte{
			taken.Fingerprint(), keyset.RemoteOptions{URL: "https://a", Taken: taken}.Fingerprint(),
			keyset.DiscoveryOptions{Issuer: "https://a", Taken: taken}.Fingerprint(),
		}
	}
	usual := prints(keyset.Selection{})
	if usual != prints(keyset.Selection{Use: "sig", Max: 100}) {
		t.Error("the defaults written out are another source")
	}
}

// manyKeys is a key set of n keys with the ids 0, 1, 2 and so on.
func manyKeys(tb testing.TB, n int) string {
	tb.Helper()
	jwk := tokentest.NewKey(tb, "ES256", "many").JWK()
	jwks := make([]string, n)
	for i := range jwks {
		jwks[i] = change(jwk, map[string]any{"kid": fmt.Sprint(i)})
	}
	return `{"keys":[` + strings.Join(jwks, ",") + `]}`
}

func TestAKeyBeyondTheBoundIsRefusedByTheNameOfTheBound(t *testing.T) {
	as := tokentest.NewAS(t)
	as.AnswerJWKS(200, manyKeys(t, 140))
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, manyKeys(t, 140))
	for _, test := range []struct {
		taken keyset.Selection
		found bool
	}{
		{keyset.Selection{}, false},
		{keyset.Selection{Max: 139}, false},
		{keyset.Selection{Max: 140}, true},
		{keyset.Selection{Max: 1000}, true},
	} {
		file, err := keyset.NewFile(path, test.taken, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for name, source := range map[string]keyset.Source{
			"a file": file, "a URL": remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Taken: test.taken}),
		} {
			err := find(t, source, "139")
			if test.found != (err == nil) ||
				!test.found && (!errors.Is(err, keyset.ErrUnknownKey) || !strings.Contains(err.Error(), "max_keys")) {
				t.Errorf("%s, %+v: %v", name, test.taken, err)
			}
			if err := find(t, source, "nowhere"); test.found &&
				(!errors.Is(err, keyset.ErrUnknownKey) || strings.Contains(err.Error(), "max_keys")) {
				t.Errorf("%s has all keys, and an unknown one is %v", name, err)
			}
		}
	}
}

// Most tokens of such a key arrive when no fetch is possible.
func TestAKeyBeyondTheBoundThatIsPendingNamesTheBound(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.body = manyKeys(t, 140)
		pending := 0
		for i := range 300 { // a minute
			_, err := source.FindFor(t.Context(),
				keyset.Signed{Algorithm: jose.ES256, KeyID: "139", Signature: fmt.Append(nil, i)})
			if !strings.Contains(fmt.Sprint(err), "max_keys") {
				t.Fatal(err)
			}
			if errors.Is(err, keyset.ErrPending) {
				pending++
			}
			time.Sleep(200 * time.Millisecond)
		}
		if pending == 0 {
			t.Error("none was pending")
		}
		t.Logf("%d of 300 were pending", pending)
	})
}

func TestACutSetIsReportedOnce(t *testing.T) {
	const warning = "more keys than max_keys takes"
	bodies := []string{manyKeys(t, 3), manyKeys(t, 4), manyKeys(t, 5), manyKeys(t, 2), manyKeys(t, 4)}
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		s := &server{body: bodies[0], header: http.Header{}}
		source, err := keyset.NewRemote(keyset.RemoteOptions{
			URL: "https://as.example.com/jwks", Taken: keyset.Selection{Max: 3}, Logger: slog.New(slog.NewTextHandler(log, nil)),
		}.With(s.get))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		var events observed
		source.SetObserver(events.add)
		source.Start()
		for i, warnings := range []int{0, 1, 1, 1, 2} { // no second warning about a set that goes on being cut
			s.set(func(s *server) { s.body = bodies[i] })
			time.Sleep(5 * time.Hour)
			synctest.Wait()
			if n := strings.Count(strings.Join(log.all, ""), warning); n != warnings {
				t.Errorf("after %d keys: warned %d times, want %d", i, n, warnings)
			}
		}
		if last := log.all[len(log.all)-1]; !strings.Contains(last, "level=WARN") ||
			!strings.Contains(last, "keys=3") || !strings.Contains(last, "skipped_too_many_keys=1") {
			t.Errorf("last line: %s", last)
		}
	})
}

func BenchmarkTheLargestKeySet(b *testing.B) {
	text := []byte(manyKeys(b, keyset.LargestMaxKeys))
	for b.Loop() {
		keys, _, err := keyset.ParseFewJWKs(text, keyset.Selection{Max: keyset.LargestMaxKeys})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := keyset.NewStatic(keys...); err != nil {
			b.Fatal(err)
		}
	}
}
