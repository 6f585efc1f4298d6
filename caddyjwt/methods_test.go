package caddyjwt_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
	"github.com/caddyjwt/gateway/introspect"
)

// The methods of authentication are one table. The client knows these methods, and the manual has them, in any order.
func TestAuthenticationMethodsAreThoseOfClientAndManual(t *testing.T) {
	methods := slices.Sorted(slices.Values(issuers.AuthMethods()))
	same := func(where string, names []string) {
		t.Helper()
		if slices.Sort(names); !slices.Equal(names, methods) {
			t.Errorf("%s: the methods are %q, the table has %q", where, names, methods)
		}
	}

	_, err := introspect.New(introspect.Config{
		Endpoint: "https://as.example/introspect", AuthMethod: "no such method",
		Decode: func([]byte) (any, error) { return nil, nil },
	})
	if err == nil {
		t.Fatal("the client knows every method")
	}
	_, list, _ := strings.Cut(err.Error(), "known are ")
	same("introspect", regexp.MustCompile(`, | and `).Split(list, -1))

	for _, row := range manual().Rows(t)["introspect"] {
		if len(row.Forms) > 0 && strings.HasPrefix(row.Forms[0], "auth_method ") {
			same("docs/configuration.md", wordstest.Codes(row.Meaning))
		}
	}

	var rows []string
	_, table, _ := strings.Cut(readDoc(t, "docs/introspection.md"), "| `auth_method` | Needs | Sends |\n")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, wordstest.Codes(wordstest.Cells(line)[0])...)
	}
	same("docs/introspection.md", rows)
}
