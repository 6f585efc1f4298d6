package proof

import (
	"errors"
	"net/netip"
	"strings"
)

// This file compares URIs after the normalisation of RFC 3986 sections 6.2.2 and 6.2.3, as RFC 9449 section 4.3 asks
// for. Each side is brought into its normal form. Forms that are not made equal there stay different, such as "/a" and
// "/a/", "%2F" and "/", or "//" and "/".

// maxPort is how many digits a port may have.
const maxPort = 5

var (
	errNotAbsolute = errors.New("is not an absolute URI of http or https")
	errUserInfo    = errors.New("has user information")
	errHost        = errors.New("has no host that a URI can have")
	errPort        = errors.New("has no port that a URI can have")
	errPath        = errors.New("has a path with a byte that a URI cannot have")
	errIgnored     = errors.New("has a query or a fragment with a byte that a URI cannot have")
	errTarget      = errors.New("has a target that is neither a path of its host nor *")
)

// What a byte can be in a URI (RFC 3986 appendix A).
const (
	isUnreserved = 1 << iota // means the same whether encoded or not
	isInHost                 // may be in a registered name as it is
	isInPath                 // may be in a path as it is
)

// classes has the bytes of each kind. A path may have brackets. RFC 3986 would have them encoded, but browsers leave
// them as they are, and they mean nothing there.
var classes = func() (table [256]byte) {
	for c := range table {
		b := byte(c)
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', strings.IndexByte("-._~", b) >= 0:
			table[c] = isUnreserved | isInHost | isInPath
		case strings.IndexByte("!$&'()*+,;=", b) >= 0:
			table[c] = isInHost | isInPath
		case strings.IndexByte(":@/[]", b) >= 0:
			table[c] = isInPath
		}
	}
	return table
}()

// appendURI appends the normal form of an absolute URI without its query and fragment.
func appendURI(dst []byte, uri string) ([]byte, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return nil, errNotAbsolute
	}
	end := strings.IndexAny(rest, "?#")
	if end < 0 {
		end = len(rest)
	}
	if strings.ContainsFunc(rest[end:], func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errIgnored
	}
	rest = rest[:end]
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		slash = len(rest)
	}
	return appendParts(dst, scheme, rest[:slash], rest[slash:])
}

// appendRequest appends the normal form of the URI of a request without its query. The target "*" stands for an empty
// path (RFC 9112 section 3.3). A target in absolute form must not contradict the host. The bare authority of CONNECT is
// refused.
func appendRequest(dst []byte, scheme, host, target string) ([]byte, error) {
	path, _, _ := strings.Cut(target, "?")
	switch _, absolute, is := strings.Cut(path, "://"); {
	case target == "*":
		path = ""
	case is && !strings.HasPrefix(path, "/"):
		if len(absolute) < len(host) || !strings.EqualFold(absolute[:len(host)], host) {
			return nil, errTarget
		}
		if path = absolute[len(host):]; path != "" && path[0] != '/' {
			return nil, errTarget
		}
	case !strings.HasPrefix(path, "/"):
		return nil, errTarget
	}
	return appendParts(dst, scheme, host, path)
}

// appendParts appends the normal form of a URI in parts.
func appendParts(dst []byte, scheme, authority, path string) ([]byte, error) {
	start := len(dst)
	var port string
	dst = appendLower(dst, scheme)
	switch string(dst[start:]) {
	case "https":
		port = "443"
	case "http":
		port = "80"
	default:
		return nil, errNotAbsolute
	}
	dst, err := appendAuthority(append(dst, "://"...), authority, port)
	if err != nil {
		return nil, err
	}
	return appendPath(dst, path)
}

// appendAuthority appends a host in lower case, and its port unless that is the default or empty (RFC 3986 sections
// 6.2.2.1 and 6.2.3). A user name or password is refused: http has no meaning for it (RFC 9110 section 4.2.4).
func appendAuthority(dst []byte, authority, defaultPort string) ([]byte, error) {
	if strings.IndexByte(authority, '@') >= 0 {
		return nil, errUserInfo
	}
	host, port := authority, ""
	if colon := strings.LastIndexByte(authority, ':'); colon > strings.LastIndexByte(authority, ']') {
		host, port = authority[:colon], authority[colon+1:]
	}
	var ok bool
	if strings.HasPrefix(host, "[") {
		dst, ok = appendAddress(dst, host)
	} else {
		dst, ok = appendName(dst, host)
	}
	if !ok {
		return nil, errHost
	}
	if len(port) > maxPort || strings.Trim(port, "0123456789") != "" {
		return nil, errPort
	}
	if port != "" && port != defaultPort {
		dst = append(append(dst, ':'), port...)
	}
	return dst, nil
}

