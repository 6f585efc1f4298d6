package caddytext_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
)

// FuzzQuote: whatever a value is, Caddy reads it as one token with that text, or it is not written.
func FuzzQuote(f *testing.F) {
	for _, value := range []string{
		"", "a", "a b", "`", "\"", "`\"", "`\\", "\\", "a\nb", "`\nb", "{env.A}", "{$A}", "}", "#a", "a#", "<<EOF",
		"-----BEGIN\n-----\n",
		"import", "\t", "\r\n", "é", "\xff", "\ufeff", "@a", "(a)", "&", "`a\\\"b`", "//", "$1", "~",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := caddytext.Quote(value)
		if err != nil {
			return
		}
		tokens, err := caddyfile.Tokenize([]byte("word "+token+" end\nline\n"), "Testfile")
		if err != nil || len(tokens) != 4 || tokens[1].Text != value || tokens[3].Text != "line" {
			t.Errorf("%q became %s: %v, %v", value, token, tokens, err)
		}
	})
}

func TestQuoteVariables(t *testing.T) {
	for value, want := range map[string]string{
		`${{ env "DECK_A" }}`: "{env.DECK_A}", `${{env "A1"}}`: "{env.A1}", `x${{ env "A" }}`: "", `${{ env "A b" }}`: "",
	} {
		if got, err := caddytext.Quote(value); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s, %v", value, got, err)
		}
	}
}

// A comment stays one.
func TestCommentsStayComments(t *testing.T) {
	for _, text := range []string{"a\nb", "a\r\nb", "{$HOME}", "a\u2028b", "{\u0000$HOME}", "{{$HOME}", "a\vb"} {
		var w caddytext.Writer
		w.Comment("%s", text)
		got := w.String()
		if strings.Count(got, "\n") != 1 || strings.Contains(got, "{$") {
			t.Errorf("%q became %q", text, got)
		}
		if tokens, err := caddyfile.Tokenize([]byte(got), "Testfile"); err != nil || len(tokens) != 0 {
			t.Errorf("%q became %v, %v", text, tokens, err)
		}
	}
}

// What stands between backticks keeps its lines.
func TestBlocks(t *testing.T) {
	var inner, outer caddytext.Writer
	if err := inner.Values("key", "a\nb", "c"); err != nil {
		t.Fatal(err)
	}
	outer.Block(func() {
		outer.Lines(inner.String())
		outer.Gap()
		outer.Line("end")
	}, "word")
	if want := "word {\n\tkey `a\nb` c\n\n\tend\n}\n"; outer.String() != want {
		t.Errorf("%q, want %q", outer.String(), want)
	}
	if err := inner.Values("key", "a", ""); err == nil || err.Error() != "key: it is empty" {
		t.Error(err)
	}
}
