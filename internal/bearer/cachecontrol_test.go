package bearer_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

func TestDropTargetedCacheControl(t *testing.T) {
	for name, dropped := range map[string]bool{
		"CDN-Cache-Control":     true,
		"Example-Cache-Control": true,
		"example-cache-control": true, // set without http.Header.Set
		"Surrogate-Control":     true,
		"surrogate-control":     true,
		"Cache-Control":         false, // the gate sets it
		"-Cache-Control":        false, // names no cache
		"Cdn-Cache-Controls":    false,
		"Cdn-Cache":             false,
		"X-Surrogate-Control":   false,
		"Etag":                  false,
	} {
		h := http.Header{name: {"max-age=600"}, "Vary": {"Origin"}}
		bearer.DropTargetedCacheControl(h)
		want := []string{"Vary"}
		if !dropped {
			want = slices.Sorted(slices.Values([]string{name, "Vary"}))
		}
		if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, want) {
			t.Errorf("%s: %v is left, want %v", name, got, want)
		}
	}
}
