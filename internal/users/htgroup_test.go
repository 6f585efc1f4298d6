package users_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/users"
)

// The roles of a user are the groups, as Apache reads them, and change with the file.
func TestGroupsOfUsersInAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		groups := filepath.Join(t.TempDir(), "htgroup")
		write(t, groups, "# groups\r\n\n staff:\talice bob  \r\nadmin : alice nobody\nempty:\nstaff: carol alice\n")
		h := hash(t, "p", 4)
		all := "alice:" + h + "\nbob:" + h + "\ncarol:" + h + "\ndan:" + h + "\n"
		f, path := open(t, all, func(c *users.FileConfig) { c.Groups = groups })
		have := func(want ...string) {
			t.Helper()
			for i, name := range []string{"alice", "bob", "carol", "dan"} {
				u, err := f.Find(t.Context(), name)
				if err != nil || strings.Join(u.Roles, " ") != want[i] {
					t.Errorf("%s: %v, %v, want %q", name, u, err, want[i])
				}
				if in := passes(t, f, name, "p"); strings.Join(in.Roles, " ") != want[i] {
					t.Errorf("%s signs in as %v, want %q", name, in.Roles, want[i])
				}
			}
		}
		have("staff admin", "staff", "staff", "")
		look := func(path, text string) {
			t.Helper()
			write(t, path, text)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		look(groups, "staff: dan\n")
		have("", "", "", "staff")
		look(groups, "staff: alice\nadmin dan\n")
		have("", "", "", "staff")
		if err := f.Err(); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("a bad file: %v", err)
		}
		look(path, all+"eve:"+h+"\n")
		have("", "", "", "staff")
		if err := os.Remove(groups); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		have("", "", "", "staff")
		look(groups, "admin: eve")
		have("", "", "", "")
		if u := passes(t, f, "eve", "p"); strings.Join(u.Roles, " ") != "admin" || f.Err() != nil {
			t.Errorf("%v, %v", u, f.Err())
		}
	})
}

func TestOneBadLineRefusesAllGroups(t *testing.T) {
	many := new(strings.Builder)
	for i := range users.MaxRoles + 1 {
		fmt.Fprintf(many, "group%d: bob alice\n", i)
	}
	for want, text := range map[string]string{
		"line 2: no name and colon":               "a: alice\nalice bob\n",
		"line 1: no name and colon":               ": alice",
		"line 1: a byte order mark":               "\ufeffstaff: alice",
		`line 3: the name "b\xff" is not UTF-8`:   "# x\n\nstaff: alice b\xff",
		"line 1: a control character in the name": "staff: a\x00",
		"line 1: the role":                        strings.Repeat("x", users.MaxRole+1) + ":",
		"line 65: the user \"bob\": 65 roles":     many.String(),
		`line 1: the role "st\xff" is not UTF-8`:  "st\xff: ",
	} {
		if err := users.CheckGroups([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "htgroup")
	if _, err := users.OpenFile(users.FileConfig{Path: path, Groups: path}); err == nil ||
		!strings.Contains(err.Error(), "groups of users, file "+path) {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "staff: alice")
	if _, err := users.OpenFile(users.FileConfig{Path: path + "x", Groups: path}); err == nil ||
		!strings.Contains(err.Error(), "users file "+path+"x") {
		t.Errorf("no users: %v", err)
	}
}
