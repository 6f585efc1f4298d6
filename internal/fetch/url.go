package fetch

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyjwt/gateway/internal/special"
)

// CheckURL is PlainHTTP.CheckURL for LoopbackHTTP.
func CheckURL(raw string) (*url.URL, error) { return LoopbackHTTP.CheckURL(raw) }

// CheckURL parses an absolute URL that may be fetched: https, or http as far as p allows it. It must have a host, and
// neither a fragment nor user information, which would end up in logs. Placeholders in braces are refused: where keys
// come from must not depend on a request.
func (p PlainHTTP) CheckURL(raw string) (*url.URL, error) {
	if strings.ContainsAny(raw, "{}") {
		return nil, fmt.Errorf("%w: it has braces, and placeholders do not work here", ErrAddress)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL", ErrAddress) // the error of url.Parse quotes all of it
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%w: the scheme is %q, not https", ErrAddress, u.Scheme)
	case u.Opaque != "" || u.Hostname() == "":
		return nil, fmt.Errorf("%w: it has no host", ErrAddress)
	case strings.ContainsFunc(u.Host, notHost):
		return nil, fmt.Errorf("%w: its host has a character that neither names nor addresses can have", ErrAddress)
	case u.User != nil:
		return nil, fmt.Errorf("%w: it has user information", ErrAddress)
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%w: it has a fragment", ErrAddress)
	}
	if u.Scheme == "http" {
		if err := p.checkHost(u); err != nil {
			return nil, err
		}
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%w: port %s is out of range", ErrAddress, port)
		}
	}
	return u, nil
}

// SameOrigin reports whether two URLs have the same scheme, host and port (RFC 6454 section 5). A missing port means
// that of the scheme. What is meant for one of them may be shown to the other.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// notHost reports whether a character is never part of a name, an address with a zone, or a port. Names in other
// scripts are written in ASCII (RFC 5891 section 4.4).
func notHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~:[]%", r)
}

func isLoopbackName(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// Prefixes of IPv6 addresses that contain an IPv4 address in their last 32 bits, beside that of NAT64.
var (
	translate = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765 section 2.1
	embedded  = netip.MustParsePrefix("::/96")           // RFC 4291 section 2.5.5.1
)

// isMetadata reports whether an address is link-local (RFC 3927, RFC 4291 section 2.5.6) or similar. Metadata services
// of clouds have such addresses, and no authorization server has. An unspecified address would mean this machine.
func isMetadata(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	bytes := address.As16()
	switch kind := special.Of(address).Kind; {
	case address.Is4(), kind == special.Loopback:
	case kind == special.NAT64, translate.Contains(address), embedded.Contains(address):
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	case kind == special.LocalNAT64:
		// The IPv4 address may begin earlier: the owner chooses how long the prefix is (RFC 6052 section 2.2).
		for _, at := range [][4]int{{6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}, {12, 13, 14, 15}} {
			if offersMetadata(netip.AddrFrom4([4]byte{bytes[at[0]], bytes[at[1]], bytes[at[2]], bytes[at[3]]})) {
				return true
			}
		}
	}
	return offersMetadata(address) || address.IsMulticast() || address.IsUnspecified()
}

func offersMetadata(address netip.Addr) bool {
	kind := special.Of(address).Kind
	return kind == special.LinkLocal || kind == special.Metadata
}
