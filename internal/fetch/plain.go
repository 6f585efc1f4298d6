package fetch

import (
	"fmt"
	"net/netip"
	"net/url"

	"github.com/caddyjwt/gateway/internal/special"
)

// PlainHTTP says how far requests without TLS may go. Whoever is on their way can read the secrets and tokens in them,
// and can replace keys and verdicts.
type PlainHTTP uint8

const (
	// LoopbackHTTP lets them go to this machine only: to localhost, 127.0.0.0/8 and [::1].
	LoopbackHTTP PlainHTTP = iota

	// PrivateHTTP lets them also go to private addresses (RFC 1918) and unique local ones (RFC 4193). A name may lead
	// there: the address that is dialled counts.
	PrivateHTTP

	// SharedHTTP lets them also go to 100.64.0.0/10 (RFC 6598). Some clusters and overlay networks use these addresses.
	// But where a provider has put its customers behind one address, they lead to machines of strangers.
	SharedHTTP
)

// allow refuses an address that plain http must not go to. Of all addresses with a special purpose, only those of the
// kinds named here are allowed, and no others. An address that hides another one in itself is refused, wherever a
// translator on the way would take it: IPv4-mapped ones, and those of NAT64 (RFC 6052). So is one with a zone.
func (p PlainHTTP) allow(address netip.Addr) error {
	block := special.Of(address.Unmap())
	isPlainly := func(k special.Kind) bool { return block.Kind == k && !address.Is4In6() && address.Zone() == "" }
	switch {
	case block.Kind == special.Loopback:
		return nil
	case p == LoopbackHTTP:
		return fmt.Errorf("%w: http to %s, which is not this machine", ErrAddress, address)
	case isMetadata(address):
		return fmt.Errorf("%w: %s is link-local or a metadata service", ErrAddress, address)
	case isPlainly(special.Private), p == SharedHTTP && isPlainly(special.Shared):
		return nil
	case isPlainly(special.Shared):
		return fmt.Errorf("%w: http to %s, which may belong to others: use https, or allow_http shared if it is yours",
			ErrAddress, address)
	case block.Kind == special.Reserved:
		return fmt.Errorf("%w: http to %s, which is not a private address but one of %s (%q): use https", ErrAddress,
			address, block.Prefix, block.Name)
	}
	return fmt.Errorf("%w: http to %s, which is not a private address: use https", ErrAddress, address)
}

// checkHost refuses hosts that plain http must not go to, as far as their text says so. With more than LoopbackHTTP, a
// name may be anything: what it leads to is known when it is dialled.
func (p PlainHTTP) checkHost(u *url.URL) error {
	host := u.Hostname()
	if p == LoopbackHTTP {
		if isLoopbackName(host) {
			return nil
		}
		return fmt.Errorf("%w: http is for this machine only: use https for %s, or add allow_http if it is in a network of "+
			"your own; everybody there can then read secrets and tokens, and replace keys", ErrAddress, u.Host)
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return p.allow(address)
	}
	return nil
}
