package users_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/internal/users"
)

// FuzzParse reads any text as an htpasswd file. What it takes is what another reader finds, and bcrypt can read it.
// What it refuses it does not repeat.
func FuzzParse(f *testing.F) {
	h := hash(f, "p", 4)
	for _, text := range []string{
		"", "#", "alice:" + h, "alice:" + h + "\nbob:$2y" + h[3:] + "\n",
		" \r\n# x\n\talice:" + h + "\r\n", "alice:" + h[:59],
		"alice:" + h + "\nalice:" + h, "a:{SHA}x", "a:$apr1$x", "a", ":" + h, "\ufeffalice:" + h, "a\x00:" + h, "a\xff:" + h,
		"a:$2a$31$" + h[7:], "a:b:" + h,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := users.Parse([]byte(text))
		if err != nil {
			for line := range strings.SplitSeq(text, "\n") {
				name, after, _ := strings.Cut(line, ":")
				if len(after) > 20 && strings.Contains(err.Error(), after) &&
					!strings.Contains(text[:strings.Index(text, line)]+name, after) {
					t.Fatalf("%v repeats %q", err, after)
				}
			}
			return
		}
		there := 0
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.Trim(line, " \t\r\v\f")
			if line == "" || line[0] == '#' {
				continue
			}
			there++
			at := strings.IndexByte(line, ':')
			if at < 1 || got[line[:at]] != line[at+1:] || !utf8.ValidString(line) {
				t.Fatalf("line %q is read otherwise", line)
			}
			cost, err := bcrypt.Cost([]byte(line[at+1:]))
			if err != nil || cost < users.MinCost || cost > users.MaxCost {
				t.Fatalf("cost %d, error %v", cost, err)
			}
			if cost == users.MinCost && there == 1 {
				if _, err := (users.Bcrypt{}).Compare([]byte(line[at+1:]), []byte("p")); err != nil {
					t.Fatalf("bcrypt cannot read it: %v", err)
				}
			}
		}
		if there != len(got) {
			t.Fatalf("%d lines, and %d users", there, len(got))
		}
	})
}
