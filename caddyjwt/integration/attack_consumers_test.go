package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// replaced is what an attacker makes of a file of consumers: a content, or what make leaves at the path.
type replaced struct {
	text string
	make func(path string) error
	want string // in the line of the log
}

// replacements are files of consumers that let mallory in if any reader understands them.
func replacements(t *testing.T, issuer string) map[string]replaced {
	mallory := member(t, "mallory", "mallory", "")
	credentials := mallory[strings.Index(mallory, `"credentials"`) : len(mallory)-1]
	named := func(key string) string {
		return "[" + strings.Replace(mallory, `"mallory-key"`, fmt.Sprintf("%q", key), 1) + "]"
	}
	bomb := "- username: mallory\n  groups: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		next := string(rune('b' + i))
		bomb += "  " + next + ": &" + next + " [" + strings.Repeat("*"+string(rune('a'+i))+", ", 9) + "]\n"
	}
	with := func(members string) string {
		return `[{"username": "mallory", "credentials": [{"key": "mallory-key", ` + members + `}]}]`
	}
	return map[string]replaced{
		"a file of 257 MiB": {want: "longer than", make: func(path string) error {
			return os.Truncate(path, 257<<20) // a hole, which takes no space
		}},
		"a consumer of 2 MiB": {text: `[{"username": "` + strings.Repeat("m", 2<<20) + `", ` + credentials + `}]`,
			want: "takes more than 1048576 bytes"},
		"lists in lists": {text: `[{"username": "mallory", "groups": ` + strings.Repeat("[", 400_000) +
			strings.Repeat("]", 400_000) + `, ` + credentials + `}]`, want: "nested too deeply"},
		"lists in lists in YAML": {text: "- username: mallory\n  groups: " + strings.Repeat("[", 400_000) +
			strings.Repeat("]", 400_000) + "\n", want: "this is not YAML"},
		"aliases of aliases": {text: bomb, want: "has an anchor or an alias"},
		"a member twice": {text: `[{"username": "zoe", "username": "mallory", ` + credentials + `}]`,
			want: "two members have the same name"},
		"a member twice, once with an escape": {text: `[{"username": "zoe", "u\u0073ername": "mallory", ` +
			credentials + `}]`,
			want: "two members have the same name"},
		"a member twice in YAML":    {text: "- username: zoe\n  username: mallory\n", want: "username is there twice"},
		"a member in other letters": {text: `[{"Username": "mallory", ` + credentials + `}]`, want: "no member"},
		"a line end in the username": {text: `[{"username": "mallory\r\nX-Consumer-Username: root", ` + credentials + `}]`,
			want: "cannot be sent to the backend"},
		"a list that is cut off":       {text: "[" + mallory + ",", want: "expected a consumer"},
		"bytes that are not UTF-8":     {text: "[" + mallory + "]\xff", want: "not UTF-8"},
		"the name of an issuer as key": {text: named(issuer), want: "is also the name of an issuer"},
		"the key of a consumer block":  {text: named("alice-key"), want: `belongs to consumer \"alice\"`},
		"the username of a consumer block": {
			text: strings.Replace(named("m"), `"mallory"`, `"alice"`, 1),
			want: "is also in a consumer block",
		},
		"a key twice": {
			text: "[" + mallory + "," + strings.Replace(mallory, `"mallory"`, `"eve"`, 1) + "]",
			want: "belongs to the consumer on line",
		},
		"a placeholder as secret": {
			text: with(`"algorithm": "HS256", "secret": "{file./etc/hostname}, which is long enough for HS256"`),
			want: "has a placeholder",
		},
		"a path as public key": {
			text: with(`"algorithm": "RS256", "public_key": "/etc/hostname"`),
			want: "not PEM text",
		},
		"no algorithm": {
			text: with(`"algorithm": "none"`),
			want: "unknown algorithm",
		},
		"an empty secret": {
			text: with(`"algorithm": "HS256", "secret": ""`),
			want: "needs a secret",
		},
		"a public key as secret": {
			text: with(`"algorithm": "HS256", "secret": ` + quoted(tokentest.NewKey(t, "ES256", "").PublicPEM())),
			want: "secret: ",
		},
		"a pipe without a writer": {
			want: "not a regular file",
			make: func(path string) error { return remade(path, func() error { return syscall.Mkfifo(path, 0o600) }) },
		},
		"a link to an endless device": {
			want: "not a regular file",
			make: func(path string) error { return remade(path, func() error { return os.Symlink("/dev/zero", path) }) },
		},
		"a link to itself": {
			want: "too many levels of symbolic links",
			make: func(path string) error { return remade(path, func() error { return os.Symlink(path, path) }) },
		},
		"a folder": {
			want: "not a regular file",
			make: func(path string) error { return remade(path, func() error { return os.Mkdir(path, 0o700) }) },
		},
		"a link that Kubernetes has not set yet": {
			want: "no such file",
			make: func(path string) error { return remade(path, func() error { return os.Symlink("..data/none", path) }) },
		},
	}
}

