package refresh_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/refresh"
)

// archive keeps the last answer from each address.
type archive struct {
	mu     sync.Mutex
	shut   bool
	lossy  bool
	kept   map[string]refresh.Answer
	bodies int // answers that came with a body
}

func (a *archive) Open() bool { return !a.shut }

func (a *archive) Keep(_ context.Context, answer refresh.Answer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer.Body != nil {
		a.bodies++
	} else if a.kept[answer.Address].Hash != answer.Hash {
		return false
	} else {
		answer.Body = a.kept[answer.Address].Body
	}
	a.kept[answer.Address] = answer
	return !a.lossy
}

func (a *archive) Recall(_ context.Context, address string) (refresh.Answer, error) {
	if answer, kept := a.kept[address]; kept {
		return answer, nil
	}
	return refresh.Answer{}, refresh.ErrNoAnswer
}

const here = "https://as.example.com/keys"

// getter gets a document from here, from a server that answers one after another of these texts. An empty text says
// that it has not changed.
func getter(t *testing.T, kept refresh.Archive, bodies ...string) (get func() (keep bool), tags func() []string) {
	t.Helper()
	server := new(scripted)
	for _, body := range bodies {
		answer := &fetch.Response{Status: 200, Header: http.Header{"Etag": {`"` + body + `"`}}, Body: []byte(body)}
		if body == "" {
			answer = &fetch.Response{Status: 304, NotModified: true}
		}
		server.answers = append(server.answers, answer)
	}
	resource := &refresh.Resource{Archive: kept}
	get = func() bool {
		t.Helper()
		_, _, err := resource.Get(t.Context(), server, here, "", func([]byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		keep := resource.Keeping()
		if keep != nil {
			keep(t.Context())
		}
		return keep != nil
	}
	return get, func() []string { return server.tags }
}

func TestAResourceKeepsItsLastGoodAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &archive{kept: make(map[string]refresh.Answer)}
		get, tags := getter(t, kept, "one", "", "", "two", "")
		for _, want := range []string{"one", "one", "one", "two", "two"} {
			time.Sleep(time.Minute)
			if !get() {
				t.Error("nothing is kept")
			}
			answer := kept.kept[here]
			if string(answer.Body) != want || answer.Hash != sha256.Sum256([]byte(want)) || !answer.Got.Equal(time.Now()) {
				t.Errorf("kept %q from %v, want %q", answer.Body, answer.Got, want)
			}
		}
		if want := []string{"", `"one"`, `"one"`, `"one"`, `"two"`}; kept.bodies != 2 || !slices.Equal(tags(), want) {
			t.Errorf("%d bodies, tags %q", kept.bodies, tags())
		}
	})
}

// When the archive has lost the answer, the next request brings the body again.
func TestAnAnswerThatIsLostIsFetchedAgain(t *testing.T) {
	kept := &archive{kept: make(map[string]refresh.Answer)}
	get, tags := getter(t, kept, "one", "", "one", "")
	get()
	clear(kept.kept)
	get()
	get()
	get()
	if answer := kept.kept[here]; string(answer.Body) != "one" || kept.bodies != 2 {
		t.Errorf("kept %q, %d bodies", answer.Body, kept.bodies)
	}
	if want := []string{"", `"one"`, "", `"one"`}; !slices.Equal(tags(), want) {
		t.Errorf("tags %q", tags())
	}
}

// An archive that opens later gets the whole answer by the request after the next. It never takes an older body for the
// present one.
func TestAnArchiveThatOpensLater(t *testing.T) {
	kept := &archive{kept: make(map[string]refresh.Answer)}
	get, _ := getter(t, kept, "one", "two", "", "two", "")
	get()
	kept.shut = true
	if get() {
		t.Error("something is kept")
	}
	kept.shut = false
	get()
	if answer := kept.kept[here]; string(answer.Body) != "one" {
		t.Errorf("kept %q", answer.Body)
	}
	before := kept.kept[here].Got
	get()
	if answer := kept.kept[here]; string(answer.Body) != "two" || answer.Got.Equal(before) {
		t.Errorf("kept %q", answer.Body)
	}
}

// The metadata may have come, and the keys not. It is kept when both are there, with the time when it was last seen.
func TestAnAnswerThatIsNotKeptYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &archive{kept: make(map[string]refresh.Answer)}
		server := &scripted{answers: []*fetch.Response{
			{Status: 200, Header: http.Header{"Etag": {`"1"`}}, Body: []byte("one")}, {Status: 304, NotModified: true},
		}}
		resource := &refresh.Resource{Archive: kept}
		for range 2 {
			time.Sleep(time.Minute)
			if _, _, err := resource.Get(t.Context(), server, here, "", func([]byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		resource.Keeping()(t.Context())
		if answer := kept.kept[here]; string(answer.Body) != "one" || !answer.Got.Equal(time.Now()) {
			t.Errorf("kept %q from %v", answer.Body, answer.Got)
		}
		if resource.Keeping() != nil {
			t.Error("it is kept twice")
		}
	})
}

func TestAResourceRecallsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &archive{kept: map[string]refresh.Answer{
			here:            {Got: time.UnixMilli(time.Now().Add(-time.Hour).UnixMilli()), Body: []byte("one")},
			here + "/ahead": {Got: time.Now().Add(time.Second), Body: []byte("one")},
		}}
		unreadable := errors.New("not a key set")
		for _, c := range []struct {
			archive refresh.Archive
			address string
			reads   error
			want    error
			body    string
		}{
			{kept, here, nil, nil, "one"},
			{kept, here, unreadable, unreadable, "one"},
			{kept, here + "/other", nil, refresh.ErrNoAnswer, ""},
			{nil, here, nil, refresh.ErrNoAnswer, ""},
		} {
			body := ""
			resource := &refresh.Resource{Archive: c.archive}
			got, err := resource.Recall(t.Context(), c.address, func(text []byte) error { body = string(text); return c.reads })
			if !errors.Is(err, c.want) || body != c.body {
				t.Errorf("%s: %q, %v", c.address, body, err)
			}
			if err == nil && time.Since(got) != time.Hour {
				t.Errorf("from %v ago", time.Since(got))
			}
		}
		resource := &refresh.Resource{Archive: kept}
		_, err := resource.Recall(t.Context(), here+"/ahead", func([]byte) error { t.Error("it is read"); return nil })
		if err == nil || errors.Is(err, refresh.ErrNoAnswer) {
			t.Errorf("an answer from the future: %v", err)
		}
	})
}

// Without an archive, or while it is not open, a good answer costs nothing more.
func TestWithoutAnArchiveNothingIsNoted(t *testing.T) {
	for _, kept := range []refresh.Archive{nil, &archive{shut: true}} {
		get, _ := getter(t, kept, "one", "", "two")
		for range 3 {
			if get() {
				t.Error("something is to be kept")
			}
		}
	}
	costs := func(kept refresh.Archive) float64 {
		server := &scripted{answers: []*fetch.Response{{Status: 200, Body: []byte("one")}}, tags: make([]string, 0, 1000)}
		resource := &refresh.Resource{Archive: kept}
		return testing.AllocsPerRun(100, func() {
			_, _, _ = resource.Get(t.Context(), server, here, "", func([]byte) error { return nil })
		})
	}
	if without, shut := costs(nil), costs(&archive{shut: true}); without != shut {
		t.Errorf("%v allocations with an archive that is not open, %v without", shut, without)
	}
}
