package users_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

func TestOnlyTheRightPasswordPasses(t *testing.T) {
	d := inline(t, nil, account(t, "alice", "secret", 4), account(t, "böb", "hidden", 5))
	if u := passes(t, d, "alice", "secret"); u.Name != "alice" || len(u.Roles) != 1 || u.Roles[0] != "of alice" {
		t.Errorf("%+v", u)
	}
	passes(t, d, "böb", "hidden")
	for _, bad := range [][2]string{
		{"alice", "hidden"}, {"böb", "secret"}, {"Alice", "secret"}, {"alice ", "secret"}, {"alice", "secret "},
		{"carol", "secret"}, {"bo\u0308b", "hidden"}, {"alice", "Secret"},
	} {
		if err := fails(t, d, bad[0], bad[1], users.ErrRefused); err != users.ErrRefused {
			t.Errorf("%q: the text of %v says more", bad, err)
		}
	}
}

func TestFindNeedsNoPassword(t *testing.T) {
	d := inline(t, nil, account(t, "alice", "secret", 4))
	u, err := d.Find(t.Context(), "alice")
	if err != nil || u.Name != "alice" {
		t.Fatalf("%v, %v", u, err)
	}
	u.Roles[0] = "admin"
	if again, _ := d.Find(t.Context(), "alice"); again.Roles[0] != "of alice" {
		t.Error("the receiver of a user has changed its roles for all")
	}
	for _, name := range []string{"bob", "", "a\x00"} {
		if u, err := d.Find(t.Context(), name); u != nil || !errors.Is(err, users.ErrRefused) {
			t.Errorf("%q: %v, %v", name, u, err)
		}
	}
	if known, err := d.Knows(t.Context(), "alice"); !known || err != nil {
		t.Error("alice is unknown")
	}
}

// What is compared is counted, and not the time, so that the test is exact.
func TestAttackNoWorkTellsWhichNamesThereAre(t *testing.T) {
	c := new(counter)
	d := inline(t, c, account(t, "four", "p4", 4), account(t, "five", "p5", 5), account(t, "seven", "p7", 7))
	c.taken()
	for _, name := range []string{"four", "five", "seven", "nobody", "Four"} {
		fails(t, d, name, "wrong", users.ErrRefused)
		if work := c.taken(); work != 1<<7 {
			t.Errorf("%s costs %d, and the highest cost is %d", name, work, 1<<7)
		}
	}
	passes(t, d, "four", "p4")
	if work := c.taken(); work != 1<<4 {
		t.Errorf("a success costs %d", work)
	}
}

func TestWhatNoUserCanSendCostsNothing(t *testing.T) {
	c, long := new(counter), strings.Repeat("x", 72)
	d := inline(t, c, account(t, "alice", long, 4))
	c.taken()
	for _, bad := range [][2]string{
		{"", "p"}, {"alice", ""}, {"alice", long + "x"}, {"nobody", long + "x"}, {"alice", "a\x00a"},
		{"alice", strings.Repeat("x", 1025)}, {strings.Repeat("n", 257), "p"}, {"a\nb", "p"}, {"a\xff", "p"},
		{"a\u0085", "p"},
	} {
		fails(t, d, bad[0], bad[1], users.ErrRefused)
	}
	if work := c.taken(); work != 0 {
		t.Errorf("%d", work)
	}
	passes(t, d, "alice", long)
}

// bcrypt itself takes these for right.
func TestAttackPasswordsThatBcryptTakesForAnother(t *testing.T) {
	long := strings.Repeat("x", 72)
	for right, other := range map[string]string{long: long + "y", "a": "a\x00a"} {
		h := hash(t, right, 4)
		if err := bcrypt.CompareHashAndPassword([]byte(h), []byte(other)); err != nil {
			t.Errorf("bcrypt tells %d bytes apart: %v", len(other), err)
		}
		d := inline(t, nil, users.Account{Name: "alice", Hash: h})
		passes(t, d, "alice", right)
		fails(t, d, "alice", other, users.ErrRefused)
	}
}

