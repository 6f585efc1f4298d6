package lastgood_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/lastgood"
	"github.com/caddyjwt/gateway/internal/lastgood/lastgoodtest"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/store"
)

const address = "https://as.example/jwks"

var keySet = lastgood.Origin{Document: "key set", MaxStale: time.Hour}

// at is an answer with this body, from a time ago.
func at(ago time.Duration, body string) refresh.Answer {
	return refresh.Answer{
		Address: address, Got: time.Now().Add(-ago), Body: []byte(body), Hash: sha256.Sum256([]byte(body)),
	}
}

// unchanged is an answer without the body, which the server still has.
func unchanged(ago time.Duration, body string) refresh.Answer {
	answer := at(ago, body)
	answer.Body = nil
	return answer
}

// keep wants an answer to be kept, or not.
func keep(t *testing.T, a refresh.Archive, answer refresh.Answer, want bool) {
	t.Helper()
	if kept := a.Keep(t.Context(), answer); kept != want {
		t.Errorf("kept %v, want %v", kept, want)
	}
}

// recalls wants an answer with this body, from this time ago.
func recalls(t *testing.T, a refresh.Archive, ago time.Duration, body string) {
	t.Helper()
	answer, err := a.Recall(t.Context(), address)
	if err != nil || string(answer.Body) != body || answer.Address != address {
		t.Errorf("%q of %q: %v, want %q", answer.Body, answer.Address, err, body)
	}
	if off := time.Since(answer.Got) - ago; off < -time.Millisecond || off > time.Minute {
		t.Errorf("from %v ago, want %v", time.Since(answer.Got), ago)
	}
}

// nothing wants no answer, for no reason that anybody has to hear of.
func nothing(t *testing.T, a refresh.Archive, address string) {
	t.Helper()
	if answer, err := a.Recall(t.Context(), address); !errors.Is(err, refresh.ErrNoAnswer) || answer.Body != nil {
		t.Errorf("%q, %v", answer.Body, err)
	}
}

