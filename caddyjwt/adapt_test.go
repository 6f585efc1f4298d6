package caddyjwt_test

import (
	"flag"
	"testing"

	// What the Caddyfiles here name besides our own. All of modules/standard takes longer to link.
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/logging"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/logging"

	_ "github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
)

var update = flag.Bool("update", false, "rewrite the expected part of testdata/adapt")

// TestAdapt runs every file of testdata/adapt: a Caddyfile, a dashed line, and the JSON that it becomes or the error
// that it gives. A new case is a new file.
func TestAdapt(t *testing.T) {
	t.Setenv("GATE_TEST_SECRET", "5a6f1c0e9d3b47a28c1e0f7d6b5a4938")
	wordstest.Adapt(t, "testdata/adapt", "bearer_auth", *update)
}

// adapted gives the JSON of the bearer_auth handlers in a Caddyfile, or the error.
func adapted(t *testing.T, caddyfile string) string {
	t.Helper()
	return wordstest.Adapted(t, caddyfile, "bearer_auth")
}
