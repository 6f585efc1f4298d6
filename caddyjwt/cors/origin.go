package cors

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// everyOrigin stands for every origin, if it is the only one.
const everyOrigin = "*"

// checkOrigin accepts an origin as browsers write it (RFC 6454 section 6.2): a scheme, a host, and a port unless it is
// the scheme's own. Any other spelling would never match, so the error has the right one.
func checkOrigin(text string) error {
	switch {
	case text == "null":
		// Fetch standard, "serializing a request origin".
		return errors.New("browsers send it for sandboxed frames and for local files, whoever made them: " +
			"it would let every page in; serve the page from a host of its own, and name that")
	case strings.Contains(text, "*"):
		return errors.New("origins are compared byte for byte, so \"*\" is not a wildcard: name each origin " +
			"(below many domains, anybody can get a name)")
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return fmt.Errorf("an origin begins with a scheme: write \"https://%s\"", text)
	}
	authority, _, _ := cutAny(rest, "/?#")
	if strings.Contains(authority, "@") {
		return errors.New("an origin has no user and no password")
	}
	scheme = strings.ToLower(scheme)
	if !isScheme(scheme) {
		return fmt.Errorf("%q is not a scheme", scheme)
	}
	host, port, err := splitPort(authority)
	if err == nil {
		host, err = canonicalHost(host)
	}
	if err != nil {
		return err
	}
	if port == defaultPorts[scheme] {
		port = ""
	}
	canonical := scheme + "://" + host
	if port != "" {
		canonical += ":" + port
	}
	if canonical != text {
		return fmt.Errorf("browsers write this origin %q: write it so", canonical)
	}
	return nil
}

// defaultPorts are those that an origin leaves out.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

func isScheme(text string) bool {
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return text != ""
}

// splitPort is net.SplitHostPort for an authority whose port may be missing. The port is without leading zeros.
func splitPort(authority string) (host, port string, err error) {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.HasSuffix(authority, "]") {
		return authority, "", nil
	}
	host, port = authority[:colon], authority[colon+1:]
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", "", fmt.Errorf("%q is not a port", port)
	}
	return host, strconv.FormatUint(n, 10), nil
}

// canonicalHost is the host as browsers write it (URL standard, "host serializing").
func canonicalHost(host string) (string, error) {
	if inner, bracketed := strings.CutPrefix(host, "["); bracketed {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !address.Is6() || address.Zone() != "" || !strings.HasSuffix(host, "]") {
			return "", fmt.Errorf("%q is not an IPv6 address", host)
		}
		return "[" + address.String() + "]", nil
	}
	host = strings.ToLower(host)
	if strings.ContainsFunc(host, func(c rune) bool { return c >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", fmt.Errorf("%q is not the name of a host", host)
		}
		host = ascii
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", fmt.Errorf("%q is not the name of a host", host)
		}
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if _, err := netip.ParseAddr(host); err != nil && last != "" && strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("%q is not an IPv4 address of four decimal numbers", host)
	}
	return host, nil
}

// cutAny is strings.Cut at the first of several characters.
func cutAny(text, chars string) (before, after string, found bool) {
	if i := strings.IndexAny(text, chars); i >= 0 {
		return text[:i], text[i:], true
	}
	return text, "", false
}