func quoted(text string) string { return fmt.Sprintf("%q", text) }

// remade puts something else in the place of a file.
func remade(path string, make func() error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return make()
}

// Whoever writes the file of consumers, or stands between its writer and Caddy, tries what readers understand in
// different ways, what exhausts them, and what makes them wait. Parsers of YAML have expanded aliases until the memory
// was gone (CVE-2019-11253), and those of JSON have taken the last of two members. Whatever it is: the old consumers
// stay, nobody else gets in, and the log says why.
func TestAttackConsumersFileReplaced(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	var gates []string
	files := make(map[string]*consumersFile)
	paths := make(map[string]string)
	attacks := replacements(t, as.URL)
	for name := range attacks {
		files[name], paths[name] = newConsumersFile(t, member(t, "zoe", "zoe", "")), fmt.Sprintf("/%d/", len(paths))
		gates = append(gates, strings.Replace(gateFor(files[name].word(), consumerAlice(t), "audience "+audience, "leeway 0",
			issuerBlock(as.URL)), "bearer_auth", "bearer_auth "+paths[name]+"*", 1))
	}
	s := start(t, strings.Join(gates, "\n\t"))
	zoe := memberToken(t, "zoe", "zoe", "aud", audience)
	for name, attack := range attacks {
		s.passed(s.get(paths[name], zoe))
		f := files[name]
		if attack.make != nil {
			if err := attack.make(f.path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		f.write(attack.text)
	}
	for name, attack := range attacks {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			eventually(t, "the log says why the file is not used", func() bool {
				return a.logged(`"level":"error"`, "the consumers from before stay", files[name].path, attack.want)
			})
			for _, who := range []string{"mallory-key", "m", as.URL, "alice-key"} {
				token := memberKey(t, "mallory").WithKID("").Sign(t, claims("iss", who, "aud", audience))
				a.secret(token)
				a.refusedFor(a.get(paths[name], token), "unknown_issuer", "invalid_signature", "unsupported_algorithm")
			}
			a.passed(a.get(paths[name], zoe))
			a.passed(a.get(paths[name], hmacKey(t).Sign(t, claims("aud", audience))))
			a.passed(a.get(paths[name], key.Sign(t, issuedBy(as.URL))))
			a.upstream.take()
			if strings.Contains(a.log(), fmt.Sprintf("%.24s", memberKey(t, "mallory").Secret())) {
				t.Error("the log has a secret")
			}
		})
	}
}

