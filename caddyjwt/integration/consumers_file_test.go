package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// member is a consumer as a file has it in JSON. Its tokens are signed with the key of this name: see memberKey.
func member(t testing.TB, username, key, extra string) string {
	t.Helper()
	return fmt.Sprintf(`{"username": %q, %s "credentials": [{"key": %q, "algorithm": "HS256", "base64": true,
		"secret": %q}]}`, username, extra, username+"-key", base64.StdEncoding.EncodeToString(memberKey(t, key).Secret()))
}

// memberKey is a secret of its own for each name.
func memberKey(t testing.TB, name string) *tokentest.Key { return tokentest.NewKey(t, "HS256", name) }

// memberToken is a good token of a member whose key has this name.
func memberToken(t testing.TB, username, key string, changes ...any) string {
	t.Helper()
	return memberKey(t, key).WithKID("").Sign(t,
		claims(append([]any{"iss", username + "-key", "sub", username}, changes...)...))
}

// consumersFile is a file of consumers that a test replaces at once, as the manual says.
type consumersFile struct {
	t    testing.TB
	path string
}

func newConsumersFile(t testing.TB, members ...string) *consumersFile {
	t.Helper()
	f := &consumersFile{t, filepath.Join(t.TempDir(), "consumers.json")}
	f.set(members...)
	return f
}

func (f *consumersFile) set(members ...string) { f.write("[" + strings.Join(members, ",\n") + "]") }

func (f *consumersFile) write(text string) {
	f.t.Helper()
	if err := os.Rename(writeFile(f.t, f.path+".new", text), f.path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *consumersFile) word() string { return "consumers file " + f.path }

// follows waits until a token passes, or is refused.
func (s *site) follows(token string, status int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("the token gets %d", status), func() bool {
		got := s.get("/", token)
		s.drain()
		return got.StatusCode == status
	})
}

func TestConsumersFromAFile(t *testing.T) {
	f := newConsumersFile(t, member(t, "zoe", "zoe", `"id": "7", "custom_id": "c-7", "groups": ["staff", "readers"],`))
	s := start(t, gateFor(f.word(), consumerAlice(t), "require group staff"))
	zoe, alice := memberToken(t, "zoe", "zoe"), hmacKey(t).Sign(t, claims())
	for range 3 {
		got := s.passed(s.get("/", zoe))
		for name, want := range map[string]string{
			"X-Consumer-Username": "zoe", "X-Consumer-Id": "7", "X-Consumer-Custom-Id": "c-7",
			"X-Consumer-Groups": "staff,readers", "X-Credential-Identifier": "zoe-key",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("the upstream was told %s: %q, want %q", name, got.Header.Get(name), want)
			}
		}
	}
	s.accepts(alice)
	s.refused(s.get("/", memberToken(t, "bob", "bob")), http.StatusUnauthorized, "unknown_issuer")
	s.refused(s.get("/", memberToken(t, "zoe", "bob")), http.StatusUnauthorized, "invalid_signature")

	f.set(member(t, "zoe", "zoe", ""), member(t, "bob", "bob", `"groups": ["staff"],`))
	s.follows(memberToken(t, "bob", "bob"), http.StatusOK)
	s.refused(s.get("/", zoe), http.StatusForbidden, "claim_mismatch") // she is no longer in the group
	s.accepts(alice)
	if !s.logged(`"msg":"the consumers of the file have changed"`, `"added":1`, `"changed":1`, `"removed":0`) {
		t.Error("the log does not tell what has changed")
	}
}

func TestConsumersFromAFileInYAML(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	f := newConsumersFile(t)
	secret := base64.StdEncoding.EncodeToString(memberKey(t, "bond").Secret())
	f.write(`# the portal, and a machine
- username: portal
  credentials:
    - key: portal-key
      algorithm: ES256
      public_key: |
        ` + strings.ReplaceAll(strings.TrimSpace(key.PublicPEM()), "\n", "\n        ") + `
- username: "007"
  groups:
  - agents
  credentials: [{key: bond, algorithm: HS256, secret: ` + secret + `, base64: true}]
`)
	s := start(t, gateFor(f.word()))
	s.accepts(key.Sign(t, claims("iss", "portal-key")))
	got := s.passed(s.get("/", memberKey(t, "bond").WithKID("").Sign(t, claims("iss", "bond"))))
	if got.Header.Get("X-Consumer-Username") != "007" || got.Header.Get("X-Consumer-Groups") != "agents" {
		t.Errorf("the upstream was told %v", got.Header)
	}
}