// Answers come back from a file that another process has opened. They do so byte for byte.
func TestAnswersOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	bodies := []string{"{}", "", "\x00\xff", strings.Repeat("x", lastgood.MaxBody)}
	for i, body := range bodies {
		for _, writes := range []bool{true, false} {
			file, err := store.OpenFile(path, store.FileOptions{})
			if err != nil {
				t.Fatal(err)
			}
			origin := keySet
			origin.Issuer = fmt.Sprint(i)
			archive := lastgoodtest.New(file).Shelf().For(origin)
			if writes {
				nothing(t, archive, address)
				keep(t, archive, at(time.Minute, body), true)
			}
			recalls(t, archive, time.Minute, body)
			nothing(t, archive, address+"/other")
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Two processes share a store. What is newer stays, whoever comes last.
func TestAnOlderAnswerReplacesNoNewerOne(t *testing.T) {
	box := lastgoodtest.Memory(t)
	one, other := box.Shelf().For(keySet), box.Shelf().For(keySet)
	keep(t, one, at(10*time.Minute, "old"), true)
	keep(t, other, at(5*time.Minute, "new"), true)
	keep(t, one, at(8*time.Minute, "late"), false)
	recalls(t, one, 5*time.Minute, "new")
	keep(t, one, unchanged(4*time.Minute, "old"), false) // its body is not there any more
	recalls(t, one, 5*time.Minute, "new")
	keep(t, one, unchanged(3*time.Minute, "new"), true)
	recalls(t, other, 3*time.Minute, "new")
	keep(t, one, unchanged(6*time.Minute, "new"), true)
	recalls(t, other, 3*time.Minute, "new")
}

// An answer from the future would stay until it expires, because its clock was wrong.
func TestAnAnswerFromTheFutureIsReplaced(t *testing.T) {
	archive := lastgoodtest.Memory(t).Shelf().For(keySet)
	keep(t, archive, at(-30*time.Minute, "ahead"), true)
	keep(t, archive, at(0, "right"), true)
	recalls(t, archive, 0, "right")
	keep(t, archive, at(-30*time.Minute, "right"), true)
	keep(t, archive, unchanged(0, "right"), true)
	recalls(t, archive, 0, "right")
}

// Many processes write at the same time. The newest answer is there in the end.
func TestTheNewestOfManyWritersWins(t *testing.T) {
	box := lastgoodtest.Memory(t)
	var writers sync.WaitGroup
	for writer := range 8 {
		archive := box.Shelf().For(keySet)
		writers.Go(func() {
			for i := range 50 {
				age := time.Duration(1+(i*7+writer*13)%100) * time.Second
				archive.Keep(t.Context(), at(age, fmt.Sprint("body ", age)))
			}
		})
	}
	writers.Wait()
	keep(t, box.Shelf().For(keySet), at(500*time.Millisecond, "newest"), true)
	recalls(t, box.Shelf().For(keySet), 500*time.Millisecond, "newest")
}

// Whatever else is under the key is no answer, and an error that says so. The next answer takes its place.
func TestDamagedAnswersAreNotTaken(t *testing.T) {
	flip := func(place int) func([]byte) []byte {
		return func(value []byte) []byte {
			value[(place+len(value))%len(value)] ^= 1
			return value
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"nothing":              func([]byte) []byte { return nil },
		"other bytes":          func([]byte) []byte { return []byte("hello") },
		"a bare key set":       func([]byte) []byte { return []byte(`{"keys":[]}`) },
		"zeros":                func(v []byte) []byte { return make([]byte, len(v)) },
		"too short":            func(v []byte) []byte { return v[:len(v)-1] },
		"only the version":     func(v []byte) []byte { return v[:21] },
		"too long":             func(v []byte) []byte { return append(v, 'x') },
		"twice":                func(v []byte) []byte { return append(bytes.Clone(v), v...) },
		"another version":      func(v []byte) []byte { return bytes.Replace(v, []byte("answer 1"), []byte("answer 2"), 1) },
		"a bit of the sum":     flip(25),
		"a bit of the name":    flip(21 + 32 + 3),
		"a bit of the time":    flip(21 + 64 + 7),
		"a bit of the length":  flip(21 + 64 + 8 + 3),
		"a bit of the address": flip(21 + 64 + 12 + 4),
		"a bit of the body":    flip(-1),
	} {
		t.Run(name, func(t *testing.T) {
			box := lastgoodtest.Memory(t)
			archive := box.Shelf().For(keySet)
			keep(t, archive, at(time.Minute, "body"), true)
			box.Edit(t, change)
			answer, err := archive.Recall(t.Context(), address)
			if err == nil || errors.Is(err, refresh.ErrNoAnswer) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%+v, %v", answer, err)
			}
			keep(t, archive, unchanged(0, "body"), false)
			keep(t, archive, at(0, "body"), true)
			recalls(t, archive, 0, "body")
		})
	}
}

// Whoever can write to the store moves an answer to where that of another server belongs. It is not taken.
func TestAnswersOfOthersAreNotTaken(t *testing.T) {
	box := lastgoodtest.Memory(t)
	theirs := keySet
	theirs.Issuer = "https://evil.example"
	keep(t, box.Shelf().For(theirs), at(0, "evil"), true)
	var evil []byte
	box.Edit(t, func(value []byte) []byte { evil = value; return value })
	ours := box.Shelf().For(keySet)
	keep(t, ours, at(0, "good"), true)
	box.Edit(t, func([]byte) []byte { return evil })
	if answer, err := ours.Recall(t.Context(), address); err == nil || errors.Is(err, refresh.ErrNoAnswer) {
		t.Errorf("%q, %v", answer.Body, err)
	}
	recalls(t, box.Shelf().For(theirs), 0, "evil")
}

// The store forgets an answer when it is too old to be used.
func TestAnswersExpireInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := lastgoodtest.Memory(t)
		archive := box.Shelf().For(keySet)
		keep(t, archive, at(10*time.Minute, "body"), true)
		for key, expires := range box.Kept() {
			if left := time.Until(expires); left != 50*time.Minute {
				t.Errorf("%s expires in %v", key, left)
			}
		}
		time.Sleep(49 * time.Minute)
		recalls(t, archive, 59*time.Minute, "body")
		time.Sleep(2 * time.Minute)
		nothing(t, archive, address)
	})
}

