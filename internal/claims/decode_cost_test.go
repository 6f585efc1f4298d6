package claims_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestSizeIsNearTheHeapsSize(t *testing.T) {
	for name, text := range map[string]string{
		"typical claims":  typical,
		"a long escape":   `{"sub":"` + strings.Repeat(`\u0041`, 1000) + `"}`,
		"a short escape":  `{"sub":"` + strings.Repeat(`\/`, 1000) + `"}`,
		"many of them":    `{"aud":["` + strings.Repeat(`\u0041\u0041\u0041","`, 300) + `a"]}`,
		"scopes escaped":  `{"scope":"` + strings.Repeat(`\u0041 `, 1000) + `"}`,
		"an escaped name": `{"s\u0075b":"` + strings.Repeat("a", 1000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) { sizeIsNearTheHeapsSize(t, text) })
	}
}

func sizeIsNearTheHeapsSize(t *testing.T, text string) {
	t.Helper()
	const n = 500
	sets := make([]*claims.Set, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range sets {
		sets[i] = decode(t, text)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	real := int(after.HeapAlloc-before.HeapAlloc) / n
	size := sets[0].Size()
	t.Logf("%d bytes of claims: %d bytes by Size, %d in the heap", len(text), size, real)
	if size < real*8/10 || size > real*12/10 {
		t.Errorf("Size says %d, the heap %d", size, real)
	}
	runtime.KeepAlive(sets)
}

func TestSizeCountsWhatIsUnescaped(t *testing.T) {
	plain := decode(t, `{"sub":"`+strings.Repeat("/", 1000)+`"}`).Size()
	escaped := decode(t, `{"sub":"`+strings.Repeat(`\/`, 1000)+`"}`).Size()
	if escaped < plain+2000 {
		t.Errorf("%d with escapes, %d without", escaped, plain)
	}
}

func TestHostileTextIsRefusedQuickly(t *testing.T) {
	for name, text := range map[string]string{
		"300,000 digits":           `{"exp":` + strings.Repeat("9", 300_000) + `}`,
		"300,000 decimals":         `{"exp":1.` + strings.Repeat("9", 300_000) + `}`,
		"300,000 exponent digits":  `{"exp":1e` + strings.Repeat("9", 300_000) + `}`,
		"100,000 audiences":        `{"aud":["a"` + strings.Repeat(`,"a"`, 100_000) + `]}`,
		"100,000 scopes":           `{"scope":"` + strings.Repeat("a ", 100_000) + `"}`,
		"100,000 members":          `{` + strings.Repeat(`"a":1,`, 100_000) + `}`,
		"100,000 brackets":         `{"a":` + strings.Repeat("[", 100_000),
		"an open string of 300 KB": `{"a":"` + strings.Repeat("a", 300_000),
	} {
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			for range 3 {
				start := tokentest.ProcessorTime(t)
				if _, err := claims.Decode([]byte(text)); !errors.Is(err, claims.ErrMalformed) {
					t.Fatalf("got %v", err)
				}
				best = min(best, tokentest.ProcessorTime(t)-start)
			}
			t.Log(best)
			// A few hundred microseconds on an idle machine. Exact arithmetic with such numbers, or comparing each with
			// each, would take seconds.
			if best > 250*time.Millisecond {
				t.Errorf("took %v", best)
			}
		})
	}
}

func TestDecodeAllocations(t *testing.T) {
	text := []byte(typical)
	got := testing.AllocsPerRun(100, func() { _, _ = claims.Decode(text) })
	// the text, the set, its members, Audience and Scope
	if got != 5 {
		t.Errorf("%v allocations, want 5", got)
	}
}
