package registration_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// fileOf is the content of a file with clients.
func fileOf(tb testing.TB, all ...m) string {
	tb.Helper()
	if all == nil {
		all = []m{}
	}
	text, err := json.Marshal(m{"clients": all})
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// A good change of the file takes effect. A bad one leaves the clients as they were, and the log says so once.
func TestTheFileOfClientsIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh, log := hash(t, "old"), hash(t, "new"), new(lines)
		batch := func(hash string) m { return m{"id": "batch", "secret_hash": []string{hash}} }
		path := saved(t, fileOf(t, batch(old)))
		d := open(t, compiled(t, registration.Settings{
			File: path, Clients: []registration.Client{{ID: "fixed", SecretHashes: []string{hash(t, "fixed")}}},
		}), process.New(), log)
		settle := func() {
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		stays := func(when string) {
			t.Helper()
			if !has(t, d, "batch", "old") || has(t, d, "batch", "new") || !has(t, d, "fixed", "fixed") {
				t.Errorf("%s: the clients are not as they were", when)
			}
		}
		settle()
		stays("at first")
		if log.String() != "" {
			t.Errorf("the log has something without a change: %v", log)
		}
		for _, bad := range []struct{ content, says string }{
			{"", "not one JSON object"}, {"swordfish", "not one JSON object"}, {"[]", "not one JSON object"},
			{"{}", "there is no member"}, {`{"clients": null}`, "there is no member"},
			{`{"clients": [{"id": "batch"}]}`, "anybody could say that they are this client"},
			{fileOf(t, batch("swordfish")), "is not a hash as those"},
			{fileOf(t, batch(argon("new"))), "is not a hash as those"},
			{fileOf(t, batch(fresh), batch(fresh)), `batch\" is there twice`},
			{fileOf(t, m{"id": "fixed", "secret_hash": []string{fresh}}), `fixed\" is there twice`},
			{fileOf(t, batch(fresh), m{"id": "b", "jwks": "https://a.example"}), "has no jwks"},
			{fileOf(t, batch(fresh)) + strings.Repeat(" ", registration.MaxFile), "longer than"},
		} {
			write(t, path, bad.content)
			settle()
			stays(bad.says)
			said := log.count("cannot be used, and the clients stay as they were")
			if !strings.Contains(log.last(), bad.says) {
				t.Errorf("%q is not the last line of the log: %s", bad.says, log.last())
			}
			settle()
			if log.count("cannot be used") != said {
				t.Errorf("%q is in the log again and again", bad.says)
			}
			if told := log.told.String(); strings.Count(told, "failing") != said || strings.Contains(told, "changed") ||
				strings.Contains(told, "swordfish") {
				t.Errorf("the events are %s", told)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		settle()
		stays("without the file")
		write(t, path, fileOf(t, batch(fresh), m{"id": "second", "secret_hash": []string{fresh}}))
		settle()
		if has(t, d, "batch", "old") || !has(t, d, "batch", "new") || !has(t, d, "second", "new") ||
			!has(t, d, "fixed", "fixed") {
			t.Error("a good change has no effect")
		}
		if log.count("are in force") != 1 || log.count("clients=3") != 1 || log.count("can be used again") != 1 {
			t.Errorf("%v", log)
		}
		if told := log.told.String(); !strings.Contains(told, "changed map[clients:3 file:"+path+"]\n") ||
			strings.Count(told, "recovered") != 1 {
			t.Errorf("the events are %s", told)
		}
		write(t, path, fileOf(t))
		settle()
		if d.Clients().Find("batch") != nil || d.Clients().Len() != 1 || !has(t, d, "fixed", "fixed") {
			t.Error("a client that was removed is still there")
		}
		for _, secret := range []string{"swordfish", old, fresh} {
			if log.count(secret) != 0 {
				t.Errorf("the log has %q: %v", secret, log)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		write(t, path, fileOf(t, batch(fresh)))
		settle()
		if d.Clients().Find("batch") != nil || !has(t, d, "fixed", "fixed") {
			t.Error("the file is followed after the end, or the clients are gone")
		}
	})
}

// A file that is bad from the start refuses the configuration, and when it turns bad before it is opened, the issuer
// does not start.
func TestAFileThatIsBadFromTheStart(t *testing.T) {
	huge := saved(t, "")
	if err := os.Truncate(huge, registration.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		huge: "longer than", t.TempDir(): "not a regular file", saved(t, ""): "not one JSON object",
		"/REGISTRATION_NOWHERE.json": "no such file", "clients.json\n": "clients file",
	} {
		_, err := registration.Compile(words.NewSettings(), registration.Settings{File: path})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "clients file") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	path := saved(t, fileOf(t))
	p := compiled(t, registration.Settings{File: path})
	write(t, path, "rubbish")
	if _, err := p.Open(process.New(), slog.New(slog.DiscardHandler), nil); err == nil ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("it starts: %v", err)
	}
}

// A failure is an error, and leaves nothing open.
func TestKeysThatCannotBeOpened(t *testing.T) {
	p := registration.PlanOf(map[string]string{"signer": "ftp://a.example/keys"})
	_, err := p.Open(process.New(), slog.New(slog.DiscardHandler), nil)
	if err == nil || !strings.Contains(err.Error(), `"signer": jwks`) {
		t.Error(err)
	}
}

// signers are clients with their keys at one address.
func signers(address string, ids ...string) (all []registration.Client) {
	for _, id := range ids {
		all = append(all, registration.Client{ID: id, JWKS: address})
	}
	return all
}

// Clients with the same address share the keys there, and what is fetched once is there for all of them. Requests that
// come after the end still find the keys.
func TestKeysAtAnAddress(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "k"), tokentest.NewKey(t, "ES256", "next")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	t.Setenv("REGISTRATION_KEYS", as.JWKSURL())
	d := of(t, registration.Settings{Clients: signers("{env.REGISTRATION_KEYS}", "a", "b")})
	a, b := d.Clients().Find("a"), d.Clients().Find("b")
	if a.Keys.Current() != nil {
		t.Error("there are keys before somebody has asked")
	}
	if err := errors.Join(verify(t, a, key), verify(t, b, key)); err != nil {
		t.Error(err)
	}
	if as.JWKSFetches() != 1 || a.Keys.Current() == nil || a.Keys.Current() != b.Keys.Current() {
		t.Errorf("%d fetches for two clients", as.JWKSFetches())
	}
	as.SetKeys(key, next)
	if err := verify(t, a, next); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if keys, err := a.Keys.Find(t.Context(), jose.ES256, "k"); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
	if err := verify(t, a, tokentest.NewKey(t, "ES256", "stranger").WithKID("k")); err == nil {
		t.Error("a stranger has signed")
	}
	if err := errors.Join(a.Keys.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if err := verify(t, b, next); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// Another key under the id of the last one is noticed, as everywhere: keyset.Verify needs a Fetcher for that.
func TestAnotherKeyUnderTheSameID(t *testing.T) {
	old, next := tokentest.NewKey(t, "ES256", "k"), tokentest.NewKey(t, "ES256", "other").WithKID("k")
	as := tokentest.NewAS(t, tokentest.WithKeys(old))
	d := of(t, registration.Settings{Clients: signers(as.JWKSURL(), "a")})
	if err := verify(t, d.Clients().Find("a"), old); err != nil {
		t.Fatal(err)
	}
	as.SetKeys(next)
	if err := verify(t, d.Clients().Find("a"), next); err != nil {
		t.Error(err)
	}
}

// Keys that cannot be fetched are not known now, which is no verdict about who signed.
func TestKeysThatAreAway(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	as := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.StartDown())
	d := of(t, registration.Settings{Clients: signers(as.JWKSURL(), "a")})
	if err := verify(t, d.Clients().Find("a"), key); !errors.Is(err, keyset.ErrUnavailable) {
		t.Error(err)
	}
}
