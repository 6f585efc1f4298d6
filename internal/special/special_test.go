package special_test

import (
	"encoding/csv"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/special"
)

// The blocks that are treated each in their own way. Everything else in the registries must be Reserved.
var kinds = map[string]special.Kind{
	"127.0.0.0/8": special.Loopback, "::1/128": special.Loopback,
	"10.0.0.0/8": special.Private, "172.16.0.0/12": special.Private, "192.168.0.0/16": special.Private,
	"fc00::/7":       special.Private,
	"100.64.0.0/10":  special.Shared,
	"169.254.0.0/16": special.LinkLocal, "fe80::/10": special.LinkLocal,
	"64:ff9b::/96": special.NAT64, "64:ff9b:1::/48": special.LocalNAT64,
}

// rows returns the blocks in a CSV file, read here in a way of our own.
func rows(tb testing.TB, name string) (blocks []netip.Prefix, names []string) {
	tb.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := csv.NewReader(strings.NewReader(string(content))).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	for _, row := range all[1:] {
		for cell := range strings.SplitSeq(row[0], ", ") {
			blocks = append(blocks, netip.MustParsePrefix(strings.Fields(cell)[0]))
			names = append(names, strings.Trim(row[1], `"`))
		}
	}
	return blocks, names
}

// last is the last address of a block.
func last(block netip.Prefix) netip.Addr {
	bytes := block.Addr().AsSlice()
	for i := block.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	address, _ := netip.AddrFromSlice(bytes)
	return address
}

// smallest returns the smallest of the blocks that contain an address.
func smallest(blocks []netip.Prefix, address netip.Addr) (found netip.Prefix) {
	for _, block := range blocks {
		if block.Contains(address) && (!found.IsValid() || block.Bits() > found.Bits()) {
			found = block
		}
	}
	return found
}

func TestEveryRowOfTheRegistries(t *testing.T) {
	services, _ := rows(t, "metadata.csv")
	for _, file := range []string{"iana-ipv4.csv", "iana-ipv6.csv"} {
		blocks, names := rows(t, file)
		if len(blocks) < 25 {
			t.Errorf("%s has only %d blocks", file, len(blocks))
		}
		seen := make(map[string]bool)
		for i, block := range blocks {
			want, ok := kinds[block.String()]
			if seen[block.String()] = true; !ok {
				want = special.Reserved
			}
			for _, address := range []netip.Addr{block.Addr(), last(block), block.Addr().Next()} {
				if smallest(blocks, address) != block || smallest(services, address).IsValid() {
					continue // it has another purpose
				}
				got := special.Of(address)
				if got.Kind != want || got.Prefix != block || got.Name != names[i] {
					t.Errorf("%s, %s: %+v, want %d %s", file, address, got, want, names[i])
				}
			}
			for _, neighbour := range []netip.Addr{block.Addr().Prev(), last(block).Next()} {
				if !neighbour.IsValid() {
					continue
				}
				got := special.Of(neighbour)
				if within := smallest(services, neighbour); within.IsValid() {
					continue
				}
				if want := smallest(blocks, neighbour); got.Prefix != want || !want.IsValid() && got.Kind != special.Ordinary {
					t.Errorf("%s, beside %s: %+v, want %s", neighbour, block, got, want)
				}
			}
		}
		for block := range kinds {
			if strings.Contains(block, ":") == (file == "iana-ipv6.csv") && !seen[block] {
				t.Errorf("%s lacks %s", file, block)
			}
		}
	}
}

