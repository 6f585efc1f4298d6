package pool

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// fake is a key source that does what a test says.
type fake struct {
	stats   keyset.Stats
	observe func(keyset.Event)
	closed  int
}

func (f *fake) Current() *keyset.Set                   { return nil }
func (f *fake) Close() error                           { f.closed++; return nil }
func (f *fake) Stats() keyset.Stats                    { return f.stats }
func (f *fake) SetObserver(observe func(keyset.Event)) { f.observe = observe }
func (f *fake) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, keyset.ErrUnknownKey
}

// take takes a source for an issuer, with a lease of its own.
func take(t *testing.T, p *Pool, issuer string, source *fake) *Lease {
	t.Helper()
	l := &Lease{pool: p}
	got, err := l.Source(issuer, "jwks", [32]byte{1}, func() (keyset.Source, error) { return source, nil })
	if err != nil {
		t.Fatal(err)
	}
	if got != keyset.Source(source) {
		t.Fatalf("got %v", got)
	}
	return l
}

func release(t *testing.T, l *Lease) {
	t.Helper()
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
}

func TestObjectLivesUntilItsLastLeaseCloses(t *testing.T) {
	p, source := New(nil), new(fake)
	first, second := take(t, p, "https://a.example", source), take(t, p, "https://a.example", source)
	release(t, first)
	if source.closed != 0 {
		t.Fatal("closed while a lease has it")
	}
	release(t, second)
	if source.closed != 1 || len(p.References()) != 0 {
		t.Errorf("closed %d times, the pool has %v", source.closed, p.References())
	}
}

// A source counts for the issuers that hold it at the time. Nothing is lost when a lease closes.
func TestFetchesAreCountedForTheIssuersOfThatTime(t *testing.T) {
	const a, b = "https://a.example", "https://b.example"
	p, source := New(nil), &fake{stats: keyset.Stats{Fetches: 5, Failures: 1}}
	first := take(t, p, a, source)
	source.stats = keyset.Stats{Fetches: 7, Failures: 2}
	second := take(t, p, b, source)
	source.stats = keyset.Stats{Fetches: 10, Failures: 2}
	for range 2 { // the second time, there is nothing new
		for source := range p.Sources() {
			source.Count()
			if got, want := source.Issuers(), []string{a, b}; !slices.Equal(got, want) {
				t.Errorf("issuers %v, want %v", got, want)
			}
		}
	}
	release(t, first)
	for source := range p.Sources() {
		if got := source.Issuers(); !slices.Equal(got, []string{b}) {
			t.Errorf("issuers %v after the lease for %s has closed", got, a)
		}
	}
	source.stats.Fetches = 11
	release(t, second)
	for issuer, want := range map[string][2]uint64{a: {5, 1}, b: {4, 0}} {
		if got := p.Fetches(issuer); got.Fetches != want[0] || got.Failures != want[1] {
			t.Errorf("%s: %d attempts, %d failures; want %v", issuer, got.Fetches, got.Failures, want)
		}
	}
}

func TestPoolPassesOnEventsOfASource(t *testing.T) {
	var seen []keyset.EventKind
	p := New(func(_ *Source, e keyset.Event) { seen = append(seen, e.Kind) })
	source := new(fake)
	l := take(t, p, "https://a.example", source)
	want := []keyset.EventKind{keyset.Failing, keyset.Expired, keyset.Recovered}
	for _, kind := range want {
		source.observe(keyset.Event{Kind: kind})
	}
	if !slices.Equal(seen, want) {
		t.Errorf("events %v, want %v", seen, want)
	}
	release(t, l)
}

// silent is a key source that only finds keys.
type silent struct{ keyset.Source }

// reading is a key source that reads a file.
type reading struct{ silent }

func (reading) Err() error { return io.ErrUnexpectedEOF }

func TestErrOfASourceIsItsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		source keyset.Source
		want   error
	}{
		"one that fetches, and fails": {&fake{stats: keyset.Stats{Err: io.ErrNoProgress}}, io.ErrNoProgress},
		"one that fetches":            {new(fake), nil},
		"one that reads, and fails":   {reading{}, io.ErrUnexpectedEOF},
		"one that says nothing":       {silent{}, nil},
	} {
		if err := (&Source{Source: c.source}).Err(); err != c.want {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

// A source without an issuer is shared like any other, and has no issuers.
func TestSourceForNoIssuerIsNotCounted(t *testing.T) {
	p, source := New(nil), new(fake)
	l := take(t, p, "", source)
	for source := range p.Sources() {
		source.Count()
		if issuers := source.Issuers(); len(issuers) != 0 {
			t.Errorf("issuers %q", issuers)
		}
	}
	if len(l.Sources()) != 0 {
		t.Error("it is listened to")
	}
	release(t, l)
}

type other struct{}

func (other) Destruct() error { return nil }

// Two modules that use one key for different types get an error, not each other's objects.
func TestTakeRefusesAnObjectOfAnotherType(t *testing.T) {
	p := New(nil)
	first := take(t, p, "https://a.example", new(fake))
	second := &Lease{pool: p}
	id := [32]byte{1}
	if _, err := Take(second, "keys", string(id[:]), func() (other, error) { return other{}, nil }); err == nil {
		t.Error("no error")
	}
	release(t, second)
	release(t, first)
	if left := p.References(); len(left) > 0 {
		t.Errorf("the pool still has %d objects", len(left))
	}
}

func TestAPanicWhileOpeningLeavesThePoolUsable(t *testing.T) {
	p, source := New(nil), new(fake)
	l := &Lease{pool: p}
	if _, err := l.Source("https://a.example", "jwks", [32]byte{1}, func() (keyset.Source, error) {
		panic("a bug")
	}); err == nil || !strings.Contains(err.Error(), "a bug") {
		t.Errorf("error %v", err)
	}
	release(t, l)
	for range p.Sources() {
		t.Error("what was not opened is in the pool")
	}
	release(t, take(t, p, "https://a.example", source)) // the same object, which opens now
	if source.closed != 1 {
		t.Errorf("closed %d times", source.closed)
	}
}

// If open fails, what it took goes back, and its error is returned.
func TestBeginThatFailsGivesEverythingBack(t *testing.T) {
	p, source := New(nil), new(fake)
	_, err := Begin(p, func(l *Lease) (int, error) {
		if _, err := l.Source("https://a.example", "jwks", [32]byte{1}, func() (keyset.Source, error) {
			return source, nil
		}); err != nil {
			t.Error(err)
		}
		return 0, io.ErrUnexpectedEOF
	}, func(err error) { t.Error(err) })
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	if source.closed != 1 {
		t.Errorf("closed %d times", source.closed)
	}
}
