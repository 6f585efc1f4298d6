package users

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

const (
	// MaxUsers is how many users a file may have.
	MaxUsers = 100_000
	// MaxFile is the greatest length of a file, in bytes.
	MaxFile = 16 << 20
)

// File has the users of an htpasswd file, and reads it again when it changes. So it does with the groups of the users,
// which are their roles. A file that becomes bad, or disappears, leaves the users as they were.
type File struct {
	inTable
	config  FileConfig
	current atomic.Pointer[table]
	files   []*smallfile.Follower

	mu     sync.Mutex
	users  *table              // without roles
	groups map[string][]string // by user
}

var _ Knower = (*File)(nil)

// FileConfig says which file has the users.
type FileConfig struct {
	// Path is that of the file.
	Path string
	// Groups is the path of a file with groups of the users. Empty means none, and that nobody has roles.
	Groups string
	// Logger gets changes, and what is wrong with the file, once. Nil means none.
	Logger *slog.Logger
	// Comparer compares with the hashes. Nil means Bcrypt.
	Comparer Comparer
}

// OpenFile reads a file with a user on each line, as "htpasswd -B" writes it. The file must be good now. An error names
// the line. The caller closes the File.
func OpenFile(c FileConfig) (*File, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Comparer == nil {
		c.Comparer = Bcrypt{}
	}
	f := &File{config: c}
	f.inTable = inTable{f.current.Load}
	if c.Groups != "" {
		if err := f.follow(c.Groups, f.takeGroups); err != nil {
			return nil, fmt.Errorf("groups of users, file %s: %w", c.Groups, err)
		}
	}
	if err := f.follow(c.Path, f.take); err != nil {
		return nil, errors.Join(fmt.Errorf("users file %s: %w", c.Path, err), f.Close())
	}
	return f, nil
}

// follow hands over what a file has now, and what it has later.
func (f *File) follow(path string, take func([]byte) error) error {
	logger := f.config.Logger.With("file", path)
	follower, err := smallfile.Follow(smallfile.Watch{Path: path, Max: MaxFile}, smallfile.Use{
		Take: take,
		Trouble: func(err error) {
			if err != nil {
				logger.Warn("the users file cannot be read again, and the users stay as they were", "error", err)
			} else {
				logger.Info("the users file can be read again")
			}
		},
	})
	if err == nil {
		f.files = append(f.files, follower)
	}
	return err
}

// Len returns how many users there are.
func (f *File) Len() int { return len(f.current.Load().accounts) }

// Err says why a file is not used as it is; nil if all are.
func (f *File) Err() (err error) {
	for _, file := range f.files {
		err = errors.Join(err, file.Err())
	}
	return err
}

// Close ends the watch of the files. The users stay as they are.
func (f *File) Close() error {
	for _, file := range f.files {
		file.Close()
	}
	return nil
}

// take makes the content the current users.
func (f *File) take(data []byte) error {
	t, err := parse(data, f.config.Comparer)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users != nil {
		f.config.Logger.Info("the users in the file have changed", "file", f.config.Path, "users", len(t.accounts),
			"before", len(f.users.accounts))
	}
	f.users = t
	f.compose()
	return nil
}

// takeGroups makes the content the current groups.
func (f *File) takeGroups(data []byte) error {
	groups, err := parseGroups(data)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups = groups
	if f.users != nil {
		f.config.Logger.Info("the groups of the users have changed", "file", f.config.Groups)
		f.compose()
	}
	return nil
}

// compose gives the users their groups. Nobody sees users of one moment with groups of another for long: a change of
// both files is two changes.
func (f *File) compose() {
	t := *f.users
	t.accounts = make(map[string]account, len(f.users.accounts))
	for name, a := range f.users.accounts {
		a.roles = f.groups[name]
		t.accounts[name] = a
	}
	f.current.Store(&t)
}

// CheckFile checks the content of such a file. An error names the line.
func CheckFile(content []byte) error {
	_, err := parse(content, Bcrypt{})
	return err
}