// A file that cannot be used keeps the consumers from before, and the log says why, once.
func TestBadFileOfConsumersKeepsTheOldOnes(t *testing.T) {
	f := newConsumersFile(t, member(t, "zoe", "zoe", ""))
	s := start(t, gateFor(f.word(), consumerAlice(t)))
	zoe := memberToken(t, "zoe", "zoe")
	for _, c := range []struct{ name, text, want string }{
		{"cut off", "[" + member(t, "bob", "bob", "") + ",\n" + member(t, "eve", "eve", "")[:40], "does not end"},
		{"a weak secret", `[{"username": "bob",
			"credentials": [{"key": "k", "algorithm": "HS256",
				"secret": "too-short-9f2c"}]}]`, `line 3, consumer 1 \"bob\": credential \"k\": secret: `},
		{"the username of a block", "[" + member(t, "alice", "bob", "") + "]", "is also in a consumer block"},
		{"nothing", "", "the file is empty"},
	} {
		f.write(c.text)
		eventually(t, "the log tells of a file that is "+c.name, func() bool {
			return s.logged(`"level":"error"`, "the consumers from before stay", c.want)
		})
		s.accepts(zoe)
	}
	if strings.Contains(s.log(), "too-short") {
		t.Error("the log has a secret")
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log tells of a file that is gone", func() bool {
		return s.logged("no such file", "from before stay")
	})
	s.accepts(zoe)
	if n := strings.Count(s.log(), "the consumers from before stay"); n != 5 {
		t.Errorf("%d lines about five mistakes", n)
	}
	f.set()
	s.follows(zoe, http.StatusUnauthorized)
}

func TestMintForAConsumerOfAFile(t *testing.T) {
	f := newConsumersFile(t, member(t, "zoe", "zoe", ""))
	config := caddyfileFor(t, f.word(), consumerAlice(t))
	for _, username := range []string{"zoe", "alice"} {
		token, err := mint("--config", config, "--consumer", username)
		if err != nil {
			t.Fatal(err)
		}
		if status, identity := send(t, config, token); status != http.StatusOK ||
			identity.Get("X-Consumer-Username") != username {
			t.Errorf("the token of %s gets %d as %q", username, status, identity.Get("X-Consumer-Username"))
		}
	}
	want := `has no consumer "eve"; it has: alice, those in ` + f.path
	if out, err := mint("--config", config, "--consumer", "eve"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("output %q, error %v; want %q", out, err, want)
	}
	f.write("[")
	want = "line 1: expected a consumer"
	if out, err := mint("--config", config, "--consumer", "zoe"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("output %q, error %v; want %q", out, err, want)
	}
}

func TestMetricsOfAFileOfConsumers(t *testing.T) {
	f := newConsumersFile(t, member(t, "zoe", "zoe", ""), member(t, "bob", "bob", ""))
	s := prepare(t)
	s.loadMeasured(gateFor(f.word()))
	tells := func(name string, value int) bool {
		return strings.Contains(s.metricsText(), fmt.Sprintf("%s%s{file=%q} %d\n", metricPrefix, name, f.path, value))
	}
	if !tells("consumers", 2) || !tells("consumers_failing", 0) {
		t.Errorf("the metrics are\n%s", s.metricsText())
	}
	f.write("[")
	eventually(t, "the metric says that the file is bad", func() bool { return tells("consumers_failing", 1) })
	if !tells("consumers", 2) {
		t.Errorf("the metrics are\n%s", s.metricsText())
	}
	f.set(member(t, "zoe", "zoe", ""))
	eventually(t, "the metric says that the file is good", func() bool { return tells("consumers_failing", 0) })
	if !tells("consumers", 1) {
		t.Errorf("the metrics are\n%s", s.metricsText())
	}
}
