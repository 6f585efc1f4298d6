// Package resource shows clients the way in (RFC 9728): which identifiers a protected resource can have, at which
// address its metadata is, and what the metadata says. Who knows that address learns where to get a token.
//
// Everything here follows from the configuration. Nothing comes from a request.
package resource

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyjwt/gateway/internal/publicpath"
)

// WellKnown is the path of the metadata of a resource without a path (RFC 9728 section 3). The path of any other
// resource follows it.
const WellKnown = "/.well-known/oauth-protected-resource"

// MaxLength bounds an identifier in bytes: it is in every challenge, and a header line must stay short.
const MaxLength = 1024

// Identifier is the resource identifier of a protected resource (RFC 9728 section 1.2). Parse makes it. The zero value
// is not one.
type Identifier struct{ origin, path string }

// String is the identifier as it was written.
func (i Identifier) String() string { return i.origin + i.path }

// Origin is the scheme and the host, with its port if the identifier has one.
func (i Identifier) Origin() string { return i.origin }

// Path is what follows the host.
func (i Identifier) Path() string { return i.path }

// MetadataPath is the path at which the metadata is served. A slash directly after the host is not part of it (RFC 9728
// section 3.1), so a resource with that slash and one without have the same path.
func (i Identifier) MetadataPath() string {
	if i.path == "/" {
		return WellKnown
	}
	return WellKnown + i.path
}

// MetadataURL is the address of the metadata.
func (i Identifier) MetadataURL() string { return i.origin + i.MetadataPath() }

// Host is the host, with its port if the identifier has one.
func (i Identifier) Host() string {
	_, host, _ := strings.Cut(i.origin, "://")
	return host
}

// Parse reads an identifier. Clients compare identifiers character by character (RFC 9728 sections 3.3 and 6). So there
// is one spelling for each: that which a client's URL library would give it. Any other is an error that says how to
// write it. An empty path is an exception: clients differ about the slash that could follow.
func Parse(text string) (Identifier, error) {
	id, err := parse(text)
	if err != nil {
		return Identifier{}, err
	}
	if better := id.String(); better != text {
		return Identifier{}, fmt.Errorf("clients compare it character by character, and would spell it %q: write that",
			better)
	}
	return id, nil
}

// parse reads an identifier and gives it its usual spelling.
func parse(text string) (Identifier, error) {
	if len(text) > MaxLength {
		return Identifier{}, fmt.Errorf("it is longer than %d characters", MaxLength)
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return Identifier{}, errors.New("it has a blank, a control character or a character that is not ASCII: " +
				"write names of hosts in other scripts in ASCII (xn--…)")
		}
	}
	if strings.Contains(text, "#") {
		return Identifier{}, errors.New("it has a fragment, which no client sends: leave out \"#\" and what follows")
	}
	if strings.Contains(text, "?") {
		return Identifier{}, errors.New("it has a query, which the address of the metadata could not show: name the " +
			"resource by its path alone (RFC 9728 section 1.2)")
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Opaque != "" || u.Host == "" {
		return Identifier{}, errors.New("it is not an absolute URL: write it as clients do, such as " +
			"https://mcp.example.com/mcp")
	}
	if u.User != nil {
		return Identifier{}, errors.New("it has user information: leave out what stands before the \"@\"")
	}
	host, err := hostOf(u)
	if err != nil {
		return Identifier{}, err
	}
	path := u.EscapedPath()
	if path != "" && path != "/" && !isPath(path) {
		return Identifier{}, fmt.Errorf("its path %q can be read in several ways: a path consists of letters, digits and "+
			"-._~@ with single slashes between them; no part of it ends in a dot", path)
	}
	return Identifier{origin: u.Scheme + "://" + host, path: path}, nil
}

// isPath reports whether a path has one spelling only. Such a path means the same to this server, to proxies before it
// and to the client.
func isPath(path string) bool { return publicpath.Plain(path) }

// hostOf is the host in its usual spelling, with the port unless it is that of the scheme (RFC 3986 section 6.2).
func hostOf(u *url.URL) (string, error) {
	name, err := hostname(u.Hostname())
	if err != nil {
		return "", err
	}
	standard := "443"
	switch u.Scheme {
	case "https":
	case "http":
		if standard = "80"; !isLoopback(name) {
			return "", fmt.Errorf("http is for trying out on this machine only (localhost, 127.0.0.0/8, [::1]): "+
				"use https for %s (RFC 9728 section 1.2)", name)
		}
	default:
		return "", fmt.Errorf("its scheme is %q: use https", u.Scheme)
	}
	port := u.Port()
	if port == "" || port == standard {
		return name, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("port %s is not between 1 and 65535", port)
	}
	if port = strconv.FormatUint(n, 10); port == standard {
		return name, nil
	}
	return name + ":" + port, nil
}

// hostname checks the name or address of a host, and gives it its usual spelling.
func hostname(text string) (string, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		if address.Is4() {
			return address.String(), nil
		}
		return "[" + address.String() + "]", nil
	}
	name := strings.ToLower(text)
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("its host %q is neither a name nor an address: labels of letters, digits and hyphens, "+
				"with single dots between them", text)
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; '0' <= last[0] && last[0] <= '9' {
		return "", fmt.Errorf("its host %q looks like an address, and is not one: write four decimal numbers", text)
	}
	return name, nil
}

// isLabel reports whether a text is one label of a host's name (RFC 1123 section 2.1).
func isLabel(label string) bool {
	for i := range len(label) {
		if c := label[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}