// A consumer is removed, or loses its key or a group, and goes on with tokens that were good a moment ago. A gate that
// remembers tokens must not remember these, with or without a cache, and neither must another gate with the same file.
func TestAttackConsumersTokenOfARemovedOne(t *testing.T) {
	before := []string{member(t, "zoe", "zoe", `"groups": ["staff"],`), member(t, "bob", "bob", `"groups": ["staff"],`)}
	f := newConsumersFile(t, before...)
	gate := func(path string, words ...string) string {
		return strings.Replace(gateFor(append(words, f.word())...), "bearer_auth", "bearer_auth "+path+"*", 1)
	}
	s := start(t, strings.Join([]string{
		gate("/cache/"), gate("/same/"), gate("/staff/", "require group staff"), gate("/off/", "cache off"),
	}, "\n\t"))
	paths := []string{"/cache/", "/same/", "/staff/", "/off/"}
	zoe, bob := memberToken(t, "zoe", "zoe"), memberToken(t, "bob", "bob")
	all := func(a *site, token string, status int) {
		for range 3 { // the second time it is kept, the third time it was kept
			for _, path := range paths {
				if got := a.get(path, token); got.StatusCode != status {
					a.t.Errorf("%s: status %d, want %d", path, got.StatusCode, status)
				}
				a.drain()
			}
		}
	}
	for _, c := range []struct {
		name    string
		members []string
		reason  string
		paths   []string
	}{
		{"it is removed", nil, "unknown_issuer", paths},
		{"its key is another", []string{member(t, "zoe", "other", `"groups": ["staff"],`)}, "invalid_signature", paths},
		{"its credential has another name", []string{strings.Replace(member(t, "zoe", "zoe", ""), "zoe-key", "new", 1)},
			"unknown_issuer", paths},
		{"its credential has ended", []string{strings.Replace(member(t, "zoe", "zoe", `"groups": ["staff"],`), `"base64"`,
			`"expires": "2020-01-01", "base64"`, 1)}, "unknown_key", paths},
		{"it has left the group", []string{member(t, "zoe", "zoe", "")}, "claim_mismatch", []string{"/staff/"}},
	} {
		f.set(before...)
		eventually(t, "zoe is there", func() bool { return s.get("/staff/", zoe).StatusCode == http.StatusOK })
		s.attack(t, c.name, func(t *testing.T, a *attempt) {
			all(a.site, zoe, http.StatusOK)
			all(a.site, bob, http.StatusOK)
			f.set(append(c.members, before[1])...)
			eventually(t, "the change counts", func() bool { return a.get("/staff/", zoe).StatusCode != http.StatusOK })
			a.drain()
			for _, path := range c.paths {
				a.secret(zoe)
				a.refusedFor(a.get(path, zoe), c.reason)
			}
			all(a.site, bob, http.StatusOK) // nothing has changed for the others
		})
	}
}

// Kubernetes changes a mounted file by a link to another folder, at once. The path stays, and so does its own link.
// What counts is what the path leads to now; while it leads nowhere, the consumers from before stay.
func TestAttackConsumersLinkSwapped(t *testing.T) {
	mount := t.TempDir()
	version := func(name string, members ...string) {
		folder := filepath.Join(mount, name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, "consumers"), "["+strings.Join(members, ",")+"]")
		if err := os.Symlink(name, filepath.Join(mount, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "..new"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", member(t, "zoe", "zoe", ""))
	path := filepath.Join(mount, "consumers")
	if err := os.Symlink("..data/consumers", path); err != nil {
		t.Fatal(err)
	}
	s := start(t, gateFor("consumers file "+path))
	zoe, bob := memberToken(t, "zoe", "zoe"), memberToken(t, "bob", "bob")
	s.accepts(zoe)
	s.attack(t, "a removed consumer goes on", func(t *testing.T, a *attempt) {
		version("..2", member(t, "bob", "bob", ""))
		a.follows(bob, http.StatusOK)
		a.refusedFor(a.send(zoe), "unknown_issuer")
	})
	s.attack(t, "the link leads nowhere", func(t *testing.T, a *attempt) {
		if err := os.RemoveAll(filepath.Join(mount, "..2")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the log says so", func() bool { return a.logged("no such file", "from before stay") })
		a.refusedFor(a.send(zoe), "unknown_issuer")
		a.accepts(bob)
		a.upstream.take()
	})
}
