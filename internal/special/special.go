// Package special knows which network addresses have a special purpose: those in IANA's registries for it (RFC 6890),
// and those at which clouds give metadata and credentials to their machines. The lists are data with a source and a
// date: the CSV files beside this one, of which a generator makes blocks.go.
package special

import "net/netip"

// "go generate ./internal/special" fetches IANA's registries anew. After an edit of metadata.csv,
// "go run ./internal/special/generate" in the root of the repository is enough.
//
//go:generate go run ./generate -fetch -dir .

// Kind says what the addresses of a block are for, as far as we treat them differently.
type Kind uint8

const (
	// Ordinary addresses are in no registry of special ones. In the internet, any machine may have them.
	Ordinary Kind = iota

	// Loopback is this machine (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3).
	Loopback

	// Private addresses are those of networks of one's own (RFC 1918, RFC 4193).
	Private

	// Shared addresses are for networks behind the translator of a provider (RFC 6598).
	Shared

	// LinkLocal addresses are for machines on one link (RFC 3927, RFC 4291 section 2.5.6).
	LinkLocal

	// Metadata is where a cloud gives metadata and credentials to its machines.
	Metadata

	// NAT64 addresses have an IPv4 address in their last 32 bits, to which a translator leads (RFC 6052 section 2.1).
	NAT64

	// LocalNAT64 addresses have an IPv4 address, too. The owner of the translator decides where in them (RFC 8215).
	LocalNAT64

	// Reserved are all other blocks of the registries.
	Reserved
)

// Block is a block of addresses with one purpose. The zero value has no addresses, and is Ordinary.
type Block struct {
	Prefix netip.Prefix
	Kind   Kind
	// Name is what IANA calls the block, or the clouds whose metadata it has.
	Name string
}

// Of returns the block that an address is in: one with metadata, or else the smallest one of IANA's registries that
// contains it, or else the zero Block. The zone of an address does not count. An IPv4-mapped IPv6 address is in the
// block of these, whatever it contains.
func Of(address netip.Addr) Block {
	blocks := blocks6
	if address.Is4() {
		blocks = blocks4
	}
	address = address.WithZone("") // no prefix contains an address with a zone
	for i := range blocks {
		if blocks[i].Prefix.Contains(address) {
			return blocks[i]
		}
	}
	return Block{}
}
