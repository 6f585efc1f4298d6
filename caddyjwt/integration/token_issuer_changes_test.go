package integration

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// What the log says about keys of other Caddys.
const (
	saysOtherKeys = "another node with the same store had other signing keys"
	saysNewKeys   = "the signing keys are others than those that were last in use with the store"
)

// lines counts the lines of the log at a level that have a text.
func (k *keeper) lines(level, text string) (n int) {
	k.t.Helper()
	for line := range strings.Lines(k.log()) {
		if strings.Contains(line, `"level":"`+level+`"`) && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// configs gives Caddyfiles of several Caddys in which the users have the same hashes. A session ends with its password.
func configs(t *testing.T) (of func(k *keeper, storage string) string) {
	t.Helper()
	hash := regexp.MustCompile(`\$2a\$04\$[./\w]{53}`)
	one := hashOf(t, "kept")
	return func(k *keeper, storage string) string { return hash.ReplaceAllLiteralString(k.config(storage), one) }
}

// Two Caddys share a Redis and not the storage, so each refuses the tokens of the other. The log says why, and says it
// again when the keys of one are reset: those of the other stay. With the same storage, all is well.
func TestTwoCaddysWithOneStoreAndTwoStoragesSaySo(t *testing.T) {
	long(t)
	redistest.Installed(t)
	o := sharedBy(t, redistest.Start(t))
	here, config, storage := keeperOf(o), configs(t), t.TempDir()
	init := newFile(t, "Caddyfile", config(here, storage))
	if out, err := bearerAuth("", "store", "init", "--config", init); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	there := keeperOf(o.elsewhere())
	there.runsElsewhere(config(there, storage))
	theirs := there.login("/a/", "alice")
	here.loadFile(config(here, storage))
	here.becomes(http.StatusOK, "/a/", theirs)
	here.restartFile(config(here, t.TempDir()))
	eventually(t, "the log says that there are other keys", func() bool { return here.lines("error", saysOtherKeys) == 1 })

	ours := here.login("/a/", "alice")
	here.is(http.StatusOK, "/a/", ours)
	here.is(http.StatusUnauthorized, "/a/", theirs)
	there.becomes(http.StatusUnauthorized, "/a/", ours)
	there.is(http.StatusOK, "/a/", theirs)
	next, status := here.refreshes("/a/", theirs) // the sessions are the same
	if status != http.StatusOK {
		t.Errorf("a refresh at the other Caddy: status %d", status)
	}
	here.is(http.StatusOK, "/a/", next)

	here.commands("keys", "reset", "--yes")
	eventually(t, "the log says it again", func() bool { return here.lines("error", saysOtherKeys) >= 2 })
	there.becomes(http.StatusUnauthorized, "/a/", theirs) // the cut-off is in the store

	here.restartFile(config(here, storage)) // as the log says
	there.is(http.StatusOK, "/a/", there.login("/a/", "alice"))
	here.becomes(http.StatusOK, "/a/", there.login("/a/", "alice"))
}

// The storage of the only Caddy is lost. It starts, says so once, and sessions go on.
func TestALostStorageIsSaidAndStopsNothing(t *testing.T) {
	k, config := keeperOf(newOffice(t)), configs(t)
	k.loadFile(config(k, t.TempDir()))
	before := k.login("/a/", "alice")
	k.restartFile(config(k, t.TempDir()))
	eventually(t, "the log says that the keys are new", func() bool { return k.lines("info", saysNewKeys) == 1 })
	k.is(http.StatusUnauthorized, "/a/", before)
	next, status := k.refreshes("/a/", before)
	if status != http.StatusOK {
		t.Fatalf("a refresh: status %d", status)
	}
	k.is(http.StatusOK, "/a/", next)
	if k.lines("error", saysOtherKeys) > 0 {
		t.Error("a store in a file has no other Caddy to warn of")
	}
}

// Counters of an issuer stay when a reload takes it away, as all counters do.
func TestCountersOfAnIssuerOutliveIt(t *testing.T) {
	b := newBooth(t)
	const gone = "https://gone.example"
	user := "user alice " + hashOf(t, password)
	b.runs(issuingFor(gone, user, appOf(orders)))
	b.login()
	b.runs(b.issuerOf())
	series := `caddy_token_issuer_requests_total{endpoint="login",issuer="` + gone + `",result="granted"} `
	_, value, _ := strings.Cut(b.asks(http.MethodGet, "/metrics", "").body, series)
	if value == "" || value[0] == '0' {
		t.Errorf("%s%.10s", series, value)
	}
}
