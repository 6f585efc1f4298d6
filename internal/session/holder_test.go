package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// held are terms under which this is the holder of every name.
func held(holder *session.Holder) *session.Terms {
	return terms(func(t *session.Terms) {
		t.Holder = func(context.Context, string) (*session.Holder, error) { return holder, nil }
	})
}

// A session is that of one person with one password. With another one it ends, also in its grace, and does not come
// back.
func TestASessionEndsWithItsHolder(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	marked := *alice
	marked.Mark = "one"
	begun := func(of *session.Terms) *session.Pair {
		t.Helper()
		p, err := h.Begin(t.Context(), of, &marked)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	holder := &session.Holder{Mark: "one"}
	same := held(holder)
	p := refresh(t, h, same, begun(same).Refresh)
	same.Grace = same.AccessLifetime
	used := begun(same)
	refresh(t, h, same, used.Refresh)
	if again := refresh(t, h, same, used.Refresh); again.Refresh == "" {
		t.Error("no grace")
	}
	for _, mark := range []string{"two", "", "one "} {
		holder.Mark = mark
		refused(t, h, same, p.Refresh, session.ErrInvalid)
		refused(t, h, same, used.Refresh, session.ErrInvalid)
		if _, err := h.Begin(t.Context(), same, &marked); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("a login whose holder changes meanwhile: %v", err)
		}
		holder.Mark = "one"
		refused(t, h, same, p.Refresh, session.ErrInvalid)
		p, used = begun(same), begun(same)
		refresh(t, h, same, used.Refresh)
	}
}

// The claims are those of today if somebody knows them, and those of the login otherwise.
func TestTheClaimsOfTheHolder(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	holder := new(session.Holder)
	asked := held(holder)
	p := begin(t, h, asked)
	says := func(want string) {
		t.Helper()
		if p = refresh(t, h, asked, p.Refresh); !strings.HasSuffix(p.Access, " "+want) {
			t.Errorf("%q has not the claims %s", p.Access, want)
		}
	}
	says(`{"role":"<admin>"}`)
	holder.Claims = []byte(`{"role": "none"}`)
	says(`{"role":"<admin>"}`) // nobody knows them
	holder.Known = true
	says(`{"role":"none"}`)
	holder.Known = false
	says(`{"role":"none"}`)
	holder.Claims, holder.Known = nil, true
	says("")

	for _, bad := range []string{`[]`, `{`, `{"a":"` + strings.Repeat("x", session.MaxClaims) + `"}`} {
		holder.Claims = []byte(bad)
		refused(t, h, asked, p.Refresh, session.ErrTerms)
	}
	holder.Claims = []byte(`{"a":1}`)
	says(`{"a":1}`) // the session is as it was
}
