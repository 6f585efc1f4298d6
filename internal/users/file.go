package users

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

const (
	// MaxUsers is how many users a file may have.
	MaxUsers = 100_000
	// MaxFile is the greatest length of a file, in bytes.
	MaxFile = 16 << 20
)

// File has the users of an htpasswd file, and reads it again when it changes. A file that becomes bad, or disappears,
// leaves the users as they were.
type File struct {
	inTable
	config  FileConfig
	current atomic.Pointer[table]
	file    *smallfile.Follower
}

var _ Knower = (*File)(nil)

// FileConfig says which file has the users.
type FileConfig struct {
	// Path is that of the file.
	Path string
	// Roles are those of each user in the file.
	Roles []string
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
	if err := CheckRoles(c.Roles); err != nil {
		return nil, setting.Errorf("Roles", "the users of the file: %w", err)
	}
	c.Logger, c.Roles = c.Logger.With("file", c.Path), slices.Clone(c.Roles)
	f := &File{config: c}
	f.inTable = inTable{f.current.Load}
	var err error
	f.file, err = smallfile.Follow(smallfile.Watch{Path: c.Path, Max: MaxFile}, smallfile.Use{
		Take: f.take, Trouble: f.tell,
	})
	if err != nil {
		return nil, fmt.Errorf("users file %s: %w", c.Path, err)
	}
	return f, nil
}

// Len returns how many users there are.
func (f *File) Len() int { return len(f.current.Load().accounts) }

// Err says why the file is not used as it is; nil if it is.
func (f *File) Err() error { return f.file.Err() }

// Close ends the watch of the file. The users stay as they are.
func (f *File) Close() error {
	f.file.Close()
	return nil
}

// take makes the content the current users.
func (f *File) take(data []byte) error {
	t, err := parse(data, f.config.Roles, f.config.Comparer)
	if err != nil {
		return err
	}
	if old := f.current.Swap(t); old != nil {
		f.config.Logger.Info("the users in the file have changed", "users", len(t.accounts), "before", len(old.accounts))
	}
	return nil
}

func (f *File) tell(err error) {
	if err != nil {
		f.config.Logger.Warn("the users file cannot be read again, and the users stay as they were", "error", err)
	} else {
		f.config.Logger.Info("the users file can be read again")
	}
}

// CheckFile checks the content of such a file. An error names the line.
func CheckFile(content []byte) error {
	_, err := parse(content, nil, Bcrypt{})
	return err
}
