package ldapusers_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/ldapusers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func password(text string) func() string { return func() string { return text } }

func byDN(t testing.TB, c ldapusers.DNConfig) *ldapusers.ByDN {
	t.Helper()
	if c.UserDN == "" {
		c.UserDN = "uid={user}," + people
	}
	d, err := ldapusers.NewByDN(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func searched(t testing.TB, url string, change func(*ldapusers.SearchConfig)) *ldapusers.Searched {
	t.Helper()
	c := ldapusers.SearchConfig{
		Server: ldapusers.Server{URL: url}, BindDN: searcher, BindPassword: password("search secret"), BaseDN: base,
		Filter: "(uid={user})",
	}
	if change != nil {
		change(&c)
	}
	d, err := ldapusers.NewSearched(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// passes checks that a user may sign in, and returns it.
func passes(t *testing.T, d users.Directory, name, password string) *users.User {
	t.Helper()
	u, err := d.Check(t.Context(), name, password)
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	return u
}

// fails checks that a user may not sign in, for this reason.
func fails(t *testing.T, d users.Directory, name, password string, want error) error {
	t.Helper()
	u, err := d.Check(t.Context(), name, password)
	if u != nil || !errors.Is(err, want) {
		t.Errorf("%q: %v, error %v, want %v", name, u, err, want)
	}
	if err != nil && len(password) > 3 && strings.Contains(err.Error(), password) {
		t.Errorf("the error has the password: %v", err)
	}
	return err
}

func TestWhoCanBindMaySignIn(t *testing.T) {
	s := start(t)
	for kind, d := range map[string]users.Directory{
		"by DN":    byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}}),
		"searched": searched(t, s.plain, nil),
		"ldaps":    byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.secure, TLS: s.trusted}}),
		"StartTLS": searched(t, s.plain, func(c *ldapusers.SearchConfig) { c.StartTLS, c.TLS = true, s.trusted }),
	} {
		t.Run(kind, func(t *testing.T) {
			if u := passes(t, d, "alice", "secret a"); u.Name != "alice" || u.Roles != nil || u.Claims != nil {
				t.Errorf("%+v", u)
			}
			fails(t, d, "alice", "secret b", users.ErrRefused)
			fails(t, d, "nobody", "secret a", users.ErrRefused)
			fails(t, d, "alice", "", users.ErrRefused)
			fails(t, d, "", "secret a", users.ErrRefused)
			for _, name := range []string{"locked", "reset", "expired"} {
				fails(t, d, name, "secret "+name[:1], users.ErrRefused)
			}
		})
	}
}

// RFC 4513 section 5.1.2: a server answers a name without a password with success.
func TestAttackAnEmptyPasswordIsNotSent(t *testing.T) {
	var asked atomic.Int32
	f := listen(t, answering(func(r request) []byte {
		asked.Add(1)
		return small(0)(r)
	}))
	fails(t, byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: f.url}}), "alice", "", users.ErrRefused)
	fails(t, searched(t, f.url, nil), "alice", "", users.ErrRefused)
	d := searched(t, f.url, func(c *ldapusers.SearchConfig) { c.BindPassword = password("") })
	fails(t, d, "alice", "secret a", users.ErrUnavailable)
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestTheNameIsTheServersSpelling(t *testing.T) {
	s := start(t)
	for kind, d := range map[string]users.Directory{
		"by DN":     byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}}),
		"searched":  searched(t, s.plain, nil),
		"attribute": searched(t, s.plain, func(c *ldapusers.SearchConfig) { c.NameAttribute = "UID" }),
	} {
		for _, name := range []string{"alice", "Alice", "ALICE", " alice ", "ａlice"} {
			if u := passes(t, d, name, "secret a"); u.Name != "alice" {
				t.Errorf("%s: %q becomes %q", kind, name, u.Name)
			}
		}
	}
}

