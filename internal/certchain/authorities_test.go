package certchain_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, text)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAuthoritiesFollowTheirFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := tokentest.NewAuthority(t, "one"), tokentest.NewAuthority(t, "two")
		three := tokentest.NewAuthority(t, "three")
		chain, err := certchain.NewChain(three.Certify(t, "s", tokentest.NewKey(t, "ES256", "")).Certificate)
		if err != nil {
			t.Fatal(err)
		}
		first, second := file(t, tokentest.PEMOf(one)), file(t, tokentest.PEMOf(two))
		var log tokentest.Buffer
		looks := make(chan struct{}, 100)
		ca, err := certchain.Follow([]string{first, second}, slog.New(slog.NewTextHandler(&log, nil)),
			func() { looks <- struct{}{} })
		if err != nil {
			t.Fatal(err)
		}
		defer ca.Close()
		wait := func() { time.Sleep(10 * time.Second); synctest.Wait() }
		counts := func() bool { v := ca.Roots().Judge(chain, time.Now()); return v.Err == nil }
		if wait(); counts() || ca.Err() != nil || len(looks) == 0 || log.String() != "" {
			t.Errorf("at the start: %v, %v, %d looks, %s", counts(), ca.Err(), len(looks), log.String())
		}
		write(t, second, tokentest.PEMOf(two, three))
		if wait(); !counts() || !strings.Contains(log.String(), "have changed") {
			t.Errorf("after a change: %v, %s", counts(), log.String())
		}
		write(t, second, "words")
		if wait(); !counts() || ca.Err() == nil || !strings.Contains(log.String(), "those from before stay in use") {
			t.Errorf("with a bad file: %v, %v, %s", counts(), ca.Err(), log.String())
		}
		write(t, second, tokentest.PEMOf(two))
		if wait(); counts() || ca.Err() != nil || !strings.Contains(log.String(), "can be read again") {
			t.Errorf("in the end: %v, %v, %s", counts(), ca.Err(), log.String())
		}
	})
}

func TestAuthoritiesMustBeGoodAtFirst(t *testing.T) {
	good := file(t, tokentest.PEMOf(tokentest.NewAuthority(t, "one")))
	for name, path := range map[string]string{"bad": file(t, "words"), "missing": good + ".missing"} {
		if _, err := certchain.Follow([]string{good, path}, nil, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := certchain.Read([]string{good, path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s, read once: %v", name, err)
		}
	}
	var none *certchain.Authorities
	if none.Close(); none.Err() != nil {
		t.Error("none have an error")
	}
}
