package fetch

import "net/netip"

// AllowPlain is what is asked before plain http dials.
func AllowPlain(p PlainHTTP, address netip.Addr) error { return p.allow(address) }

// AllowRemote is what is asked before https dials.
func AllowRemote(linkLocal bool, address netip.Addr) error { return allowRemote(linkLocal)(address) }