// Each setting that decides whose answers are believed, or what is asked, makes another origin. The others do not.
func TestOriginsDoNotMix(t *testing.T) {
	field := func(parts ...rotating.Part) []rotating.Field {
		return []rotating.Field{{Name: "X-Key", Value: rotating.Template{Parts: parts}}}
	}
	changes := map[string]func(*lastgood.Origin){
		"document":     func(o *lastgood.Origin) { o.Document = "metadata" },
		"issuer":       func(o *lastgood.Origin) { o.Issuer = "https://as.example" },
		"CA":           func(o *lastgood.Origin) { o.Fetch.CA = []byte("ca") },
		"ServerName":   func(o *lastgood.Origin) { o.Fetch.ServerName = "as.example" },
		"Pins":         func(o *lastgood.Origin) { o.Fetch.Pins = [][32]byte{{1}} },
		"more Pins":    func(o *lastgood.Origin) { o.Fetch.Pins = [][32]byte{{1}, {2}} },
		"Header":       func(o *lastgood.Origin) { o.Fetch.Header = http.Header{"X-Org": {"a"}} },
		"a value":      func(o *lastgood.Origin) { o.Fetch.Header = http.Header{"X-Org": {"b"}} },
		"Rotating":     func(o *lastgood.Origin) { o.Fetch.Rotating = field(rotating.Part{Text: "/a", File: true}) },
		"another file": func(o *lastgood.Origin) { o.Fetch.Rotating = field(rotating.Part{Text: "/b", File: true}) },
		"a text":       func(o *lastgood.Origin) { o.Fetch.Rotating = field(rotating.Part{Text: "/a"}) },

		"AllowLinkLocal": func(o *lastgood.Origin) { o.Fetch.AllowLinkLocal = true },
		"Plain":          func(o *lastgood.Origin) { o.Fetch.Plain = fetch.PrivateHTTP },
	}
	shelf := lastgoodtest.Memory(t).Shelf()
	keep(t, shelf.For(keySet), at(0, "plain"), true)
	for name, change := range changes {
		origin := keySet
		change(&origin)
		archive := shelf.For(origin)
		nothing(t, archive, address)
		keep(t, archive, at(0, name), true)
	}
	for name, change := range changes {
		origin := keySet
		change(&origin)
		recalls(t, shelf.For(origin), 0, name)
	}
	same := keySet
	same.MaxStale, same.Fetch.Timeout, same.Fetch.ClientCert = time.Minute, time.Minute, []byte("renewed")
	recalls(t, shelf.For(same), 0, "plain")

	known := []string{"CA", "ClientCert", "ClientKey", "ServerName", "Pins", "Header", "Rotating", "AllowLinkLocal",
		"Plain", "Timeout", "Observe", "Logger"}
	if fields := reflect.TypeFor[fetch.Options](); fields.NumField() != len(known) {
		t.Errorf("fetch.Options has %d fields, and this test knows %q: decide whether the new one makes another origin",
			fields.NumField(), known)
	}
}

// The order of pins and header fields means nothing.
func TestOriginsWithoutOrder(t *testing.T) {
	shelf := lastgoodtest.Memory(t).Shelf()
	one, other := keySet, keySet
	one.Fetch.Pins, other.Fetch.Pins = [][32]byte{{1}, {2}}, [][32]byte{{2}, {1}}
	one.Fetch.Header = http.Header{"A": {"1"}, "B": {"2"}, "C": {"3"}}
	other.Fetch.Header = http.Header{"C": {"3"}, "B": {"2"}, "A": {"1"}}
	keep(t, shelf.For(one), at(0, "body"), true)
	recalls(t, shelf.For(other), 0, "body")
}

// An answer that is too long is not kept, and not asked for again.
func TestLongAnswersAreNotKept(t *testing.T) {
	box := lastgoodtest.Memory(t)
	archive := box.Shelf().For(keySet)
	long := at(0, strings.Repeat("x", lastgood.MaxBody+1))
	long.Address = address + "?key=secret"
	keep(t, archive, long, true)
	if len(box.Kept()) != 0 {
		t.Error("it is in the store")
	}
	if log := box.Log(); !strings.Contains(log, "262145 bytes") || strings.Contains(log, "secret") {
		t.Errorf("the log: %s", log)
	}
}

// An answer that is too long shows that an older one is over, and says nothing of a newer one.
func TestALongAnswerRemovesWhatIsOlder(t *testing.T) {
	archive := lastgoodtest.Memory(t).Shelf().For(keySet)
	keep(t, archive, at(time.Minute, "body"), true)
	long := strings.Repeat("x", lastgood.MaxBody+1)
	keep(t, archive, at(2*time.Minute, long), true)
	recalls(t, archive, time.Minute, "body")
	keep(t, archive, at(0, long), true)
	nothing(t, archive, address)
}

