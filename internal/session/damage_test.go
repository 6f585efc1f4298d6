package session_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

type m = map[string]any

// What is not a record decides nothing. The error says how to mend it.
func TestRecordsThatAreDamaged(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms(grace))
	next := refresh(t, h, terms(grace), p.Refresh)
	key := "session/" + p.Session
	good, err := h.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var parts m
	if err := json.Unmarshal(good, &parts); err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{
		"nothing": nil, "zeros": make([]byte, len(good)), "half": good[:len(good)/2], "an array": []byte("[]"),
		"null": []byte("null"), "more behind": append(good[:len(good):len(good)], "{}"...),
	}
	for name, change := range map[string]m{
		"version": {"v": 2}, "no version": {"v": nil}, "no subject": {"s": nil}, "no app": {"a": ""}, "no hash": {"h": nil},
		"short hash": {"h": "AAAA"}, "no iat": {"i": nil}, "negative": {"b": -1}, "far": {"d": 1e18}, "a text": {"e": "x"},
		"from after iat": {"f": parts["i"].(float64) + 1}, "login after from": {"b": parts["f"].(float64) + 1},
		"short hash before": {"p": m{"h": "AAAA", "u": 1, "z": ""}},
	} {
		changed := maps.Clone(parts)
		maps.Copy(changed, change)
		texts[name], _ = json.Marshal(changed)
	}
	for name, text := range texts {
		if err := h.store.Put(t.Context(), key, text, time.Time{}); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{p.Refresh, next.Refresh} {
			_, err := h.Refresh(t.Context(), terms(grace), token, session.Proof{})
			if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "delete the session") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := h.store.Put(t.Context(), key, good, time.Time{}); err != nil {
		t.Fatal(err)
	}
	refresh(t, h, terms(grace), next.Refresh)
	if err := h.store.Put(t.Context(), key, []byte("x"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires); err != nil {
		t.Errorf("a logout: %v", err)
	}
	refused(t, h, terms(grace), next.Refresh, session.ErrInvalid)
}

// A pair that was sealed for another session, or was changed, is not handed out.
func TestAttackSealedPairsOpenNowhereElse(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms(grace))
	refresh(t, h, terms(grace), p.Refresh)
	key := "session/" + p.Session
	good, err := h.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var parts m
	if err := json.Unmarshal(good, &parts); err != nil {
		t.Fatal(err)
	}
	box := parts["p"].(m)["z"].(string)
	for name, other := range map[string]string{
		"empty": "", "short": "AAAA", "zeros": strings.Repeat("A", len(box)), "cut": box[:len(box)-4],
		"another nonce": "AAAA" + box[4:], "another end": box[:len(box)-8] + "AAAA" + box[len(box)-4:],
	} {
		parts["p"].(m)["z"] = other
		text, _ := json.Marshal(parts)
		if err := h.store.Put(t.Context(), key, text, time.Time{}); err != nil {
			t.Fatal(err)
		}
		_, err := h.Refresh(t.Context(), terms(grace), p.Refresh, session.Proof{})
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
