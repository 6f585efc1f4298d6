package fetch_test

import (
	"encoding/csv"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// verdicts are which requests to an address are allowed.
type verdicts struct{ loopback, private, shared, https, linkLocal bool }

var (
	toNobody  = verdicts{linkLocal: true}              // of the words, only allow_link_local opens it
	toPublic  = verdicts{https: true, linkLocal: true} // as every machine in the internet
	toShared  = verdicts{https: true, linkLocal: true, shared: true}
	toPrivate = verdicts{https: true, linkLocal: true, shared: true, private: true}
	toOurself = verdicts{https: true, linkLocal: true, shared: true, private: true, loopback: true}
)

// ruled are the blocks of the registries that are no target at all, or that allow_http opens. To all others only https
// may go.
var ruled = map[string]verdicts{
	"0.0.0.0/32": toNobody, "169.254.0.0/16": toNobody, "::/128": toNobody, "fe80::/10": toNobody,
	"127.0.0.0/8": toOurself, "::1/128": toOurself,
	"10.0.0.0/8": toPrivate, "172.16.0.0/12": toPrivate, "192.168.0.0/16": toPrivate, "fc00::/7": toPrivate,
	"100.64.0.0/10": toShared,
}

func judged(address netip.Addr) (v verdicts) {
	for plain, allowed := range map[fetch.PlainHTTP]*bool{
		fetch.LoopbackHTTP: &v.loopback, fetch.PrivateHTTP: &v.private, fetch.SharedHTTP: &v.shared,
	} {
		*allowed = fetch.AllowPlain(plain, address) == nil
	}
	v.https = fetch.AllowRemote(false, address) == nil
	v.linkLocal = fetch.AllowRemote(true, address) == nil
	return v
}

// column returns the first column of a list of special addresses: its blocks.
func column(tb testing.TB, name string) (blocks []netip.Prefix) {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join("..", "special", name))
	if err != nil {
		tb.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(content))).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	for _, row := range rows[1:] {
		for cell := range strings.SplitSeq(row[0], ", ") {
			blocks = append(blocks, netip.MustParsePrefix(strings.Fields(cell)[0]))
		}
	}
	return blocks
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

func TestEverySpecialAddressIsJudged(t *testing.T) {
	for _, file := range []string{"iana-ipv4.csv", "iana-ipv6.csv"} {
		blocks := column(t, file)
		for _, block := range blocks {
			want, ok := ruled[block.String()]
			if !ok {
				want = toPublic
			}
			for _, address := range []netip.Addr{block.Addr(), last(block)} {
				want := want
				switch address.String() { // those that have another purpose than the rest of their block
				case "0.0.0.0", "64:ff9b::", "::ffff:0.0.0.0":
					want = toNobody // unspecified, also for a translator
				case "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b::ffff:ffff", "::ffff:255.255.255.255":
					want = toPublic
				}
				if got := judged(address); got != want {
					t.Errorf("%s of %s: %+v, want %+v", address, block, got, want)
				}
			}
		}
	}
}

func TestEveryMetadataServiceIsRefused(t *testing.T) {
	for _, block := range column(t, "metadata.csv") {
		for _, address := range []netip.Addr{block.Addr(), last(block)} {
			if got := judged(address); got != toNobody {
				t.Errorf("%s: %+v", address, got)
			}
			if !address.Is4() {
				continue
			}
			// The same address inside of others, where a translator would take it.
			hidden := address.As4()
			for _, prefix := range []string{"64:ff9b::", "64:ff9b:1::", "::ffff:0:0:0", "::", "::ffff:0:0"} {
				bytes := netip.MustParseAddr(prefix).As16()
				copy(bytes[12:], hidden[:])
				if got := judged(netip.AddrFrom16(bytes)); got != toNobody {
					t.Errorf("%s inside of %s: %+v", address, prefix, got)
				}
			}
		}
	}
}

// Whatever the address: the words only ever add to each other, and plain http goes nowhere but to this machine, to
// private addresses and to shared ones.
func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fc00::1", "fe80::1", "64:ff9b::a9fe:a9fe",
		"::ffff:1.2.3.4", "fd00:ec2::254", "64:ff9b:1:a9fe:a9:fe00::", "198.18.0.1",
	} {
		f.Add(netip.MustParseAddr(seed).AsSlice(), "")
	}
	f.Add(netip.MustParseAddr("fe80::1").AsSlice(), "eth0")
	shared := netip.MustParsePrefix("100.64.0.0/10")
	f.Fuzz(func(t *testing.T, bytes []byte, zone string) {
		address, _ := netip.AddrFromSlice(bytes)
		address = address.WithZone(zone)
		got := judged(address)
		switch {
		case got.loopback && !got.private, got.private && !got.shared, got.https && !got.linkLocal:
			t.Errorf("%s: less with more words: %+v", address, got)
		case got.shared && !got.https && !got.loopback:
			t.Errorf("%s: http and no https: %+v", address, got)
		case got.loopback && !address.Unmap().IsLoopback():
			t.Errorf("%s is not this machine: %+v", address, got)
		case got.private && !address.IsPrivate() && !got.loopback:
			t.Errorf("%s is not private: %+v", address, got)
		case got.shared && !got.private && !shared.Contains(address):
			t.Errorf("%s is not shared: %+v", address, got)
		case got.https && (address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified()):
			t.Errorf("%s: %+v", address, got)
		}
	})
}

// An error names the purpose, so that nobody has to look it up.
func TestPlainHTTPErrorNamesThePurpose(t *testing.T) {
	_, err := fetch.PrivateHTTP.CheckURL("http://198.18.0.1/")
	want := `one of 198.18.0.0/15 ("Benchmarking"): use https`
	if !errors.Is(err, fetch.ErrAddress) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
