package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// pend sends tokens with invented key ids until the gate may fetch nothing more for them. It gives the answer that says
// so, and how many tokens had another answer before.
func pend(t *testing.T, s *site, issuer string) (a answer, unknown int) {
	t.Helper()
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	eventually(t, "a key id is pending", func() bool {
		a = s.get("/", mallory.WithKID(fmt.Sprint("invented-", unknown)).Sign(t, issuedBy(issuer)))
		if a.StatusCode == http.StatusUnauthorized {
			unknown++
		}
		return a.StatusCode == http.StatusServiceUnavailable
	})
	return a, unknown
}

// Strangers can make key ids pending as often as they like. That must not fill the log with errors, or wake operators.
// The token of a key that was published just then must pass when its client comes back.
func TestKeyThatIsPending(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "present"), tokentest.NewKey(t, "ES256", "upcoming")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	s.loadMeasured(gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	before := s.scrape()

	a, unknown := pend(t, s, as.URL)
	s.refused(a, http.StatusServiceUnavailable, "key_pending")
	if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 5 {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	if challenge := a.Header.Values("WWW-Authenticate"); len(challenge) != 0 {
		t.Errorf("challenge %q, and the token may be good", challenge)
	}
	as.SetKeys(key, next)
	upcoming := next.Sign(t, issuedBy(as.URL))
	pending := 1
	eventually(t, "the published key is known", func() bool {
		a := s.get("/", upcoming)
		if a.StatusCode == http.StatusServiceUnavailable {
			s.refused(a, http.StatusServiceUnavailable, "key_pending")
			pending++
		}
		return a.StatusCode == http.StatusOK
	})

	s.scrape().since(before).counted(t, `requests_total`, scraped{
		requests("accepted", ""): 1, requests("refused", "key_pending"): float64(pending),
		requests("refused", "unknown_key"): float64(unknown),
	})
	for line := range strings.Lines(s.log()) {
		var entry struct{ Level, Logger, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		ours := strings.HasPrefix(entry.Logger, "http.handlers.bearer_auth") || strings.HasPrefix(entry.Logger, "http.log.")
		if ours && slices.Contains([]string{"warn", "error"}, entry.Level) {
			t.Errorf("%s", line)
		}
	}
}

// An error route may write the page, as for every refusal.
func TestErrorPageOfAPendingKey(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "present")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateForAudience(issuerBlock(as.URL, "leeway 5s"))+`
	handle_errors 503 {
		respond "later: {http.auth.bearer.reason}" 503
	}`)
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	a, _ := pend(t, s, as.URL)
	if a.body != "later: key_pending" || a.Header.Get("Retry-After") == "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("page %q, header %v", a.body, a.Header)
	}
}

// A key that the server has replaced under its id is found by the first token that it signs.
func TestKeyReplacedUnderItsID(t *testing.T) {
	old, next := tokentest.NewKey(t, "ES256", "fixed"), tokentest.NewKey(t, "ES256", "fixed-next").WithKID("fixed")
	as := tokentest.NewAS(t, tokentest.WithKeys(old))
	s := start(t, gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	retired := old.Sign(t, issuedBy(as.URL))
	for range 3 { // remembered, too
		s.accepts(retired)
	}
	as.SetKeys(next)
	s.accepts(next.Sign(t, issuedBy(as.URL)))
	s.refused(s.get("/", retired), http.StatusUnauthorized, "invalid_signature")
}
