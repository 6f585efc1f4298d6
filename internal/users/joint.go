package users

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Joint makes one directory of several. The first one that knows a name decides about it, and no other does, whatever
// the password is. If one of them cannot know now whether it has the name, those behind it do not decide either: they
// could let in another person under that name. So the users of the first directories can sign in while a later one is
// away.
type Joint struct {
	members []Member
	decoys  decoys
}

var _ Remoter = (*Joint)(nil)

// Member is one directory of a Joint.
type Member struct {
	// Name becomes the Directory of its users.
	Name string
	// Directory has the users. It is a Knower unless it is the last.
	Directory Directory
	// Mark becomes a part of the Mark of its users. With another one, they may be other people. Default: empty.
	Mark string
	// Calls counts how long it takes to answer, if it is a server. Default: nobody counts.
	Calls *durations.Calls
}

// ask asks a member about a user, and counts how long that takes. A refusal is an answer. A member that never finds
// users without a password has asked nobody, and what the client has given up does not count.
func (m *Member) ask(question func() (*User, error)) (*User, error) {
	end := m.Calls.Begin()
	user, err := question()
	if !errors.Is(err, ErrCannotKnow) && !errors.Is(err, context.Canceled) {
		end(err == nil || errors.Is(err, ErrRefused))
	}
	return user, err
}

// markOf is the Mark of a user of the member.
func (m *Member) markOf(u *User) string {
	if m.Mark == "" {
		return u.Mark
	}
	return MarkOf(m.Mark + "\n" + u.Mark)
}

// NewJoint checks the members. The error is a *setting.Error.
func NewJoint(members ...Member) (*Joint, error) {
	if len(members) == 0 {
		return nil, setting.Errorf("Members", "no directory of users: nobody could sign in")
	}
	names := make(map[string]bool)
	for i, m := range members {
		err := checkMember(members[:i], m, i == len(members)-1)
		if err == nil && names[m.Name] {
			err = setting.Errorf("Name", "there is another directory with this name")
		}
		if err != nil {
			return nil, setting.In(setting.Element("Members", i), err)
		}
		names[m.Name] = true
	}
	return &Joint{members, newDecoys()}, nil
}

func checkMember(before []Member, m Member, last bool) error {
	_, knows := m.Directory.(Knower)
	switch {
	case m.Directory == nil:
		return setting.Errorf("Directory", "no directory")
	case m.Name == "":
		return setting.Errorf("Name", "no name")
	case !knows && !last:
		return setting.Errorf("Directory", "this directory cannot tell a user of its own with another password from a user "+
			"of the directories behind it; put it last")
	}
	own := tableOf(m)
	for _, other := range before {
		if t := tableOf(other); t != nil && own != nil && (t.method != own.method || own.method == "") {
			return setting.Errorf("Directory", "its hashes were not made as those of the directory %q, so the time they take "+
				"would tell who is where; make all with bcrypt", other.Name)
		}
	}
	return nil
}

// tableOf is the table of a member; nil if it has none.
func tableOf(m Member) *table {
	if h, is := m.Directory.(hashed); is {
		return h.table()
	}
	return nil
}

// view has the tables as they are at one moment: a file that changes meanwhile must not make a user unknown to all.
type view struct {
	tables  []*table // of each member; nil for one without
	costly  *table   // the one with the highest cost; nil if there are no tables
	highest int
}

func (j *Joint) view() view {
	v := view{tables: make([]*table, len(j.members))}
	for i, m := range j.members {
		t := tableOf(m)
		v.tables[i] = t
		if t != nil && (v.costly == nil || t.highest > v.highest) {
			v.costly, v.highest = t, t.highest
		}
	}
	return v
}

// spend costs as much as a refusal by any table.
func (v *view) spend(password string) {
	if v.costly != nil {
		v.costly.spend(password, v.highest)
	}
}

