package roster_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// many is how many consumers the issue asks for.
const many = 100_000

// crowds are the files that crowd has written: to make the keys takes longer than to read them.
var crowds = make(map[string][]byte)

// crowd writes a file of many consumers with keys of one algorithm, all different.
func crowd(tb testing.TB, algorithm, format string) []byte {
	tb.Helper()
	if known := crowds[algorithm+format]; known != nil {
		return known
	}
	var out bytes.Buffer
	material := keysFor(tb, algorithm)
	if format == "json" {
		out.WriteString("[\n")
	}
	for i := range many {
		member, value := material(i)
		if format == "yaml" {
			indented := "|\n        " + strings.ReplaceAll(strings.TrimSpace(value), "\n", "\n        ")
			if member == "secret" {
				indented = value
			}
			fmt.Fprintf(&out, "- username: consumer-%06d\n  custom_id: customer %d\n  groups: [staff, readers]\n"+
				"  credentials:\n    - key: key-of-consumer-%06d\n      algorithm: %s\n      %s: %s\n",
				i, i, i, algorithm, member, indented)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			tb.Fatal(err)
		}
		if i > 0 {
			out.WriteString(",\n")
		}
		fmt.Fprintf(&out, `{"username": "consumer-%06d", "custom_id": "customer %d", "groups": ["staff", "readers"], `+
			`"credentials": [{"key": "key-of-consumer-%06d", "algorithm": "%s", "%s": %s}]}`,
			i, i, i, algorithm, member, text)
	}
	if format == "json" {
		out.WriteString("\n]\n")
	}
	crowds[algorithm+format] = out.Bytes()
	return out.Bytes()
}

// keysFor makes key material for an algorithm, as the member and its value.
func keysFor(tb testing.TB, algorithm string) func(i int) (member, value string) {
	tb.Helper()
	switch algorithm {
	case "HS256":
		return func(int) (string, string) {
			var secret [32]byte
			_, _ = rand.Read(secret[:])
			return "secret", hex.EncodeToString(secret[:])
		}
	case "ES256":
		return func(int) (string, string) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				tb.Fatal(err)
			}
			return "public_key", pemOf(tb, &key.PublicKey)
		}
	case "RS256":
		// To make a hundred thousand real keys would take hours. Any odd modulus reads alike.
		return func(int) (string, string) {
			var modulus [256]byte
			_, _ = rand.Read(modulus[:])
			modulus[0] |= 0x80
			modulus[255] |= 1
			return "public_key", pemOf(tb, &rsa.PublicKey{N: new(big.Int).SetBytes(modulus[:]), E: 65537})
		}
	}
	tb.Fatalf("no keys for %s", algorithm)
	return nil
}

func pemOf(tb testing.TB, key any) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// BenchmarkLoad reads a file of a hundred thousand consumers from the disk. B/consumer is what stays in memory for
// each, its key included.
func BenchmarkLoad(b *testing.B) {
	for _, format := range []string{"json", "yaml"} {
		for _, algorithm := range []string{"HS256", "ES256", "RS256"} {
			b.Run(format+"/"+algorithm, func(b *testing.B) {
				path := filepath.Join(b.TempDir(), "consumers")
				size := written(b, path, crowd(b, algorithm, format))
				var set *roster.Set
				before, cpu := heap(), tokentest.ProcessorTime(b)
				for b.Loop() {
					var err error
					if set, err = roster.Read(path); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric((tokentest.ProcessorTime(b)-cpu).Seconds()/float64(b.N), "cpu-s/op")
				b.ReportMetric((heap()-before)/many, "B/consumer")
				b.ReportMetric(float64(size)/many, "file-B/consumer")
				runtime.KeepAlive(set)
			})
		}
	}
}

// written writes a file, and returns its size.
func written(b *testing.B, path string, data []byte) int {
	b.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	return len(data)
}

// BenchmarkReload reads such a file again, of which one consumer is another.
func BenchmarkReload(b *testing.B) {
	data := crowd(b, "RS256", "json")
	set, err := roster.Parse(context.Background(), data, nil, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	changed := bytes.Replace(data, []byte("customer 77777"), []byte("customer 7777x"), 1)
	before, cpu := heap(), tokentest.ProcessorTime(b)
	for b.Loop() {
		if set, err = roster.Parse(context.Background(), changed, set, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((tokentest.ProcessorTime(b)-cpu).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric((heap()-before)/many, "more-B/consumer")
	runtime.KeepAlive(data)
	runtime.KeepAlive(set)
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