func TestEveryMetadataService(t *testing.T) {
	blocks, clouds := rows(t, "metadata.csv")
	for i, block := range blocks {
		for _, address := range []netip.Addr{block.Addr(), last(block)} {
			if got := special.Of(address); got.Kind != special.Metadata || !strings.Contains(got.Name, clouds[i]) {
				t.Errorf("%s of %s: %+v", address, clouds[i], got)
			}
		}
	}
	for _, address := range []string{
		"100.100.100.200", "168.63.129.16", "192.0.0.192", "169.254.169.254", "169.254.170.2", "169.254.170.23",
		"169.254.42.42", "169.254.0.23", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42",
		"fd00:c1::a9fe:a9fe", "fd00:100::100:200", "fd00:a9fe:a9fe::1", "fe80::a9fe:a9fe", "fe80::a9fe:a9fe%eth0",
	} {
		if got := special.Of(netip.MustParseAddr(address)); got.Kind != special.Metadata {
			t.Errorf("%s: %+v", address, got)
		}
	}
}

func TestOrdinaryAddresses(t *testing.T) {
	for _, address := range []string{
		"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.0", "2001:4860:4860::8888", "2606:4700::1111",
		"fec0::1", "224.0.0.1", "ff02::1", // the registries of multicast are others
	} {
		if got := special.Of(netip.MustParseAddr(address)); got != (special.Block{}) {
			t.Errorf("%s: %+v", address, got)
		}
	}
	if got := special.Of(netip.Addr{}); got != (special.Block{}) {
		t.Errorf("no address: %+v", got)
	}
}

func TestMappedAddressesAndZones(t *testing.T) {
	for address, want := range map[string]special.Kind{
		"::ffff:10.0.0.1": special.Reserved, "::ffff:8.8.8.8": special.Reserved, "::ffff:127.0.0.1": special.Reserved,
		"fe80::1%eth0": special.LinkLocal, "fd00::1%1": special.Private, "::1%lo": special.Loopback,
		"2001:4860:4860::8888%x": special.Ordinary,
	} {
		if got := special.Of(netip.MustParseAddr(address)); got.Kind != want {
			t.Errorf("%s: %+v, want %d", address, got, want)
		}
	}
}

func TestOfAllocatesNothing(t *testing.T) {
	for _, address := range []netip.Addr{
		netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2001:4860:4860::8888"), netip.MustParseAddr("10.0.0.1"),
		netip.MustParseAddr("fe80::1%eth0"),
	} {
		if n := testing.AllocsPerRun(100, func() { special.Of(address) }); n != 0 {
			t.Errorf("%s: %v allocations", address, n)
		}
	}
}

// The library of Go has lists of its own. Where both know a purpose, they agree.
func FuzzOf(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1", "127.0.0.1", "169.254.0.0", "100.64.0.0", "::1", "fc00::", "fe80::1", "64:ff9b::1", "::ffff:1.2.3.4",
		"fd00:ec2::254", "255.255.255.255", "ff02::1",
	} {
		f.Add(netip.MustParseAddr(seed).AsSlice(), "")
	}
	f.Add(netip.MustParseAddr("fe80::1").AsSlice(), "eth0")
	f.Fuzz(func(t *testing.T, bytes []byte, zone string) {
		address, _ := netip.AddrFromSlice(bytes)
		address = address.WithZone(zone)
		got := special.Of(address)
		if (got.Kind == special.Ordinary) != (got == special.Block{}) {
			t.Errorf("%s: %+v", address, got)
		}
		if got.Kind != special.Ordinary && !got.Prefix.Contains(address.WithZone("")) {
			t.Errorf("%s is not in %+v", address, got)
		}
		if got.Kind == special.Metadata || address.Is4In6() {
			return
		}
		for kind, is := range map[special.Kind]bool{
			special.Loopback:  address.IsLoopback(),
			special.Private:   address.IsPrivate(),
			special.LinkLocal: address.IsLinkLocalUnicast(),
		} {
			if (got.Kind == kind) != is {
				t.Errorf("%s: %+v, and for the library %v", address, got, is)
			}
		}
	})
}

func BenchmarkOf(b *testing.B) {
	for _, text := range []string{"10.0.0.1", "8.8.8.8", "2001:4860:4860::8888"} {
		address := netip.MustParseAddr(text)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				special.Of(address)
			}
		})
	}
}