// Check implements Directory. A refusal costs as much as the most costly hash of all members, once. A member without
// hashes, such as a server, is asked during that time. So its users cannot be told from others either, as long as it
// answers within it.
func (j *Joint) Check(ctx context.Context, name, password string) (*User, error) {
	if err := Acceptable(name, password); err != nil {
		return nil, err
	}
	v := j.view()
	if !slices.Contains(v.tables, nil) && v.costly.tooLong(password) {
		return nil, errTooLong // none of the members takes it; with a server, it depends on who has the name
	}
	i, err := j.decides(ctx, &v, name)
	switch {
	case err != nil:
		return nil, err
	case i < 0:
		v.spend(password)
		return nil, ErrRefused
	}
	var user *User
	if t := v.tables[i]; t != nil {
		user, err = t.judge(name, password, v.highest)
	} else {
		user, err = askWhile(func() { j.decoys.spend(&v, password) }, func() (*User, error) {
			return j.members[i].ask(func() (*User, error) { return j.members[i].Directory.Check(ctx, name, password) })
		})
	}
	return j.admit(ctx, &v, i, name, user, err)
}

// Find implements Directory. The Directory of the user says who has the name now, also with an ErrCannotKnow: a name
// that was one of the directories before has come to the one that never knows.
func (j *Joint) Find(ctx context.Context, name string) (*User, error) {
	if err := acceptableName(name); err != nil {
		return nil, err
	}
	v := j.view()
	i, err := j.decides(ctx, &v, name)
	switch {
	case err != nil:
		return nil, err
	case i < 0:
		return nil, ErrRefused
	}
	var user *User
	if t := v.tables[i]; t != nil {
		user, err = t.find(name)
	} else {
		user, err = j.members[i].ask(func() (*User, error) { return j.members[i].Directory.Find(ctx, name) })
	}
	return j.admit(ctx, &v, i, name, user, err)
}

// decides finds the member that decides about a name; -1 if none has it. A last member that is a server need not say
// first whether it knows the name: there is nobody behind it.
func (j *Joint) decides(ctx context.Context, v *view, name string) (int, error) {
	for i, m := range j.members {
		if v.tables[i] == nil && i == len(j.members)-1 {
			return i, nil
		}
		knows, err := j.knows(ctx, v, i, name)
		if err != nil {
			return -1, fmt.Errorf("%w: directory %q: %w", ErrUnavailable, m.Name, err)
		}
		if knows {
			return i, nil
		}
	}
	return -1, nil
}

func (j *Joint) knows(ctx context.Context, v *view, i int, name string) (bool, error) {
	if t := v.tables[i]; t != nil {
		return t.has(name), nil
	}
	end := j.members[i].Calls.Begin()
	knows, err := j.members[i].Directory.(Knower).Knows(ctx, name)
	if !errors.Is(err, context.Canceled) {
		end(err == nil)
	}
	return knows, err
}

var errNoAnswer = errors.New("it returned no user and no error")

// admit completes what the member that decides has said. The member may spell the name in its own way. In that
// spelling, the name must not be one of the directories before it: its user would become theirs.
func (j *Joint) admit(ctx context.Context, v *view, i int, name string, user *User, err error) (*User, error) {
	from := j.members[i].Name
	switch {
	case errors.Is(err, ErrRefused):
		return nil, ErrRefused // alone: a text of the member could tell why
	case err == nil && user == nil:
		return nil, fmt.Errorf("%w: directory %q: %w", ErrUnavailable, from, errNoAnswer)
	case errors.Is(err, ErrCannotKnow):
		return &User{Name: name, Directory: from, Mark: j.members[i].markOf(new(User))}, ErrCannotKnow
	case err == nil:
		err = CheckUser(user)
	}
	if err != nil {
		return nil, fmt.Errorf("directory %q: %w", from, err)
	}
	for before := 0; before < i && user.Name != name; before++ {
		taken, err := j.knows(ctx, v, before, user.Name)
		if err != nil {
			return nil, fmt.Errorf("%w: directory %q: %w", ErrUnavailable, j.members[before].Name, err)
		}
		if taken {
			return nil, ErrRefused
		}
	}
	admitted := *user
	admitted.Directory, admitted.Mark = from, j.members[i].markOf(user)
	return &admitted, nil
}

// askWhile asks a server while a hash is under way, and waits for both. It never leaves the hash behind: whoever bounds
// the hashes under way must know when one ends.
func askWhile(spend func(), ask func() (*User, error)) (*User, error) {
	spent := make(chan struct{})
	go func() {
		defer close(spent)
		defer func() { _ = recover() }() // what it computes counts nowhere
		spend()
	}()
	defer func() { <-spent }()
	return ask()
}
