package attempts

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/caddyjwt/gateway/internal/special"
)

// kind is how wide a place is.
type kind uint8

const (
	noPlace kind = iota
	anAddress4
	anAddress6 // a /64: who has one address of it has all
	aNetwork6  // a /48, which a site may have
	aName      // a name at an address
	aRough4    // a /16
	aRough6    // a /32
	noAddress  // attempts whose address is not known
)

// place is where attempts come from.
type place struct {
	kind kind
	bits uint64 // the first bits of the address
	name uint64 // the hash of the name, under a key that nobody knows
}

// places are where an attempt comes from, from the narrowest to the widest. The last two may be missing.
type places [4]place

const (
	iName = iota
	iAddress
	iNetwork
	iRough
)

func (p *places) address() place { return p[iAddress] }

// normal is an address in the one form in which it counts. IPv4 in IPv6 (RFC 4291 section 2.5.5.2) is IPv4. So are
// addresses behind a translator (RFC 6052 section 2.1): as one /64, they would be the whole internet.
func normal(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if special.Of(addr).Kind == special.NAT64 {
		last := addr.As16()
		return netip.AddrFrom4([4]byte(last[12:]))
	}
	return addr
}

// placesOf returns the places of an attempt. The rough one counts only if it is in the rough table.
func (g *Guard) placesOf(client netip.Addr, name string) (p places) {
	switch addr := normal(client); {
	case addr.Is4():
		b := addr.As4()
		bits := uint64(binary.BigEndian.Uint32(b[:]))
		p[iAddress] = place{kind: anAddress4, bits: bits}
		p[iRough] = place{kind: aRough4, bits: bits >> 16}
	case addr.Is6():
		b := addr.As16()
		bits := binary.BigEndian.Uint64(b[:8])
		p[iAddress] = place{kind: anAddress6, bits: bits}
		p[iNetwork] = place{kind: aNetwork6, bits: bits >> 16}
		p[iRough] = place{kind: aRough6, bits: bits >> 32}
	default:
		p[iAddress] = place{kind: noAddress}
	}
	hash := maphash.Comparable(g.seed, nameAt{p[iAddress].kind, p[iAddress].bits, name})
	p[iName] = place{kind: aName, bits: p[iAddress].bits, name: hash}
	return p
}

type nameAt struct {
	kind kind
	bits uint64
	name string
}

// rates are how many failures a place has. Each place is like new after the same time, so that the place that failed
// first is the one to forget first.
type rates struct {
	window time.Duration // after which a place without new failures is like new
	each   [4]time.Duration
}

// ratesOf makes the rates: each failure counts for a part of the window.
func ratesOf(burst int, every time.Duration) rates {
	window := time.Duration(burst) * every
	return rates{window, [4]time.Duration{
		iName: window / time.Duration(max(1, burst/2)), iAddress: every,
		iNetwork: every / widerBurst, iRough: every / roughBurst,
	}}
}

// debt is how much of the window a place has used up.
func (g *Guard) debt(p *places, i int, now time.Duration) time.Duration {
	switch {
	case p[i].kind == noPlace:
		return 0
	case i == iRough:
		return g.rough.debt(p[i], now)
	}
	return g.debts.debt(p[i], now)
}

// exhausted returns how long an attempt has to wait until all its places have a failure left; 0 for not at all.
func (g *Guard) exhausted(a *attempt, now time.Duration) (wait time.Duration) {
	for i := range a.places {
		wait = max(wait, g.debt(&a.places, i, now)+g.rates.each[i]-g.rates.window)
	}
	return wait
}

// mayStart reports whether all places have a failure left, even if all attempts under way fail, in both lanes.
func (g *Guard) mayStart(a *attempt, now time.Duration) bool {
	for i := range iRough {
		if a.places[i].kind == noPlace {
			continue
		}
		failures := g.flow(a.places[i]).running + 1
		if g.debt(&a.places, i, now)+time.Duration(failures)*g.rates.each[i] > g.rates.window {
			return false
		}
	}
	return true
}

// rank says how much speaks for an attempt.
func (g *Guard) rank(a *attempt, now time.Duration) rank {
	switch {
	case !g.clean(a, now):
		return tainted
	case g.known.debt(a.places[iAddress], now) == 0:
		return clean
	}
	return proven
}

func (g *Guard) rankAt(now time.Duration) func(*attempt) rank {
	return func(a *attempt) rank { return g.rank(a, now) }
}

// clean reports whether nothing speaks against an attempt that waits or runs: its address has no recent failures and
// no other attempt, and its network has few.
func (g *Guard) clean(a *attempt, now time.Duration) bool {
	return g.debt(&a.places, iAddress, now) == 0 && g.flow(a.places[iAddress]).sum() <= 1 &&
		g.debt(&a.places, iNetwork, now) <= g.rates.window/2 &&
		g.flow(a.places[iNetwork]).sum() <= widerBurst
}

// charge counts a failure at all places. What the table forgets too early counts for a wider place from then on: who
// has so many addresses has a whole network.
func (g *Guard) charge(a *attempt, now time.Duration) {
	for i := range iRough {
		if a.places[i].kind == noPlace {
			continue
		}
		forgotten, debt := g.debts.charge(a.places[i], g.rates.each[i], now)
		wide := forgotten.rough()
		if debt > 0 && wide.kind != noPlace {
			g.rough.charge(wide, debt/roughBurst, now) // as many failures
		}
	}
}

// rough is the widest place around an address.
func (p place) rough() place {
	switch p.kind {
	case anAddress4:
		return place{kind: aRough4, bits: p.bits >> 16}
	case anAddress6:
		return place{kind: aRough6, bits: p.bits >> 32}
	}
	return place{}
}
