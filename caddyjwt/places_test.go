package caddyjwt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// Work on token places grows with their number. Each place was once checked again with every place after it, so a few
// thousand took minutes.
func TestTokenPlacesAreCheckedOnce(t *testing.T) {
	work := func(places int) float64 {
		var block strings.Builder
		for i := range places {
			fmt.Fprintf(&block, "token_from header X-Token-%d\n", i)
		}
		text := "bearer_auth {\n" + block.String() + "audience a\nissuer https://as.example\n}"
		return testing.AllocsPerRun(1, func() {
			if err := new(caddyjwt.Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := work(100), work(400); many > 8*few {
		t.Errorf("%v allocations for 100 places, %v for 400", few, many)
	}
}
