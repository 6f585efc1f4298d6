package terminal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/terminal"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"käse":               "käse",
		"a\nb\x1b[2J\u202ec": `a\nb\x1b[2J\u202ec`,
		"\xff":               "\ufffd",
	} {
		if got := terminal.Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	for n, want := range map[int]string{0: "0 keys", 1: "1 key", 2: "2 keys"} {
		if got := terminal.Counted(n, "key"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestErrorsThatMayHoldAToken(t *testing.T) {
	for text, want := range map[string]bool{
		"unknown flag: --revok":                       false,
		"unknown flag: --eyJhbGciOiJFUzI1NiJ9.eyJhIj": true,
	} {
		if got := terminal.MayHoldToken(errors.New(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestSomeIsTheBeginningOfAList(t *testing.T) {
	list := strings.Fields("a b c d e f g")
	for n, want := range map[int]string{
		0: "", 1: "a", 5: "a b c d e", 6: "a b c d e and 1 more", 7: "a b c d e and 2 more",
	} {
		if got := terminal.Some(list[:n]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