// A store that fails is one line in a minute, whatever is kept or recalled meanwhile. Nobody is told of its errors.
func TestTroubleIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := lastgoodtest.Memory(t)
		shelf := box.Shelf()
		box.Fail(errors.New("no route to host"))
		for range 150 { // seconds
			keep(t, shelf.For(keySet), at(0, "body"), false)
			nothing(t, shelf.For(lastgood.Origin{Document: "metadata"}), address)
			time.Sleep(time.Second)
		}
		if n := strings.Count(box.Log(), "no route to host"); n != 3 {
			t.Errorf("%d lines in 150 seconds:\n%s", n, box.Log())
		}
		box.Restore()
		keep(t, shelf.For(keySet), at(0, "body"), true)
	})
}

// A store that does not answer holds up nobody for longer than the context allows. One whose owner has ended the work
// is no trouble.
func TestAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := lastgoodtest.Memory(t)
		archive := box.Shelf().For(keySet)
		box.Hang()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var writers sync.WaitGroup
		for range 100 { // most of them wait for their turn
			writers.Go(func() {
				if archive.Keep(ctx, at(0, "body")) {
					t.Error("it says that it has kept the answer")
				}
			})
		}
		writers.Wait()
		if _, err := archive.Recall(ctx, address); !errors.Is(err, refresh.ErrNoAnswer) {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
		if n := strings.Count(box.Log(), "\n"); n != 1 {
			t.Errorf("the log:\n%s", box.Log())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		box := lastgoodtest.Memory(t)
		box.Hang()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		box.Shelf().For(keySet).Keep(ctx, at(0, "body"))
		if box.Log() != "" {
			t.Errorf("the log: %s", box.Log())
		}
	})
}

// Without a store there is nothing, and no trouble.
func TestWithoutAStore(t *testing.T) {
	var none *lastgood.Shelf
	if none.For(keySet) != nil || none.ReadOnly() != nil {
		t.Error("no shelf has an archive")
	}
	box := lastgoodtest.Memory(t)
	box.Remove()
	archive := box.Shelf().For(keySet)
	if archive.Open() {
		t.Error("open without a store")
	}
	nothing(t, archive, address)
	keep(t, archive, at(0, "body"), false)
	if box.Log() != "" {
		t.Errorf("the log: %s", box.Log())
	}
	box.Restore()
	if !archive.Open() {
		t.Error("not open with a store")
	}
}

// An owner who may only recall keeps nothing.
func TestReadOnly(t *testing.T) {
	shelf := lastgoodtest.Memory(t).Shelf()
	keep(t, shelf.For(keySet), at(0, "body"), true)
	archive := shelf.ReadOnly().For(keySet)
	if archive.Open() || !shelf.For(keySet).Open() {
		t.Error("which of the two is open is the wrong way round")
	}
	recalls(t, archive, 0, "body")
}

// sharedStore is a store that several processes share, with a secret of its own. An archive uses no log.
type sharedStore struct {
	store.Store
	logs
	secret byte
}

// logs are what a store.Shared has beside a store.Store.
type logs interface {
	Check(ctx context.Context, log string, anchor store.Position) (store.Condition, error)
	ReadAnchored(ctx context.Context, log string, after, anchor store.Position, limit int) ([]store.Record, []byte, error)
	Init(ctx context.Context, log string) (made bool, err error)
}

func (s sharedStore) Secret(string) [32]byte { return [32]byte{s.secret} }

var _ store.Shared = sharedStore{}

// lender lends any store.
type lender struct{ in store.Store }

func (lender) Lends() bool                                           { return true }
func (l lender) Borrow(context.Context) (store.Store, func(), error) { return l.in, func() {}, nil }

// The names of answers in a shared store are of no use without its secret.
func TestNamesInASharedStore(t *testing.T) {
	memory := store.NewMemory()
	defer memory.Close()
	archive := func(in store.Store) refresh.Archive {
		return lastgood.New(lender{in}, slog.New(slog.DiscardHandler)).For(keySet)
	}
	keep(t, archive(sharedStore{Store: memory, secret: 1}), at(0, "body"), true)
	recalls(t, archive(sharedStore{Store: memory, secret: 1}), 0, "body")
	nothing(t, archive(sharedStore{Store: memory, secret: 2}), address)
	nothing(t, archive(memory), address)
}

// panics is a store with a bug.
type panics struct{ store.Store }

func (panics) Get(context.Context, string) ([]byte, error) { panic("a bug") }

func TestAPanicOfTheStoreIsATrouble(t *testing.T) {
	box := lastgoodtest.New(panics{})
	keep(t, box.Shelf().For(keySet), at(0, "body"), false)
	if !strings.Contains(box.Log(), "a bug") {
		t.Errorf("the log: %s", box.Log())
	}
}
