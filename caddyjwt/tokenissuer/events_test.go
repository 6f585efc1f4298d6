package tokenissuer

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// told has the events of an issuer.
type told struct {
	mu  sync.Mutex
	all []string
}

func (o *told) emit(event string, data map[string]any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, fmt.Sprint(event, " ", data))
}

// Whoever guesses secrets of clients causes one event for each client that there is, however often and from wherever,
// and none for names that no client has.
func TestAttackGuessesCauseOneEvent(t *testing.T) {
	plan, err := registration.Compile(words.NewSettings(), registration.Settings{
		DefaultAudience: "https://api.example.com", Clients: []registration.Client{
			{ID: "billing", SecretHashes: []string{hash}},
			{ID: "pinned", TLSClientAuth: &registration.Certificate{DNS: "a.example"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := plan.Open(process.New(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	before := guard
	if guard, err = attempts.New(attempts.Config{Burst: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { guard = before })
	events := new(told)
	i := &issuer{compiled: &compiled{name: "https://api.example.com"}, logger: zap.NewNop(), emit: events.emit}
	try := i.try(&running{clients: d})
	limited := 0
	for _, from := range []string{"192.0.2.1", "192.0.2.2"} {
		for _, id := range []string{"billing", "nobody", "pinned", "billing", "billing", "nobody", "billing"} {
			for range 4 {
				if try(t.Context(), netip.MustParseAddr(from), oauth.AttemptPrefix+id, func() (bool, error) {
					return false, nil
				}) != nil {
					limited++
				}
			}
		}
	}
	const want = "token_issuer_client_guessed map[client_id:billing from:192.0.2.1 issuer:https://api.example.com]"
	if len(events.all) != 1 || events.all[0] != want || limited == 0 {
		t.Errorf("%d were refused, and the events are %q", limited, events.all)
	}
}

// A state that comes again begins again. So many are known that strangers cannot fill the memory.
func TestAlarms(t *testing.T) {
	var a alarms
	begin := time.Now()
	for _, step := range []struct {
		name  string
		after time.Duration
		is    bool
	}{
		{"a", 0, true}, {"a", time.Minute, false}, {"b", time.Minute, true}, {"a", 9 * time.Minute, false},
		{"a", 19 * time.Minute, false}, {"a", 30 * time.Minute, true}, {"b", 30 * time.Minute, true},
	} {
		if got := a.begins(step.name, begin.Add(step.after)); got != step.is {
			t.Errorf("%s after %v: %v", step.name, step.after, got)
		}
	}
	for n := range 2 * maxAlarms {
		a.begins(fmt.Sprint("client ", n), begin.Add(time.Hour))
	}
	if len(a.last) != maxAlarms || a.begins("c", begin.Add(time.Hour)) {
		t.Errorf("%d are known", len(a.last))
	}
	if !a.begins("c", begin.Add(2*time.Hour)) || len(a.last) != 1 {
		t.Errorf("%d are known", len(a.last))
	}
}
