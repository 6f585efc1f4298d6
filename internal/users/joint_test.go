package users_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// joint makes one directory of several, with the names "0", "1" and so on.
func joint(t *testing.T, directories ...users.Directory) *users.Joint {
	t.Helper()
	var members []users.Member
	for i, d := range directories {
		members = append(members, users.Member{Name: fmt.Sprint(i), Directory: d})
	}
	j, err := users.NewJoint(members...)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestTheFirstDirectoryThatKnowsANameDecides(t *testing.T) {
	first := inline(t, nil, account(t, "alice", "first secret", 4))
	second, _ := open(t, "alice:"+hash(t, "second secret", 4)+"\nbob:"+hash(t, "bob's secret", 4), nil)
	last := &server{passwords: map[string]string{"alice": "last secret", "carol": "carol's secret"}}
	j := joint(t, first, second, last)
	if u := passes(t, j, "alice", "first secret"); u.Directory != "0" || u.Roles[0] != "of alice" {
		t.Errorf("%+v", u)
	}
	fails(t, j, "alice", "second secret", users.ErrRefused)
	fails(t, j, "alice", "last secret", users.ErrRefused)
	if u := passes(t, j, "bob", "bob's secret"); u.Directory != "1" {
		t.Errorf("%+v", u)
	}
	if last.asked != 0 {
		t.Errorf("the last one has got %d passwords of others", last.asked)
	}
	if u := passes(t, j, "carol", "carol's secret"); u.Directory != "2" || u.Roles[0] != "remote" {
		t.Errorf("%+v", u)
	}
}

func TestAttackNoWorkTellsWhoIsInWhichDirectory(t *testing.T) {
	c := new(counter)
	first := inline(t, c, account(t, "alice", "p", 4))
	second, _ := open(t, "bob:"+hash(t, "p", 6), func(config *users.FileConfig) { config.Comparer = c })
	remote := map[string]string{"carol": "carol's secret"}
	long := strings.Repeat("x", 73)
	for name, j := range map[string]*users.Joint{
		"hashes only":             joint(t, first, second),
		"in the other order":      joint(t, second, first),
		"and a server":            joint(t, first, second, &server{passwords: remote}),
		"and a server that knows": joint(t, first, &knower{server{passwords: remote}}, second),
	} {
		c.taken()
		for _, who := range []string{"alice", "bob", "carol", "nobody"} {
			if err := fails(t, j, who, "wrong", users.ErrRefused); err != users.ErrRefused {
				t.Errorf("%s: the text of %v says more", name, err)
			}
			if work := c.taken(); work != 1<<6 {
				t.Errorf("%s: %s costs %d", name, who, work)
			}
		}
		works := make(map[int]bool)
		for _, who := range []string{"alice", "bob", "carol", "nobody"} { // a server may take longer passwords
			fails(t, j, who, long, users.ErrRefused)
			works[c.taken()] = true
		}
		if len(works) != 1 {
			t.Errorf("%s: a long password has costs of %v", name, works)
		}
	}
}

func TestAttackADirectoryThatIsAwayLetsNobodyInUnderItsNames(t *testing.T) {
	for _, away := range []error{fmt.Errorf("%w: no route", users.ErrUnavailable), errors.New("any other error")} {
		ldap := &knower{server{passwords: map[string]string{"alice": "her secret"}, away: away}}
		before := inline(t, nil, account(t, "admin", "admin's secret", 4))
		behind := inline(t, nil, account(t, "alice", "another's secret", 4), account(t, "bob", "bob's secret", 4))
		j := joint(t, before, ldap, behind)
		passes(t, j, "admin", "admin's secret")
		fails(t, j, "alice", "another's secret", users.ErrUnavailable)
		fails(t, j, "bob", "bob's secret", users.ErrUnavailable)
		if u, err := j.Find(t.Context(), "bob"); u != nil || !errors.Is(err, users.ErrUnavailable) {
			t.Errorf("%v, %v", u, err)
		}
		ldap.away = nil
		fails(t, j, "alice", "another's secret", users.ErrRefused)
		passes(t, j, "alice", "her secret")
		passes(t, j, "bob", "bob's secret")
	}
}

// The server takes Admin for its admin. In the joint directory, admin is another person.
func TestAttackAnotherSpellingDoesNotMakeAUserOfAnotherDirectory(t *testing.T) {
	ldap := &knower{server{passwords: map[string]string{"admin": "its own secret", "carol": "carol's secret"}}}
	first := inline(t, nil, account(t, "admin", "admin's secret", 4))
	j := joint(t, first, ldap)
	fails(t, j, "Admin", "its own secret", users.ErrRefused)
	if u, err := j.Find(t.Context(), "ADMIN"); u != nil || !errors.Is(err, users.ErrRefused) {
		t.Errorf("%v, %v", u, err)
	}
	if u := passes(t, j, "Carol", "carol's secret"); u.Name != "carol" {
		t.Errorf("%+v", u)
	}
	other := &knower{server{passwords: map[string]string{"admin": "a"}}}
	j = joint(t, other, ldap)
	fails(t, j, "Admin", "its own secret", users.ErrRefused)
}

// Questions to a server are counted, and a refusal is an answer.
func TestCallsToAServerAreCounted(t *testing.T) {
	first := &knower{server{passwords: map[string]string{"alice": "her secret"}}}
	last := &server{passwords: map[string]string{"bob": "his secret"}}
	var ofFirst, ofLast durations.Calls
	j, err := users.NewJoint(users.Member{Name: "first", Directory: first, Calls: &ofFirst},
		users.Member{Name: "last", Directory: last, Calls: &ofLast})
	if err != nil {
		t.Fatal(err)
	}
	count := func(calls *durations.Calls, answered, failed uint64) {
		t.Helper()
		if a, f := calls.Counts(); a.Number() != answered || f.Number() != failed {
			t.Errorf("%d answered and %d failed, want %d and %d", a.Number(), f.Number(), answered, failed)
		}
	}
	passes(t, j, "alice", "her secret") // whether it knows her, and whether it is she
	fails(t, j, "alice", "bad secret", users.ErrRefused)
	passes(t, j, "bob", "his secret")
	_, _ = j.Find(t.Context(), "bob") // which the last one cannot know, and asks nobody
	count(&ofFirst, 6, 0)
	count(&ofLast, 1, 0)
	first.away = users.ErrUnavailable
	fails(t, j, "bob", "his secret", users.ErrUnavailable)
	count(&ofFirst, 6, 1)
	first.away, last.away = nil, fmt.Errorf("%w: %w", users.ErrUnavailable, context.Canceled)
	fails(t, j, "bob", "his secret", users.ErrUnavailable) // the client has gone
	count(&ofLast, 1, 0)
	last.away = users.ErrUnavailable
	fails(t, j, "bob", "his secret", users.ErrUnavailable)
	count(&ofLast, 1, 1)
}

func TestFindAsksWhoDecides(t *testing.T) {
	first := inline(t, nil, account(t, "alice", "p", 4))
	j := joint(t, first, &server{})
	if u, err := j.Find(t.Context(), "alice"); err != nil || u.Directory != "0" {
		t.Errorf("%+v, %v", u, err)
	}
	u, err := j.Find(t.Context(), "bob")
	if u == nil || u.Directory != "1" || u.Mark != "" || !errors.Is(err, users.ErrCannotKnow) {
		t.Errorf("%+v, %v", u, err)
	}
	j = joint(t, &knower{server{passwords: map[string]string{"carol": "p"}}}, first)
	if u, err := j.Find(t.Context(), "carol"); err != nil || u.Directory != "0" {
		t.Errorf("%+v, %v", u, err)
	}
	for _, name := range []string{"bob", "", "a\n"} {
		if u, err := j.Find(t.Context(), name); u != nil || !errors.Is(err, users.ErrRefused) {
			t.Errorf("%+v, %v", u, err)
		}
		fails(t, j, name, "p", users.ErrRefused)
	}
}

// odd is a server that answers nothing sensible.
type odd struct{ user *users.User }

func (o *odd) Find(ctx context.Context, _ string) (*users.User, error) { return o.Check(ctx, "", "") }
func (o *odd) Check(context.Context, string, string) (*users.User, error) {
	return o.user, nil
}

func TestAnOddAnswerLetsNobodyIn(t *testing.T) {
	first := inline(t, nil, account(t, "alice", "p", 4))
	fails(t, joint(t, first, &odd{}), "bob", "p", users.ErrUnavailable)
	for _, name := range []string{"", "alice", "b\n"} {
		j := joint(t, first, &odd{user: &users.User{Name: name}})
		if u, err := j.Check(t.Context(), "bob", "p"); u != nil || err == nil {
			t.Errorf("%+v", u)
		}
	}
}

// A server must not tell why, and the joint directory sees to it.
func TestAttackARefusalDoesNotSayWhy(t *testing.T) {
	j := joint(t, &server{away: fmt.Errorf("%w: the account is locked", users.ErrRefused)})
	if err := fails(t, j, "alice", "p", users.ErrRefused); err != users.ErrRefused {
		t.Error(err)
	}
}

// What stands in for a hash may panic without the end of the process.
func TestAPanicWhileTimeIsSpentIsHeld(t *testing.T) {
	c := &panics{}
	first := inline(t, c, users.Account{Name: "alice", Hash: "$other$"})
	j := joint(t, first, &server{passwords: map[string]string{"b": "p"}})
	c.now = true
	passes(t, j, "b", "p")
}

type panics struct {
	faulty
	now bool
}

func (p *panics) Compare(hashed, _ []byte) (bool, error) {
	if p.now {
		panic("secret")
	}
	return false, nil
}

func TestNewJointNamesTheWrongMember(t *testing.T) {
	alice := inline(t, nil, account(t, "alice", "p", 4))
	other := inline(t, new(argon), users.Account{Name: "bob", Hash: argonHash("p", 64, 1, 1)})
	same := inline(t, new(argon), users.Account{Name: "carol", Hash: argonHash("p", 64, 1, 1)})
	strange := inline(t, new(faulty), users.Account{Name: "bob", Hash: "$other$"})
	for field, members := range map[string][]users.Member{
		"Members":              nil,
		"Members[0].Directory": {{Name: "a", Directory: &server{}}, {Name: "b", Directory: alice}},
		"Members[1].Name":      {{Name: "a", Directory: alice}, {Name: "a", Directory: alice}},
		"Members[2].Name":      {{Name: "a", Directory: alice}, {Name: "b", Directory: alice}, {Name: "", Directory: alice}},
		"Members[1].Directory": {{Name: "a", Directory: alice}, {Name: "b", Directory: other}},
		"Members[2].Directory": {
			{Name: "a", Directory: strange}, {Name: "b", Directory: &knower{}}, {Name: "c", Directory: strange},
		},
		"Members[3].Directory": {
			{Name: "a", Directory: alice}, {Name: "b", Directory: alice}, {Name: "c", Directory: alice}, {Name: "d"},
		},
	} {
		if _, err := users.NewJoint(members...); setting.Field(err) != field {
			t.Errorf("%q, want %q: %v", setting.Field(err), field, err)
		}
	}
	passes(t, joint(t, other, same), "carol", "p")
}

// The mark of a member is in the marks of its users, whether they are found or signed in.
func TestTheMarkOfAMember(t *testing.T) {
	marks := make(map[string]bool)
	for _, mark := range []string{"", "one", "two"} {
		j, err := users.NewJoint(
			users.Member{Name: "0", Directory: inline(t, nil, account(t, "alice", "p", 4)), Mark: mark},
			users.Member{Name: "1", Directory: &server{passwords: map[string]string{"bob": "p"}}, Mark: mark})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"alice", "bob"} {
			in := passes(t, j, name, "p")
			if found, err := j.Find(t.Context(), name); found.Mark != in.Mark {
				t.Errorf("%s is found with the mark %q, and signs in with %q: %v", name, found.Mark, in.Mark, err)
			}
			if marks[in.Mark] {
				t.Errorf("%s with the mark %q has that of another one", name, mark)
			}
			marks[in.Mark] = true
		}
	}
}
