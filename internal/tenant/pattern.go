// Package tenant says which issuers are tenants of one server. Such issuers differ in one segment of their path, as in
// "https://login.example/<tenant>/v2.0".
//
// The issuer is what decides whose keys verify a token (RFC 8725 section 3.8), so a pattern admits as little as it can:
// one segment of a small alphabet. Everything else of the issuer is compared byte for byte, and nothing is decoded.
package tenant

import (
	"errors"
	"fmt"
	"strings"
)

// Longest is the greatest length of a tenant's name, in bytes. An identifier such as a UUID needs 36.
const Longest = 64

// star stands for the tenant in a pattern.
const star = "*"

// placeholder stands for the tenant in documents that are common to all tenants, such as those of Entra ID.
const placeholder = "{tenantid}"

// Pattern is the form of the issuers of all tenants of one server. The zero value matches no issuer.
type Pattern struct{ text, prefix, suffix string }

// Is reports whether the path of a URL has a segment "*", so that it can only be meant as a pattern. It may be a bad
// one.
func Is(text string) bool {
	_, rest, _ := strings.Cut(text, "://")
	_, path, _ := strings.Cut(rest, "/")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == star {
			return true
		}
	}
	return false
}

// Parse reads a pattern: an https or http URL in which exactly one whole segment of the path is "*". It judges the
// form only. Whether plain http may be used is for the caller to decide.
func Parse(text string) (Pattern, error) {
	rest, secure := strings.CutPrefix(text, "https://")
	if !secure {
		var plain bool
		if rest, plain = strings.CutPrefix(text, "http://"); !plain {
			return Pattern{}, errors.New(`"*" needs an https URL, with the scheme in lower case`)
		}
	}
	host, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.Count(text, star) != 1:
		return Pattern{}, errors.New(`write exactly one "*": it stands for the tenant`)
	case strings.Contains(host, star):
		return Pattern{}, errors.New(`"*" cannot be in the host: whoever gets a name there would vouch for tokens`)
	case strings.ContainsAny(rest, "?#"):
		return Pattern{}, errors.New("an issuer has no query and no fragment (RFC 8414 section 2): remove it")
	case strings.Contains(host, "@"):
		return Pattern{}, errors.New("an issuer has no user name: remove what is before the \"@\"")
	case host == "" || !allIn(host, isHostByte):
		return Pattern{}, fmt.Errorf("the host %q has a character that it cannot have", host)
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if err := checkSegment(segment, i == len(segments)-1); err != nil {
			return Pattern{}, err
		}
	}
	before, after, _ := strings.Cut(text, star)
	return Pattern{text, before, after}, nil
}

// checkSegment judges one segment of a pattern's path. Only the last one may be empty: then the issuers end in a slash.
func checkSegment(segment string, last bool) error {
	switch {
	case segment == star:
		return nil
	case strings.Contains(segment, star):
		return fmt.Errorf(`"*" must be a whole segment of the path, not a part of one as in %q`, segment)
	case segment == "" && !last:
		return errors.New("the path has an empty segment: write one slash, not two")
	case segment == "." || segment == "..":
		return fmt.Errorf("the path has the segment %q, which clients resolve: write the path without it", segment)
	case !allIn(segment, isPathByte):
		return fmt.Errorf("the segment %q of the path has a character that it cannot have: "+
			"write letters, digits and -._~!$&'()+,;=:@ as they are", segment)
	}
	return nil
}

// String is the pattern as it was written. It is empty for nil. It does not allocate.
func (p *Pattern) String() string {
	if p == nil {
		return ""
	}
	return p.text
}

// Issuer is the issuer of a tenant.
func (p *Pattern) Issuer(tenant string) string { return p.prefix + tenant + p.suffix }

// Template is the issuer in documents that are common to all tenants.
func (p *Pattern) Template() string { return p.Issuer(placeholder) }

// Tenant returns the tenant whose issuer this is. It does not allocate. A nil pattern matches nothing.
func (p *Pattern) Tenant(issuer string) (tenant string, ok bool) {
	if p == nil || p.prefix == "" || len(issuer) <= len(p.prefix)+len(p.suffix) ||
		!strings.HasPrefix(issuer, p.prefix) || !strings.HasSuffix(issuer, p.suffix) {
		return "", false
	}
	tenant = issuer[len(p.prefix) : len(issuer)-len(p.suffix)]
	return tenant, Valid(tenant)
}

// Overlaps reports whether an issuer can match both patterns.
func (p *Pattern) Overlaps(q *Pattern) bool {
	a, b := strings.Split(p.String(), "/"), strings.Split(q.String(), "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		switch {
		case a[i] == b[i]:
		case a[i] == star && Valid(b[i]), b[i] == star && Valid(a[i]):
		default:
			return false
		}
	}
	return true
}

// Valid reports whether a text can be the name of a tenant: 1 to 64 of the characters A-Z, a-z, 0-9, ".", "_" and "-",
// and not a segment that clients resolve (RFC 3986 section 5.2.4). So it has no "%", and nothing that is written in two
// ways.
func Valid(name string) bool {
	return name != "" && len(name) <= Longest && name != "." && name != ".." && allIn(name, isTenantByte)
}

func allIn(text string, is func(byte) bool) bool {
	for i := range len(text) {
		if !is(text[i]) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isTenantByte(c byte) bool { return isAlphanumeric(c) || c == '.' || c == '_' || c == '-' }

// isHostByte allows names, addresses with their brackets, and a port.
func isHostByte(c byte) bool { return isTenantByte(c) || c == ':' || c == '[' || c == ']' }

// isPathByte is a pchar of RFC 3986 section 3.3 without "%" and "*".
func isPathByte(c byte) bool {
	return isTenantByte(c) || strings.IndexByte("~!$&'()+,;=:@", c) >= 0
}
