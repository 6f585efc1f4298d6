package revoke_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

func TestEntriesThatCannotBeMeant(t *testing.T) {
	single := revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "j"}
	for name, change := range map[string]func(*revoke.Entry){
		"no owner":                   func(e *revoke.Entry) { e.Issuer = "" },
		"two owners":                 func(e *revoke.Entry) { e.Consumer = "x" },
		"no kind":                    func(e *revoke.Entry) { e.Kind = 0 },
		"an unknown kind":            func(e *revoke.Entry) { e.Kind = revoke.Claim + 1 },
		"the largest kind":           func(e *revoke.Entry) { e.Kind = 255 },
		"no value":                   func(e *revoke.Entry) { e.Value = "" },
		"a value of all":             func(e *revoke.Entry) { e.Kind = revoke.All },
		"a claim that means nothing": func(e *revoke.Entry) { e.Claim = "/groups" },
		"no claim":                   func(e *revoke.Entry) { e.Kind = revoke.Claim },
		"a long issuer":              func(e *revoke.Entry) { e.Issuer = strings.Repeat("x", 2049) },
		"a long consumer":            func(e *revoke.Entry) { e.Issuer, e.Consumer = "", strings.Repeat("x", 2049) },
		"a long claim":               func(e *revoke.Entry) { e.Kind, e.Claim = revoke.Claim, strings.Repeat("x", 2049) },
		"a long value":               func(e *revoke.Entry) { e.Value = strings.Repeat("x", 1025) },
		"an issuer in Latin 1":       func(e *revoke.Entry) { e.Issuer = "\xe9" },
		"a consumer in Latin 1":      func(e *revoke.Entry) { e.Issuer, e.Consumer = "", "\xe9" },
		"a claim in Latin 1":         func(e *revoke.Entry) { e.Kind, e.Claim = revoke.Claim, "\xe9" },
		"a value in Latin 1":         func(e *revoke.Entry) { e.Value = "\xe9" },
		"halves of a letter":         func(e *revoke.Entry) { e.Kind, e.Claim, e.Value = revoke.Claim, "\xc3", "\xa9" },
		"no cut-off":                 func(e *revoke.Entry) { e.NotAfter = time.Time{} },
		"a cut-off of one token":     func(e *revoke.Entry) { e.Target = single },
		"a cut-off before 1970":      func(e *revoke.Entry) { e.NotAfter = time.Unix(-1, 0) },
		"a cut-off in 1970":          func(e *revoke.Entry) { e.NotAfter = time.Unix(0, 0) },
		"a cut-off after 9999":       func(e *revoke.Entry) { e.NotAfter = time.Unix(1<<40, 0) },
		"a cut-off that overflows":   func(e *revoke.Entry) { e.NotAfter = time.UnixMilli(math.MaxInt64) },
		"a negative leeway":          func(e *revoke.Entry) { e.Leeway = -1 },
		"a leeway that overflows":    func(e *revoke.Entry) { e.Leeway = math.MaxInt64 },
		"no end":                     func(e *revoke.Entry) { e.Expires = time.Time{} },
		"an end after 9999":          func(e *revoke.Entry) { e.Expires = time.Unix(math.MaxInt64, 0) },
		"made after 9999":            func(e *revoke.Entry) { e.At = time.UnixMilli(math.MaxInt64) },
		"a long author":              func(e *revoke.Entry) { e.Author = strings.Repeat("x", 257) },
		"a long reason":              func(e *revoke.Entry) { e.Reason = strings.Repeat("x", 257) },
		"an author of two lines":     func(e *revoke.Entry) { e.Author = "a\nb" },
		"a reason with an escape":    func(e *revoke.Entry) { e.Reason = "\x1b[2J" },
		"a reason from right":        func(e *revoke.Entry) { e.Reason = "a\u202eb" },
		"a reason in Latin 1":        func(e *revoke.Entry) { e.Reason = "\xe9" },
		"a reason with a tab":        func(e *revoke.Entry) { e.Reason = "a\tb" },
	} {
		e := out(subject("s"))
		e.Author, e.Reason = "Jürgen Doe", "left the company: “good bye”"
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		change(e)
		if err := e.Check(); !errors.Is(err, revoke.ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
		l := newLedger(t, newStore(t), revoke.Options{})
		if err := l.Write(t.Context(), e); !errors.Is(err, revoke.ErrEntry) || l.List().Len() != 0 {
			t.Errorf("%s was written: %v", name, err)
		}
		if n := l.List().Watching(e); n != 0 { // before it is checked
			t.Errorf("%s: watched by %d", name, n)
		}
	}
	// What a token may say, an entry may, too.
	hostile := out(subject("\x00\n\u202e\u2028<script>'\"\\"))
	l := newLedger(t, newStore(t), revoke.Options{})
	write(t, l, hostile)
	if !revoked(l.List(), issued(t, m{"sub": hostile.Value})) {
		t.Error("a subject with control characters cannot be revoked")
	}
}

// The bound of a target fits into a record that a store takes.
func TestTheLargestEntryCanBeWritten(t *testing.T) {
	e := out(revoke.Target{
		Issuer: strings.Repeat("\x01", 2048), Kind: revoke.Claim, Claim: strings.Repeat("\x01", 2048),
		Value: strings.Repeat("\x01", 1024),
	})
	e.Author, e.Reason = strings.Repeat("&", 256), strings.Repeat("&", 256)
	l := newLedger(t, newStore(t), revoke.Options{})
	write(t, l, e)
	if got := entries(t, l); len(got) != 1 || got[0] != *e {
		t.Errorf("%+v", got)
	}
}