// appendAddress appends an address of IPv6 in brackets (RFC 3986 section 3.2.2). Zones are refused: they mean something
// only on the machine of the client (RFC 6874).
func appendAddress(dst []byte, host string) ([]byte, bool) {
	text, closed := strings.CutSuffix(host[1:], "]")
	address, err := netip.ParseAddr(text)
	if !closed || err != nil || !address.Is6() || address.Zone() != "" {
		return nil, false
	}
	return appendLower(dst, host), true
}

// appendName appends a registered name, which also an address of IPv4 is. Names in other alphabets must come in their
// form in ASCII, since only that is in a request. An encoded byte that must stay encoded is in no name that can be
// looked up.
func appendName(dst []byte, host string) ([]byte, bool) {
	for i := 0; i < len(host); i++ {
		c := host[i]
		if c == '%' {
			var ok bool
			if c, ok = unhex(host[i:]); !ok || classes[c]&isUnreserved == 0 {
				return nil, false
			}
			i += 2
		}
		if classes[c]&isInHost == 0 {
			return nil, false
		}
		dst = append(dst, lower(c))
	}
	return dst, host != ""
}

// appendPath appends a path. Unreserved characters are decoded, other encodings written with capital letters, and dot
// segments removed (RFC 3986 section 6.2.2). An empty path becomes "/" (section 6.2.3).
func appendPath(dst []byte, path string) ([]byte, error) {
	start := len(dst)
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
		case classes[c]&isInPath != 0:
			dst = append(dst, c)
			continue
		case c == '|': // like brackets, but net/url and others encode these two
			dst = append(dst, "%7C"...)
			continue
		case c == '^':
			dst = append(dst, "%5E"...)
			continue
		default:
			return nil, errPath
		}
		c, ok := unhex(path[i:])
		switch {
		case !ok:
			return nil, errPath
		case classes[c]&isUnreserved != 0:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upper(path[i+1]), upper(path[i+2]))
		}
		i += 2
	}
	if len(dst) == start {
		return append(dst, '/'), nil
	}
	return dst[:start+removeDots(dst[start:])], nil
}

// removeDots removes the segments "." and ".." from a path that begins with a slash (RFC 3986 section 5.2.4). It works
// in place, and returns how many bytes are left. What it writes never overtakes what it reads.
func removeDots(path []byte) (n int) {
	for from := 0; from < len(path); {
		end := from + 1
		for end < len(path) && path[end] != '/' {
			end++
		}
		last := end == len(path)
		switch string(path[from:end]) {
		case "/.":
		case "/..":
			for n > 0 {
				if n--; path[n] == '/' {
					break
				}
			}
		default:
			n += copy(path[n:], path[from:end])
			last = false
		}
		if last { // the dots were a folder, so the path ends with a slash
			path[n] = '/'
			n++
		}
		from = end
	}
	return n
}

// withoutQuery cuts a URI or a target before its query and fragment.
func withoutQuery(uri string) string {
	if end := strings.IndexAny(uri, "?#"); end >= 0 {
		return uri[:end]
	}
	return uri
}

// unhex decodes the percent-encoded byte at the beginning of a text.
func unhex(text string) (c byte, ok bool) {
	if len(text) < 3 {
		return 0, false
	}
	high, isHigh := hexDigit(text[1])
	low, isLow := hexDigit(text[2])
	return high<<4 | low, isHigh && isLow
}

func hexDigit(c byte) (digit byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// appendLower changes only letters of ASCII. By the rules of Unicode, other characters are equal to them, too.
func appendLower(dst []byte, text string) []byte {
	for i := range len(text) {
		dst = append(dst, lower(text[i]))
	}
	return dst
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
