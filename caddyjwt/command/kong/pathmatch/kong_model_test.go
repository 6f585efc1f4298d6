package pathmatch_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The functions of this file do what Kong 3 does with a path, by its documentation and by what its own tests expect.

var tripletInTarget = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// kongSees is the path that Kong matches: escapes of characters that are not reserved are decoded, then dot segments
// are removed and slashes merged.
func kongSees(target string) string {
	path, _, _ := strings.Cut(target, "?")
	path = tripletInTarget.ReplaceAllStringFunc(path, func(triplet string) string {
		b, _ := strconv.ParseUint(triplet[1:], 16, 8)
		if strings.IndexByte("!*'();:@&=+$,/?%#[]", byte(b)) >= 0 {
			return strings.ToUpper(triplet)
		}
		return string([]byte{byte(b)})
	})
	var out []string
	segments := strings.Split(path, "/")[1:]
	for i, segment := range segments {
		last := i == len(segments)-1
		switch {
		case segment == "." || segment == ".." || segment == "":
			if segment == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, segment)
		}
	}
	return "/" + strings.Join(out, "/")
}

// kongRegex is a regular expression as Rust reads it: its classes are of Unicode.
func kongRegex(t testing.TB, expr string) *regexp.Regexp {
	t.Helper()
	expr = strings.NewReplacer(
		`[\w-]`, `[\p{L}\p{M}\p{Nd}\p{Pc}-]`, `[^\d/]`, `[^\p{Nd}/]`, `[\w.]`, `[\p{L}\p{M}\p{Nd}\p{Pc}.]`,
		`\d`, `\p{Nd}`, `\w`, `[\p{L}\p{M}\p{Nd}\p{Pc}]`, `\D`, `\P{Nd}`, `\s`, `[\t-\r\p{Z}]`,
	).Replace(expr)
	compiled, err := regexp.Compile("^" + expr)
	if err != nil {
		t.Fatal(fmt.Errorf("the model of Kong: %w", err))
	}
	return compiled
}
