package users

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	// MinCost and MaxCost bound the cost of bcrypt. Each step doubles the time: at 16 it takes seconds, at 31 a day.
	MinCost, MaxCost = 4, 16
	// MaxBcrypt is how many bytes of a password bcrypt looks at. Longer ones are refused: with the first 72 bytes alone,
	// another password would be as good.
	MaxBcrypt = 72
)

// Comparer compares passwords with hashes. The modules of Caddy in http.authentication.hashes have these methods.
type Comparer interface {
	// Compare reports whether the hash is one of the password. An error means that the hash cannot be read.
	Compare(hashedPassword, plaintextPassword []byte) (bool, error)
	// FakeHash returns a hash for names that are unknown. It counts for algorithms that this package does not know.
	FakeHash() []byte
}

// Bcrypt compares with hashes of bcrypt.
type Bcrypt struct{}

// Compare implements Comparer.
func (Bcrypt) Compare(hashed, plaintext []byte) (bool, error) {
	err := bcrypt.CompareHashAndPassword(hashed, plaintext)
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

// FakeHash implements Comparer.
func (Bcrypt) FakeHash() []byte { return fakeBcrypt(bcrypt.DefaultCost) }

// method is how a hash was made.
type method struct {
	// name has the algorithm and all that decides how long it takes, but the cost of bcrypt. It is empty for an
	// algorithm that this package does not know.
	name string
	cost int    // of bcrypt; 0 for others
	fake []byte // the hash of nobody, as costly to compare with; nil for bcrypt and the unknown
	easy []byte // the hash of nobody, cheap to compare with; nil for the unknown
}

const withBcrypt = "bcrypt"

// methodOf checks the form of a hash. Its errors do not repeat the text, which may be a password.
func methodOf(hash string) (method, error) {
	switch {
	case strings.HasPrefix(hash, "$2"):
		cost, err := bcryptCost(hash)
		return method{name: withBcrypt, cost: cost, easy: fakeBcrypt(MinCost)}, err
	case strings.HasPrefix(hash, "$argon2"):
		return argonMethod(hash)
	case hash == "":
		return method{}, errors.New("no hash")
	case !strings.HasPrefix(hash, "$"):
		return method{}, errors.New("not a hash, which begins with $")
	}
	return method{}, nil
}

// bcryptText is the base64 of bcrypt, which has an alphabet of its own.
var bcryptText = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").
	WithPadding(base64.NoPadding)

// bcryptCost checks a hash of bcrypt in its whole form: $2b$, the cost, $, 16 bytes of salt, and 23 of digest.
func bcryptCost(hash string) (int, error) {
	const prefix, saltEnd, whole = len("$2b$12$"), len("$2b$12$") + 22, 60
	switch {
	case len(hash) != whole:
		return 0, fmt.Errorf("a bcrypt hash has %d characters, and this one %d", whole, len(hash))
	case !strings.Contains("aby", hash[2:3]), hash[3] != '$', hash[prefix-1] != '$':
		return 0, errors.New("a bcrypt hash begins like $2b$12$, with a, b or y behind the 2")
	}
	cost, err := strconv.ParseUint(hash[4:6], 10, 8)
	if err != nil || cost < MinCost || cost > MaxCost {
		return 0, fmt.Errorf("the cost of a bcrypt hash is from %02d to %02d", MinCost, MaxCost)
	}
	salt, err1 := bcryptText.DecodeString(hash[prefix:saltEnd])
	digest, err2 := bcryptText.Strict().DecodeString(hash[saltEnd:]) // spare bits that are set can never match
	if err1 != nil || err2 != nil || len(salt) != 16 || len(digest) != 23 {
		return 0, errors.New("a character of the bcrypt hash is wrong")
	}
	return int(cost), nil
}

// fakeBcrypt is a hash of nobody. Whether it matches a password counts nowhere.
func fakeBcrypt(cost int) []byte {
	return fmt.Appendf(nil, "$2a$%02d$%s", cost, "X3ulqf/iGxnf1k6oMZ.RZeJUoqI9PX2PM4rS5lkIKJXduLGXGPrt6")
}

const (
	maxArgonMemory  = 128 << 10 // KiB, as many times as there are hashes under way
	maxArgonPasses  = 16
	maxArgonThreads = 16
)

// argonMethod checks a hash of argon2id (RFC 9106) in the form of the reference implementation.
func argonMethod(hash string) (method, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return method{}, errors.New("an argon2 hash begins like $argon2id$v=19$m=47104,t=1,p=1$")
	}
	memory, passes, threads, ok := argonParameters(parts[3])
	// RFC 9106 section 3.1: at least 8 KiB for each thread.
	if !ok || memory < 8*threads || memory > maxArgonMemory || passes > maxArgonPasses || threads > maxArgonThreads {
		return method{}, fmt.Errorf("an argon2id hash has m from 8 times p to %d, t from 1 to %d, and p from 1 to %d",
			maxArgonMemory, maxArgonPasses, maxArgonThreads)
	}
	text := base64.RawStdEncoding.Strict()
	salt, err1 := text.DecodeString(parts[4])
	digest, err2 := text.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(digest) < 16 || len(digest) > 64 {
		return method{}, errors.New("an argon2id hash has a salt of 8 to 64 bytes, and 16 to 64 bytes of digest")
	}
	return method{
		name: "argon2id with " + parts[3],
		fake: fakeArgon(parts[3]),
		easy: fakeArgon("m=8,t=1,p=1"),
	}, nil
}

// argonParameters reads "m=47104,t=1,p=1". All are above 0, and without leading zeros, so that there is one spelling.
func argonParameters(text string) (memory, passes, threads uint64, ok bool) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return 0, 0, 0, false
	}
	var values [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, found := strings.CutPrefix(parts[i], name)
		value, err := strconv.ParseUint(digits, 10, 32)
		if !found || err != nil || value == 0 || strconv.FormatUint(value, 10) != digits {
			return 0, 0, 0, false
		}
		values[i] = value
	}
	return values[0], values[1], values[2], true
}

func fakeArgon(parameters string) []byte {
	return fmt.Appendf(nil, "$argon2id$v=19$%s$%s", parameters,
		"P2nzckEdTZ3bxCiBCkRTyA$xQL3Z32eo5jKl7u5tcIsnEKObYiyNZQQf5/4sAau6Pg")
}