func TestAttackNamesWithCharactersOfDNsAndFilters(t *testing.T) {
	s := start(t)
	both := searched(t, s.plain, nil)
	for kind, d := range map[string]users.Directory{
		"by DN": byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}}), "searched": both,
	} {
		for _, name := range []string{
			"*", "a*", "alice)(uid=*", "alice,ou=people", "alice," + people, "#616c696365", `\61lice`, `alice\`, `"alice"`,
			"alice+uid=alice", "*)(|(uid=*", "alice;", "<alice>", "alice\u0000", "x,", "=", "\u200dalice",
		} {
			u, err := d.Check(t.Context(), name, "secret a")
			if u != nil || !errors.Is(err, users.ErrRefused) {
				t.Errorf("%s: %q: %+v, %v", kind, name, u, err)
			}
		}
		for name, password := range map[string]string{"a,ou=x": "secret c", "*": "secret s"} {
			if u := passes(t, d, name, password); u.Name != name {
				t.Errorf("%s: %q becomes %q", kind, name, u.Name)
			}
		}
	}
	if _, err := both.Find(t.Context(), "a*"); !errors.Is(err, users.ErrRefused) {
		t.Error(err)
	}
}

func TestTwoEntriesLetNobodyIn(t *testing.T) {
	d := searched(t, start(t).plain, nil)
	fails(t, d, "twice", "secret t", users.ErrRefused)
	fails(t, d, "twice", "secret h", users.ErrRefused)
	if knows, err := d.Knows(t.Context(), "twice"); !knows || err != nil {
		t.Error(knows, err)
	}
}

// Both entries have the same first part, and the filter finds each by another attribute.
func TestAttackTwoEntriesDoNotBecomeOneUser(t *testing.T) {
	d := searched(t, start(t).plain, func(c *ldapusers.SearchConfig) { c.Filter = "(|(uid={user})(mail={user}))" })
	fails(t, d, "bob2@example.com", "secret t", users.ErrUnavailable)
	fails(t, d, "h@example.com", "secret h", users.ErrUnavailable)
	if u := passes(t, d, "bob@example.com", "secret b"); u.Name != "bob" {
		t.Errorf("%+v", u)
	}
	mail := searched(t, start(t).plain, func(c *ldapusers.SearchConfig) { c.Filter = "(mail={user})" })
	fails(t, mail, "bob@example.com", "secret b", users.ErrUnavailable)
}

func TestTheNameAttributeHasOneValue(t *testing.T) {
	d := searched(t, start(t).plain, func(c *ldapusers.SearchConfig) {
		c.Filter, c.NameAttribute = "(mail={user})", "mail"
	})
	fails(t, d, "alice@example.com", "secret a", users.ErrUnavailable)
	if u := passes(t, d, "BOB@example.com", "secret b"); u.Name != "bob@example.com" {
		t.Errorf("%+v", u)
	}
}

func TestFindSaysWhoIsStillThere(t *testing.T) {
	s := start(t)
	d := searched(t, s.plain, func(c *ldapusers.SearchConfig) { c.Filter = "(&(uid={user})(!(title=gone)))" })
	if u, err := d.Find(t.Context(), "bob"); err != nil || u.Name != "bob" {
		t.Fatalf("%+v, %v", u, err)
	}
	if knows, err := d.Knows(t.Context(), "bob"); !knows || err != nil {
		t.Fatal(knows, err)
	}
	for _, name := range []string{"BOB", "nobody", "twice", ""} {
		if u, err := d.Find(t.Context(), name); u != nil || !errors.Is(err, users.ErrRefused) {
			t.Errorf("%q: %+v, %v", name, u, err)
		}
	}
	s.root(func(conn *ldap.Conn) error {
		change := ldap.NewModifyRequest("uid=bob,"+people, nil)
		change.Add("title", []string{"gone"})
		return conn.Modify(change)
	})
	if _, err := d.Find(t.Context(), "bob"); !errors.Is(err, users.ErrRefused) {
		t.Error(err)
	}
	if knows, err := d.Knows(t.Context(), "bob"); knows || err != nil {
		t.Error(knows, err)
	}
	fails(t, d, "bob", "secret b", users.ErrRefused)
	named := byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}})
	if _, err := named.Find(t.Context(), "bob"); !errors.Is(err, users.ErrCannotKnow) {
		t.Error(err)
	}
}

// The mark is that of the sign-in until the password changes, or another entry has the name.
func TestTheMarkOfAnEntryThatIsSearched(t *testing.T) {
	s := start(t)
	d := searched(t, s.plain, nil)
	in := passes(t, d, "bob", "secret b")
	found := func() string {
		t.Helper()
		u, err := d.Find(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		return u.Mark
	}
	if in.Mark == "" || found() != in.Mark {
		t.Errorf("%q after %q", found(), in.Mark)
	}
	if other := passes(t, d, "alice", "secret a"); other.Mark == in.Mark {
		t.Error("two users have one mark")
	}
	s.root(func(conn *ldap.Conn) error {
		change := ldap.NewModifyRequest("uid=bob,"+people, nil)
		change.Replace("userPassword", []string{"another one"})
		if err := conn.Modify(change); err != nil {
			return err
		}
		done := ldap.NewModifyRequest("uid=bob,"+people, nil) // the policy wants bob to change it once more
		done.Delete("pwdReset", nil)
		return conn.Modify(done)
	})
	changed := found()
	if changed == in.Mark {
		t.Error("the mark outlives the password")
	}
	if again := passes(t, d, "bob", "another one"); again.Mark != changed {
		t.Errorf("%q after %q", again.Mark, changed)
	}
	s.root(func(conn *ldap.Conn) error {
		return conn.ModifyDN(ldap.NewModifyDNRequest("uid=bob,"+people, "uid=bob", true, "ou=groups,"+base))
	})
	if found() == changed {
		t.Error("another entry has the mark")
	}
	named := passes(t, byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}}), "alice", "secret a")
	if named.Mark != "" {
		t.Errorf("Find cannot know the mark %q", named.Mark)
	}
}

func TestRolesAndClaimsOfAnEntry(t *testing.T) {
	s := start(t)
	s.root(func(conn *ldap.Conn) error {
		for _, name := range []string{"admins", "others"} {
			group := ldap.NewAddRequest("cn="+name+",ou=groups,"+base, nil)
			group.Attribute("objectClass", []string{"groupOfNames"})
			group.Attribute("member", []string{"uid=alice," + people})
			if err := conn.Add(group); err != nil {
				return err
			}
		}
		return nil
	})
	record := ldapusers.Record{
		RoleAttribute: "memberof", RoleNames: map[string]string{"CN=Admins, ou=groups, " + base: "admin"},
		Claims: map[string]string{"email": "mail", "name": "displayName", "title": "title"},
	}
	const claims = `{"email":["a@example.com","alice@example.com"],"name":"Alice <A&B>"}`
	for _, d := range []users.Directory{
		byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}, Record: record}),
		searched(t, s.plain, func(c *ldapusers.SearchConfig) { c.Record = record }),
	} {
		u := passes(t, d, "alice", "secret a")
		if !slices.Equal(u.Roles, []string{"admin"}) || string(u.Claims) != claims {
			t.Errorf("%+v, %s", u, u.Claims)
		}
		if u := passes(t, d, "bob", "secret b"); u.Roles != nil || string(u.Claims) != `{"email":"bob@example.com"}` {
			t.Errorf("%+v, %s", u, u.Claims)
		}
	}
	all := searched(t, s.plain, func(c *ldapusers.SearchConfig) { c.RoleAttribute = "employeeType" })
	if u := passes(t, all, "alice", "secret a"); !slices.Equal(u.Roles, []string{"admin", "staff"}) {
		t.Errorf("%+v", u)
	}
}

func TestTooManyRolesLetNobodyIn(t *testing.T) {
	s := start(t)
	s.root(func(conn *ldap.Conn) error {
		change := ldap.NewModifyRequest("uid=bob,"+people, nil)
		var many []string
		for i := range users.MaxRoles + 1 {
			many = append(many, strings.Repeat("x", i+1))
		}
		change.Add("employeeType", many)
		return conn.Modify(change)
	})
	d := searched(t, s.plain, func(c *ldapusers.SearchConfig) { c.RoleAttribute = "employeeType" })
	fails(t, d, "bob", "secret b", users.ErrUnavailable)
	fails(t, d, "bob", "wrong", users.ErrRefused)
}

func TestWhatIsMisconfiguredIsNoRefusal(t *testing.T) {
	s := start(t)
	for what, change := range map[string]func(*ldapusers.SearchConfig){
		"password":  func(c *ldapusers.SearchConfig) { c.BindPassword = password("other") },
		"account":   func(c *ldapusers.SearchConfig) { c.BindDN = "cn=other," + base },
		"base":      func(c *ldapusers.SearchConfig) { c.BaseDN = "ou=other," + base },
		"referral":  func(c *ldapusers.SearchConfig) { c.BaseDN = "ou=away," + base },
		"no server": func(c *ldapusers.SearchConfig) { c.URL = "ldap://" + freeAddress(t) },
		"no TLS":    func(c *ldapusers.SearchConfig) { c.URL = strings.Replace(c.URL, "ldap", "ldaps", 1) },
		"authority": func(c *ldapusers.SearchConfig) { c.StartTLS = true },
	} {
		d := searched(t, s.plain, change)
		fails(t, d, "alice", "secret a", users.ErrUnavailable)
		if _, err := d.Find(t.Context(), "alice"); !errors.Is(err, users.ErrUnavailable) {
			t.Error(what, err)
		}
		if knows, err := d.Knows(t.Context(), "alice"); knows || !errors.Is(err, users.ErrUnavailable) {
			t.Error(what, knows, err)
		}
	}
	hidden := byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}, UserDN: "uid={user},ou=hidden," + base})
	fails(t, hidden, "hidden", "secret h", users.ErrUnavailable)
	fails(t, hidden, "hidden", "secret x", users.ErrRefused)
}