func TestAHashThatIsNoneIsRefusedWhenTheConfigurationLoads(t *testing.T) {
	good := hash(t, "p", 4)
	for name, text := range map[string]string{
		"nothing": "", "plaintext": "correct horse", "short": good[:59], "long": good + "x", "x": "$2x" + good[3:],
		"cost 3": good[:4] + "03" + good[6:], "cost 17": good[:4] + "17" + good[6:],
		"cost 31": good[:4] + "31" + good[6:], "no digits": good[:4] + "+4" + good[6:], "space": good[:10] + " " + good[11:],
		"spare bits": good[:59] + "/", "newline": good[:20] + "\n" + good[21:], "bcrypt without $": "$2a.04$" + good[7:],
		"apr1": "$apr1$salt$hash", "placeholder": "{env.HASH}", "base64": "JDJhJDEwJA==",
		"argon2i":                       "$argon2i" + argonHash("p", 8, 1, 1)[9:],
		"argon2id without its comparer": argonHash("p", 8, 1, 1),
	} {
		_, err := users.NewInline(users.InlineConfig{Accounts: []users.Account{{Name: "alice", Hash: text}}})
		if setting.Field(err) != "Accounts[0].Hash" || !strings.Contains(err.Error(), "caddy hash-password") {
			t.Errorf("%s: field %q, error %v", name, setting.Field(err), err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error repeats the text: %v", name, err)
		}
	}
	for _, minor := range []string{"a", "b", "y"} {
		passes(t, inline(t, nil, users.Account{Name: "alice", Hash: "$2" + minor + good[3:]}), "alice", "p")
	}
}

func TestNewInlineNamesTheWrongAccount(t *testing.T) {
	alice := account(t, "alice", "p", 4)
	for field, accounts := range map[string][]users.Account{
		"Accounts":         nil,
		"Accounts[0].Name": {{Name: "", Hash: alice.Hash}},
		"Accounts[1].Name": {alice, alice},
		"Accounts[2].Hash": {alice, account(t, "bob", "p", 5), {Name: "carol", Hash: argonHash("p", 8, 1, 1)}},
	} {
		_, err := users.NewInline(users.InlineConfig{Accounts: accounts})
		if setting.Field(err) != field {
			t.Errorf("field %q, want %q: %v", setting.Field(err), field, err)
		}
	}
}

func TestAHashThatCannotBeReadLetsNobodyIn(t *testing.T) {
	broken := &faulty{}
	d := inline(t, broken, account(t, "alice", "secret", 4))
	broken.err = errors.New("cannot compare with my secret password")
	err := fails(t, d, "alice", "secret password", users.ErrUnavailable)
	if !strings.Contains(err.Error(), `"alice"`) {
		t.Error(err)
	}
}

func TestAttackAComparerThatTakesAnythingIsRefused(t *testing.T) {
	for _, h := range []string{hash(t, "p", 4), "$other$hash"} {
		_, err := users.NewInline(users.InlineConfig{
			Accounts: []users.Account{{Name: "alice", Hash: h}}, Comparer: &faulty{same: true},
		})
		if setting.Field(err) != "Accounts[0].Hash" {
			t.Errorf("%v", err)
		}
	}
}

// An unknown form says nothing, so each of its hashes must be one that can be read.
func TestEachHashOfAnUnknownAlgorithmIsTried(t *testing.T) {
	accounts := []users.Account{{Name: "alice", Hash: "$other$1"}, {Name: "bob", Hash: "$other$2"}}
	_, err := users.NewInline(users.InlineConfig{Accounts: accounts, Comparer: &faulty{bad: "$other$2"}})
	if setting.Field(err) != "Accounts[1].Hash" || strings.Contains(err.Error(), "$other") {
		t.Error(err)
	}
}

// faulty has one answer for all.
type faulty struct {
	same bool
	err  error
	bad  string // a hash that it cannot read
	with []string
}

func (f *faulty) Compare(hashed, _ []byte) (bool, error) {
	f.with = append(f.with, string(hashed))
	if string(hashed) == f.bad {
		return false, fmt.Errorf("cannot read %s", hashed)
	}
	return f.same, f.err
}

func (f *faulty) FakeHash() []byte { return []byte("fake") }

func TestAnUnknownAlgorithmComparesWithItsOwnFake(t *testing.T) {
	f := new(faulty)
	d := inline(t, f, users.Account{Name: "alice", Hash: "$other$1"}, users.Account{Name: "bob", Hash: "$other$2"})
	f.with = nil
	for _, name := range []string{"alice", "bob", "nobody"} {
		fails(t, d, name, strings.Repeat("x", 100), users.ErrRefused)
	}
	if got := strings.Join(f.with, " "); got != "$other$1 $other$2 fake" {
		t.Error(got)
	}
}

// argon compares with argon2id as the module of Caddy does.
type argon struct{ compared []string }

func (a *argon) Compare(hashed, plaintext []byte) (bool, error) {
	memory, passes, threads, err := argonParts(string(hashed))
	if err != nil {
		return false, err
	}
	a.compared = append(a.compared, strings.Split(string(hashed), "$")[3])
	return argonHash(string(plaintext), memory, passes, threads) == string(hashed), nil
}

func (a *argon) FakeHash() []byte { return []byte("not called for argon2id") }

func TestArgon2id(t *testing.T) {
	a := new(argon)
	d := inline(t, a, users.Account{Name: "alice", Hash: argonHash("p", 64, 2, 1)})
	passes(t, d, "alice", "p")
	a.compared = nil
	fails(t, d, "alice", "q", users.ErrRefused)
	fails(t, d, "nobody", strings.Repeat("q", 100), users.ErrRefused)
	if got := strings.Join(a.compared, " "); got != "m=64,t=2,p=1 m=64,t=2,p=1" {
		t.Errorf("compared with %s", got)
	}
	good := argonHash("p", 64, 2, 1)
	for name, text := range map[string]string{
		"memory":      strings.Replace(good, "m=64", "m=4194304", 1),
		"no memory":   strings.Replace(good, "m=64", "m=0", 1),
		"little":      strings.Replace(good, "p=1", "p=9", 1),
		"passes":      strings.Replace(good, "t=2", "t=17", 1),
		"threads":     strings.Replace(strings.Replace(good, "m=64", "m=640", 1), "p=1", "p=17", 1),
		"zero":        strings.Replace(good, "t=2", "t=02", 1),
		"overflow":    strings.Replace(good, "t=2", "t=99999999999", 1),
		"two only":    strings.Replace(good, ",p=1", "", 1),
		"order":       strings.Replace(good, "m=64,t=2", "t=2,m=64", 1),
		"version":     strings.Replace(good, "v=19", "v=16", 1),
		"digest":      good[:len(good)-30],
		"salt":        strings.Replace(good, argonSalt, "YQ", 1),
		"characters":  good[:len(good)-1] + "*",
		"more":        good + "$x",
		"mixed costs": strings.Replace(good, "t=2", "t=1", 1),
	} {
		accounts := []users.Account{{Name: "alice", Hash: good}, {Name: "bob", Hash: text}}
		_, err := users.NewInline(users.InlineConfig{Accounts: accounts, Comparer: a})
		if setting.Field(err) != "Accounts[1].Hash" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
