// Package users has the directories of those who may sign in at a token issuer: users in the configuration, users in an
// htpasswd file, and several directories as one.
//
// A directory refuses by default. Whoever does not know a password cannot find out which names there are: an unknown
// name costs as much as a wrong password. How often somebody may try is up to package attempts.
package users

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/causes"
)

const (
	// MaxName is the greatest length of a name, in bytes.
	MaxName = 256
	// MaxPassword is the greatest length of a password, in bytes. A directory may have a lower bound: see MaxBcrypt.
	MaxPassword = 1024
)

var (
	// ErrRefused means that there is no such user, or that the password is another one. Nothing tells the two apart.
	ErrRefused = errors.New("no such user, or another password")
	// ErrUnavailable means that a directory cannot know now whether a user may sign in. Nobody does then.
	ErrUnavailable = errors.New("the users are not available")
	// ErrCannotKnow means that a directory never finds a user without a password.
	ErrCannotKnow = errors.New("the users cannot be looked up without a password")
)

// User is somebody who may sign in.
type User struct {
	// Name is unique in a directory, and in a Joint. A directory that does not compare names exactly puts its own
	// spelling here.
	Name string
	// Roles are those that the directory gives the user. The receiver may change the list.
	Roles []string
	// Claims is what else the directory says about the user: a JSON object as Claims returns it, or nil.
	Claims json.RawMessage
	// Mark changes with the password, or with the person behind the name, as far as the directory can see that. It reveals
	// neither. Whoever calls Find compares it with the one of the sign-in. It is empty if Find is always ErrCannotKnow.
	Mark string
	// Directory is the name of the Member of a Joint that has the user. It is empty without a Joint. Whoever calls Find
	// compares it with the one of the sign-in: the same name in another directory may be another person.
	Directory string
}

// Directory knows who may sign in. It is safe for concurrent use. In all its errors, names are cut and quoted. None has
// a password.
type Directory interface {
	// Check returns the user with this name and password. ErrRefused: no such user, or another password; nothing tells
	// the two apart, time included. ErrUnavailable: it cannot be known now.
	Check(ctx context.Context, name, password string) (*User, error)
	// Find returns the user without a password, so that a session can go on. ErrRefused: there is no such user any more.
	// ErrUnavailable: it cannot be known now. ErrCannotKnow: this directory never knows. A Joint returns a user with
	// that, too, which has only the name, the Directory that would know, and its part of the Mark.
	Find(ctx context.Context, name string) (*User, error)
}

// Knower is a Directory that knows its names before it judges a password.
type Knower interface {
	Directory
	// Knows reports whether there is a user with this name. An error means that it cannot be known now.
	Knows(ctx context.Context, name string) (bool, error)
}

// Acceptable returns an ErrRefused for what no directory needs to look at. It depends only on what the client has
// sent. So it reveals nothing, and needs to cost nothing.
func Acceptable(name, password string) error {
	if err := acceptableName(name); err != nil {
		return err
	}
	switch {
	case password == "":
		return fmt.Errorf("%w: no password", ErrRefused)
	case len(password) > MaxPassword:
		return fmt.Errorf("%w: the password has more than %d bytes", ErrRefused, MaxPassword)
	case strings.IndexByte(password, 0) >= 0:
		// To bcrypt, "a", "a\x00a" and "a\x00a\x00a" are one password.
		return fmt.Errorf("%w: a NUL byte in the password", ErrRefused)
	}
	return nil
}

func acceptableName(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// checkName says what is wrong with a name. Names are compared byte by byte: to normalize them, as RFC 8265 section
// 3.4 does, would make one user of two that other programs tell apart. A client that sends another form is refused.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("no name")
	case len(name) > MaxName:
		return fmt.Errorf("the name %s has more than %d bytes", causes.Quote(name), MaxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %s is not UTF-8", causes.Quote(name))
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("a control character in the name %s", causes.Quote(name))
	}
	return nil
}

// found is the user of an account. Its hash has a salt, or is a text that nobody could guess, so the mark is good for
// nothing but comparing.
func found(name string, a *account) *User {
	return &User{Name: name, Roles: slices.Clone(a.roles), Mark: MarkOf(a.hash)}
}

// MarkOf makes a Mark of a text.
func MarkOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
