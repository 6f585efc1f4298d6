package tokentest

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// Target is a verifier under attack: all that an attacker knows of it, and the key that only its issuer has. It allows
// no leeway and tokens of up to a megabyte.
type Target struct {
	Key      *Key          // the only key that the verifier has; it has an id
	Stranger *Key          // another key for the same algorithm, under an id of its own
	Issuer   string        // a URL
	Audience string        // a URL
	Now      time.Time     // good tokens are valid for hours from here
	Subject  string        // of good tokens; empty for none
	Life     time.Duration // of good tokens, from Now on; 0 for four hours
	Trap     string        // the URL of a server that nobody may visit
}

// What else can be wrong with a hostile token, beside what AlgorithmAttacks are about.
const (
	Critical      Flaw = iota + KeyAlgorithm + 1 // crit names what no verifier here knows (RFC 7515 section 4.1.11)
	Nested                                       // the payload is said to be a token again (RFC 7519 section 5.2)
	Encrypted                                    // parameters of a JWE in a JWS (RFC 7516 section 9)
	OtherType                                    // typ is not that of an access token (RFC 8725 section 3.11)
	OtherKind                                    // a word or claim is of another kind of token (RFC 8725 section 3.12)
	UnknownKey                                   // the issuer has no key with this id, and another key has signed
	Forged                                       // another key has signed in the name of the issuer's key
	OtherIssuer                                  // iss is missing or somebody else (RFC 7519 section 4.1.1)
	OtherAudience                                // aud is missing or names others (RFC 7519 section 4.1.3)
	Expired                                      // exp has been reached (RFC 7519 section 4.1.4)
	NotYetValid                                  // nbf or iat lies ahead (RFC 7519 sections 4.1.5 and 4.1.6)
	NoExpiry                                     // exp is missing
	Bound                                        // cnf binds the token to a key (RFC 7800)
)

// Good is a token that the verifier accepts.
func (t *Target) Good() string { return t.Key.SignRaw(t.header(), t.payload()) }

// header is a good header, with more members as a text.
func (t *Target) header(more ...string) string {
	return `{` + strings.Join(append([]string{t.names()}, more...), ",") + `}`
}

// names are the members of a good header.
func (t *Target) names() string { return `"alg":"` + t.Key.Alg + `","kid":` + strconv.Quote(t.Key.KID) }

// payload is a claims set that is accepted, with more members before the good ones.
func (t *Target) payload(more ...string) string {
	return `{` + strings.Join(append(append(more, t.subject()...), t.claim("iss"), t.claim("aud"), t.claim("exp")), ",") +
		`}`
}

// instead is a claims set that is accepted but for one claim: a member, or nothing, stands in its place.
func (t *Target) instead(of, member string) string {
	members := t.subject()
	for _, name := range []string{"iss", "aud", "exp"} {
		if name != of {
			members = append(members, t.claim(name))
		}
	}
	if member != "" {
		members = append(members, member)
	}
	return `{` + strings.Join(members, ",") + `}`
}

// subject is the claim sub, if there is one.
func (t *Target) subject() []string {
	if t.Subject == "" {
		return nil
	}
	return []string{`"sub":` + strconv.Quote(t.Subject)}
}

// claim is one of the claims that every good token here has.
func (t *Target) claim(name string) string {
	switch name {
	case "iss":
		return `"iss":` + strconv.Quote(t.Issuer)
	case "aud":
		return `"aud":` + strconv.Quote(t.Audience)
	default:
		return `"exp":` + strconv.FormatInt(t.Now.Add(cmp.Or(t.Life, 4*time.Hour)).Unix(), 10)
	}
}

// members are n members of an object with different names.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"m` + strconv.Itoa(i) + `":1`)
	}
	return b.String()
}
