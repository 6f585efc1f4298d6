package users_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/users"
)

// far is a server that says so.
type far struct{ knower }

func (*far) Remote(string) bool { return true }

func TestOnlyWhatAServerJudgesIsRemote(t *testing.T) {
	alice, bob := inline(t, nil, account(t, "alice", "p", 4)), inline(t, nil, account(t, "bob", "p", 4))
	for _, c := range []struct {
		directory users.Directory
		name      string
		want      bool
	}{
		{alice, "alice", false}, {alice, "nobody", false}, {&server{}, "x", false}, {&far{}, "x", true},
		{joint(t, alice, bob), "nobody", false},
		{joint(t, alice, &far{}), "alice", false}, {joint(t, alice, &far{}), "nobody", true},
		{joint(t, alice, &far{}, bob), "alice", false}, {joint(t, alice, &far{}, bob), "bob", true},
		{joint(t, alice, &server{}), "nobody", false},
	} {
		if got := users.Remote(c.directory, c.name); got != c.want {
			t.Errorf("%T, %s: %t", c.directory, c.name, got)
		}
	}
}

// refuser is a server that knows nobody.
type refuser struct{}

func (refuser) Check(context.Context, string, string) (*users.User, error) {
	return nil, users.ErrRefused
}
func (refuser) Find(context.Context, string) (*users.User, error) { return nil, users.ErrCannotKnow }

// slow counts the hashes under way.
type slow struct {
	users.Bcrypt
	now, most atomic.Int32
}

func (s *slow) Compare(hashed, plaintext []byte) (bool, error) {
	now := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
		continue
	}
	return s.Bcrypt.Compare(hashed, plaintext)
}

// Many attempts may ask a server at once. The hashes that take time meanwhile must not take all processors.
func TestAttackManyQuestionsToAServerComputeFewHashes(t *testing.T) {
	c := new(slow)
	j := joint(t, inline(t, c, account(t, "alice", "p", 6)), refuser{})
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() { fails(t, j, "nobody", "p", users.ErrRefused) })
	}
	all.Wait()
	if most, bound := int(c.most.Load()), max(1, runtime.GOMAXPROCS(0)/4); most > bound {
		t.Errorf("%d hashes at once, and not %d", most, bound)
	}
}
