package users

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/setting"
)

// parse reads an htpasswd file. One bad line refuses the whole file: to leave out a line would leave out a user, or a
// change of a password. Errors name the line and how to mend it. They repeat nothing but names.
func parse(data []byte, c Comparer) (*table, error) {
	t := &table{accounts: make(map[string]account), compare: c, method: withBcrypt}
	lines := make(map[string]int)
	text := string(data)
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		name, a, err := parseLine(line)
		if err == nil && name == "" {
			continue
		}
		if err == nil {
			err = t.add(name, a)
		}
		switch {
		case errors.Is(err, errTwice):
			return nil, fmt.Errorf("line %d: the user %s is on line %d, too; remove one of the two lines", number,
				causes.Quote(name), lines[name])
		case err != nil:
			return nil, setting.Wrap(fmt.Sprint("line ", number), err)
		case len(t.accounts) > MaxUsers:
			return nil, fmt.Errorf("line %d: more than %d users", number, MaxUsers)
		}
		lines[name] = number
	}
	return t, nil
}

// blanks are what Apache removes at both ends of a line.
const blanks = " \t\r\v\f"

// parseLine reads one line: a name, a colon and a hash of bcrypt. An empty line has no name, and neither has one that
// begins with #.
func parseLine(line string) (name string, a account, err error) {
	line = strings.Trim(line, blanks)
	if line == "" || line[0] == '#' {
		return "", account{}, nil
	}
	name, hash, found := strings.Cut(line, ":")
	if !found {
		return "", account{}, fmt.Errorf("no colon behind a name; write name:hash, or add the user with htpasswd -B")
	}
	if err := checkName(name); err != nil {
		return "", account{}, fmt.Errorf("%w; write name:hash", err)
	}
	if strings.HasPrefix(name, "\ufeff") {
		return "", account{}, fmt.Errorf("a byte order mark; save the file as UTF-8 without it")
	}
	if !strings.HasPrefix(hash, "$2") {
		return "", account{}, fmt.Errorf("the hash of the user %s is %s, and only bcrypt is accepted; set the password "+
			"again with htpasswd -B", causes.Quote(name), kindOf(hash))
	}
	cost, err := bcryptCost(hash)
	if err != nil {
		return "", account{}, fmt.Errorf("the hash of the user %s: %w; set the password again with htpasswd -B",
			causes.Quote(name), err)
	}
	return name, account{hash: hash, cost: cost}, nil
}

// kindOf says what else than bcrypt a hash is. It does not repeat the text, which may be a password.
func kindOf(hash string) string {
	for _, kind := range [][2]string{
		{"{SHA}", "SHA-1"}, {"$apr1$", "the MD5 of Apache"}, {"$1$", "MD5"}, {"$5$", "SHA-256"}, {"$6$", "SHA-512"},
		{"$y$", "yescrypt"}, {"$argon2", "argon2"},
	} {
		if strings.HasPrefix(hash, kind[0]) {
			return kind[1]
		}
	}
	if hash == "" {
		return "missing"
	}
	return "an old hash of crypt, or the password itself"
}