func TestRecordsKeepEntries(t *testing.T) {
	for name, e := range map[string]*revoke.Entry{
		"a subject":  out(subject("s")),
		"a token":    out(revoke.Target{Consumer: "x", Kind: revoke.ID, Value: "j"}),
		"taken back": back(subject("s")),
		"everything": {
			Target: revoke.Target{Issuer: "\u2028<", Kind: revoke.Claim, Claim: "/a~1b", Value: "\x00é"}, NotAfter: start,
			Leeway: time.Minute, Expires: start.Add(time.Hour), Lifted: true, At: start.Add(time.Millisecond), Author: "me",
			Reason: "why",
		},
	} {
		record, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := revoke.Decode(record)
		if err != nil || *got != *e {
			t.Errorf("%s: %+v became %+v: %v", name, e, got, err)
		}
	}
	// What is finer than a record is rounded to the safe side.
	e := out(subject("s"))
	e.Leeway, e.Expires = time.Millisecond+1, start.Add(1)
	record, _ := e.Encode()
	got, err := revoke.Decode(record)
	if err != nil || got.Leeway != 2*time.Millisecond || !got.Expires.Equal(start.Add(time.Second)) {
		t.Errorf("leeway %v, expires %v, %v", got.Leeway, got.Expires, err)
	}
}

// A record that is not understood may revoke something, so it is an error and never left out.
func TestRecordsThatAreNotUnderstood(t *testing.T) {
	for name, record := range map[string]string{
		"nothing": "", "no JSON": "{", "another type": "[]", "no version": `{"iss":"a","k":1,"t":1000,"e":1}`,
		"a later version":       `{"v":2,"iss":"a","k":1,"t":1000,"e":1}`,
		"no cut-off":            `{"v":1,"iss":"a","k":1,"e":1}`,
		"a cut-off of a token":  `{"v":1,"iss":"a","k":2,"x":"j","t":1000,"e":1}`,
		"an endless one":        `{"v":1,"iss":"a","k":1,"t":1}`,
		"a leeway too large":    `{"v":1,"iss":"a","k":1,"t":1000,"e":1,"w":9223372036854775807}`,
		"a negative leeway":     `{"v":1,"iss":"a","k":1,"t":1000,"e":1,"w":-9223372036854775808}`,
		"a cut-off too large":   `{"v":1,"iss":"a","k":1,"t":9223372036854775807,"e":1}`,
		"a number for a text":   `{"v":1,"iss":1,"k":1,"t":1000,"e":1}`,
		"a kind that overflows": `{"v":1,"iss":"a","k":257,"t":1000,"e":1}`,
		"text behind it":        `{"v":1,"iss":"a","k":1,"t":1000,"e":1} x`,
	} {
		if e, err := revoke.Decode([]byte(record)); !errors.Is(err, revoke.ErrRecord) || e != nil {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	if _, err := revoke.Decode([]byte(`{"v":1,"iss":"a","k":1,"t":1000,"e":1000}`)); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range []*revoke.Entry{
		out(subject("s")), back(subject("s")), out(revoke.Target{Consumer: "x", Kind: revoke.ID, Value: "\u2028"}),
	} {
		record, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record)
	}
	f.Add([]byte(`{"v":1,"iss":"a","k":7,"c":"/a","x":"b","t":253402300799999,"w":86400000,"e":253402300799}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := revoke.Decode(record)
		if err != nil {
			if !errors.Is(err, revoke.ErrRecord) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := revoke.Decode(again); err != nil || *same != *e {
			t.Fatalf("%+v became %+v: %v", e, same, err)
		}
		list := revoke.NewList()
		list.Apply(e)
		if e.Lifted {
			return
		}
		if list.Len() != 1 || !list.Has(e.Target) {
			t.Fatalf("%+v is not in the list", e)
		}
		list.Sweep(e.Expires.Add(-1))
		if list.Len() != 1 {
			t.Fatalf("%+v was forgotten too early", e)
		}
		list.Sweep(e.Expires)
		if list.Len() != 0 {
			t.Fatalf("%+v was not forgotten", e)
		}
	})
}

func FuzzDigest(f *testing.F) {
	f.Add("e30.e30.c2ln", "sig")
	f.Add("v4.local.x", "y")
	f.Add("opaque", "")
	f.Add("e30.e30.", "a.b")
	f.Fuzz(func(t *testing.T, token, suffix string) {
		digest := revoke.Digest(token)
		if len(digest) != 43 || revoke.Digest(token) != digest {
			t.Fatalf("digest %q", digest)
		}
		// Only what comes after the second of two dots may not count.
		dots := strings.Count(token, ".")
		same := revoke.Digest(token+suffix) == digest
		if suffix != "" && same && (dots != 2 || strings.Contains(suffix, ".")) {
			t.Fatalf("%q is the same token with %q behind it", token, suffix)
		}
		e := &revoke.Entry{
			Target:  revoke.Target{Issuer: issuerA, Kind: revoke.Text, Value: digest},
			Expires: start, At: start,
		}
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		if !e.Refuses(revoke.Token{Issuer: issuerA, Raw: token, Set: claimsOf(t, nil)}) && token != "" {
			t.Fatal("the entry does not refuse its token")
		}
	})
}
