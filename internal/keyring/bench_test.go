package keyring_test

import (
	"strings"
	"testing"
)

func BenchmarkSign(b *testing.B) {
	payload := []byte(`{"iss":"https://as.example","pad":"` + strings.Repeat("x", 300) + `"}`)
	for _, alg := range allAlgorithms() {
		b.Run(alg.String(), func(b *testing.B) {
			ring := open(b, newVault().node(), algorithm(alg))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ring.Sign(nil, "at+jwt", payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCurrent(b *testing.B) {
	ring := open(b, newVault().node())
	for b.Loop() {
		if ring.Current() == nil {
			b.Fatal("no keys")
		}
	}
}

func TestCurrentDoesNotAllocate(t *testing.T) {
	ring := open(t, newVault().node())
	kid := signs(ring)
	if n := testing.AllocsPerRun(100, func() { ring.Current() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	find := func() {
		if keys, err := ring.Find(t.Context(), 10, kid); err != nil || len(keys) != 1 {
			t.Error(err)
		}
	}
	if n := testing.AllocsPerRun(100, find); n != 0 {
		t.Errorf("Find allocates %v times", n)
	}
}
