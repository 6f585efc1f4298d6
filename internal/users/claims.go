package users

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

const (
	// MaxRoles is how many roles a user may have.
	MaxRoles = 64
	// MaxRole is the greatest length of a role, in bytes.
	MaxRole = 256
	// MaxAllRoles is the greatest length of all roles of a user together, in bytes. A token has them all, and gates take
	// tokens of 16 KiB.
	MaxAllRoles = 4 << 10
	// MaxClaims is the greatest length of the claims of a user, in bytes and without white space.
	MaxClaims = 4 << 10

	maxClaimName  = 128
	maxClaimDepth = 8
)

// own are the claims that an issuer sets itself, or that say how somebody has signed in. No directory may set them.
var own = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", // RFC 7519 section 4.1
	"client_id", "scope", "act", "may_act", // RFC 8693 section 4
	"auth_time", "acr", "amr", "authorization_details", // RFC 9068 section 2.2.1, RFC 9396 section 9
	"cnf",    // RFC 7800 section 3.1
	"sub_id", // RFC 9493 section 4.1
	"events", // RFC 8417 section 2.2
	"azp", "nonce", "sid", "typ", "app", "group", "roles",
}

// CheckClaim says why a directory may not set a claim with this name; nil if it may. Upper and lower case do not count:
// some readers of a token take "Sub" for "sub".
func CheckClaim(name string) error {
	switch {
	case name == "":
		return errors.New("a claim without a name")
	case len(name) > maxClaimName:
		return fmt.Errorf("the name %s of a claim has more than %d bytes", causes.Quote(name), maxClaimName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name %s of a claim is not UTF-8 without control characters", causes.Quote(name))
	}
	for _, reserved := range own {
		if strings.EqualFold(name, reserved) {
			return fmt.Errorf("the issuer sets the claim %s itself: use another name", causes.Quote(name))
		}
	}
	return nil
}

// CheckRoles says what is wrong with the roles of a user; nil if nothing is.
func CheckRoles(roles []string) error {
	if len(roles) > MaxRoles {
		return fmt.Errorf("%d roles, and %d are possible", len(roles), MaxRoles)
	}
	sum := 0
	for _, role := range roles {
		sum += len(role)
		switch {
		case role == "":
			return errors.New("a role without a name")
		case len(role) > MaxRole:
			return fmt.Errorf("the role %s has more than %d bytes", causes.Quote(role), MaxRole)
		case !utf8.ValidString(role) || strings.ContainsFunc(role, unicode.IsControl):
			return fmt.Errorf("the role %s is not UTF-8 without control characters", causes.Quote(role))
		}
	}
	if sum > MaxAllRoles {
		return fmt.Errorf("roles of %d bytes together, and %d are possible: give fewer, or shorter names", sum, MaxAllRoles)
	}
	return nil
}

// Claims checks what a directory says about a user, and returns it without white space. It must be a JSON object, with
// names that CheckClaim allows. An empty one, and an empty text, become nil. The error repeats no value.
func Claims(text []byte) (json.RawMessage, error) {
	if len(text) == 0 {
		return nil, nil
	}
	members, err := strictjson.ParseMembers(text, strictjson.Limits{Depth: maxClaimDepth})
	if err != nil {
		return nil, fmt.Errorf("the claims cannot be read: %w", err)
	}
	for _, m := range members {
		name, _ := m.Name.Str()
		if err := CheckClaim(name); err != nil {
			return nil, err
		}
	}
	if len(members) == 0 {
		return nil, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, fmt.Errorf("the claims cannot be read: %w", err)
	}
	if compact.Len() > MaxClaims {
		return nil, fmt.Errorf("the claims have %d bytes, and %d are possible", compact.Len(), MaxClaims)
	}
	return compact.Bytes(), nil
}

// CheckUser says what is wrong with a user that a directory has found; nil if nothing is.
func CheckUser(u *User) error {
	if err := checkName(u.Name); err != nil {
		return err
	}
	if err := CheckRoles(u.Roles); err != nil {
		return fmt.Errorf("the user %s: %w", causes.Quote(u.Name), err)
	}
	if _, err := Claims(u.Claims); err != nil {
		return fmt.Errorf("the user %s: %w", causes.Quote(u.Name), err)
	}
	return nil
}
