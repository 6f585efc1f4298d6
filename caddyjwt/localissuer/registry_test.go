package localissuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// issuer has keys once it has started.
type issuer struct {
	name     string
	settings byte
	fails    error
	keys     keyset.Source
	begun    bool
}

func (i *issuer) Name() string       { return i.name }
func (i *issuer) Settings() [32]byte { return [32]byte{i.settings} }
func (i *issuer) Start() error       { i.begun = i.fails == nil; return i.fails }

func (i *issuer) HasApplication(path string) bool { return path == "/a/" }
func (i *issuer) HasClient(id string) bool        { return id == "batch" }

func (i *issuer) Unseal(_ context.Context, token string) ([]byte, error) {
	return []byte("claims of " + token), nil
}

func (i *issuer) Keys() keyset.Source {
	if !i.begun {
		return nil
	}
	return i.keys
}

func newIssuer(t *testing.T, name string, settings byte) *issuer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.NewPublicKey("k1", private.Public(), 0)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyset.NewStatic(key)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{name: name, settings: settings, keys: keys}
}

// A gate asks about the application or the client of each token, remembered ones included.
func TestAGateKnowsTheApplicationsAndClientsOfTheIssuer(t *testing.T) {
	var r Registry
	apps := r.Source("i")
	if err := r.Add(newIssuer(t, "i", 1)); err != nil {
		t.Fatal(err)
	}
	if apps.HasApplication("/a/") || apps.HasClient("batch") {
		t.Error("there are applications or clients before the start")
	}
	if payload, err := apps.Unseal(t.Context(), "x"); payload != nil || !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("before the start, a token says %s: %v", payload, err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	if !apps.HasApplication("/a/") || apps.HasApplication("/b/") {
		t.Error("other applications")
	}
	if !apps.HasClient("batch") || apps.HasClient("") || apps.HasClient("/a/") {
		t.Error("other clients")
	}
	if payload, err := apps.Unseal(t.Context(), "x"); string(payload) != "claims of x" || err != nil {
		t.Errorf("a token says %s: %v", payload, err)
	}
	if n := testing.AllocsPerRun(100, func() { apps.HasApplication("/a/"); apps.HasClient("batch") }); n != 0 {
		t.Errorf("the questions allocate %v times", n)
	}
}

// A gate may be provisioned before the issuer, and a request may come before the issuer has started.
func TestKeysAreThereOnceTheIssuerHasStarted(t *testing.T) {
	var r Registry
	source := r.Source("https://i.test")
	i := newIssuer(t, "https://i.test", 1)
	if err := r.Add(i); err != nil {
		t.Fatal(err)
	}
	if source.Current() != nil {
		t.Error("there are keys before the start")
	}
	if _, err := source.Find(t.Context(), jose.ES256, "k1"); !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("before the start: %v", err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	keys, err := source.Find(t.Context(), jose.ES256, "k1")
	if err != nil || len(keys) != 1 || !source.Current().Has(keys[0]) {
		t.Errorf("%v, %v", keys, err)
	}
	if _, err := source.Find(t.Context(), jose.ES256, "k2"); !errors.Is(err, keyset.ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	if err := source.Close(); err != nil || source.Current() == nil {
		t.Errorf("a gate ends, and the issuer has no keys any more: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { source.Current() }); n != 0 {
		t.Errorf("Current allocates %v times", n)
	}
}

// Caddy makes several handlers of one directive whose site is on several servers.
func TestHandlersWithTheSameSettingsAreOneIssuer(t *testing.T) {
	var r Registry
	first, second := newIssuer(t, "i", 1), newIssuer(t, "i", 1)
	if err := errors.Join(r.Add(first), r.Add(second), r.Start()); err != nil || !first.begun || !second.begun {
		t.Errorf("%v", err)
	}
	if err := r.Add(newIssuer(t, "i", 2)); err == nil || !strings.Contains(err.Error(), "twice with different settings") {
		t.Errorf("other settings: %v", err)
	}
	if err := r.Add(newIssuer(t, "j", 2)); err != nil {
		t.Errorf("another name: %v", err)
	}
}

func TestAGateWithoutItsIssuerIsAMistake(t *testing.T) {
	var none Registry
	none.Source("https://i.test")
	if err := none.Start(); err == nil || !strings.Contains(err.Error(), `write "token_issuer https://i.test"`) {
		t.Errorf("no issuer: %v", err)
	}
	var other Registry
	other.Source("https://i.test")
	i := newIssuer(t, "https://i.test/", 1)
	if err := errors.Join(other.Add(i), other.Start()); err == nil || i.begun ||
		!strings.Contains(err.Error(), `no token_issuer has this name; there are "https://i.test/"`) {
		t.Errorf("another issuer: %v", err)
	}
}

func TestAnIssuerThatCannotStartIsNamed(t *testing.T) {
	var r Registry
	i := newIssuer(t, "https://i.test", 1)
	i.fails = errors.New("no storage")
	if err := errors.Join(r.Add(i), r.Start()); err == nil || err.Error() != "token_issuer https://i.test: no storage" {
		t.Errorf("%v", err)
	}
}
