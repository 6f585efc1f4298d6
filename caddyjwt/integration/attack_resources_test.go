package integration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Streams are opened and reset at once, so that the server works for nobody (CVE-2023-39325), or a header block is
// continued without end (CVE-2023-45288). Go bounds both; nothing reaches the backend, and others do not notice.
func TestAttackResourceFloodsOfFrames(t *testing.T) {
	long(t)
	s, issuer, key := identitySite(t)
	good := key.Sign(t, issuedBy(issuer, "sub", "me"))
	fields := hpacked([][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "gate.test"},
		{":path", "/flood"},
		{"authorization", "Bearer " + tokentest.FlipSignature(t, good)}})
	flood := func(t *testing.T, a *attempt, frames func(framer *http2.Framer) error) {
		t.Helper()
		conn, err := a.dial(t.Context(), "", "")
		if err != nil {
			a.unable("%v", err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(deadline())
		_, _ = io.WriteString(conn, http2.ClientPreface)
		go func() { _, _ = io.Copy(io.Discard, conn) }() // what the server answers must not stop it
		framer := http2.NewFramer(conn, nil)
		_ = framer.WriteSettings()
		if err := frames(framer); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			a.unable("the server neither took the frames nor ended the connection: %v", err)
		}
		a.untouched(a.passed(a.overHTTP2().send(good)), asMe)
	}
	before := s.goroutines()
	s.attack(t, "streams that are reset at once", func(t *testing.T, a *attempt) {
		flood(t, a, func(framer *http2.Framer) error {
			for id := uint32(1); id < 10_000; id += 2 {
				if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields, EndStream: true,
					EndHeaders: true}); err != nil {
					return err
				}
				if err := framer.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
					return err
				}
			}
			return nil
		})
	})
	s.attack(t, "a header block without end", func(t *testing.T, a *attempt) {
		flood(t, a, func(framer *http2.Framer) error {
			if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields,
				EndStream: true}); err != nil {
				return err
			}
			for i := range 20_000 {
				if err := framer.WriteContinuation(1, false,
					hpacked([][2]string{{"x-" + strconv.Itoa(i), strings.Repeat("x", 500)}})); err != nil {
					return err
				}
			}
			return nil
		})
	})
	s.goroutinesBackTo(before, 10)
}

// A stranger can make some things long, many or slow. None of them may cost more than a request does. The tests of the
// number of parts, of huge claims and of huge forms belong here, too.
func TestAttackResourceOversizedTokens(t *testing.T) {
	s := start(t,
		gateFor(consumerAlice(t), "token_from header Authorization", "token_from query jwt", "token_from cookie jwt"))
	for _, kilobytes := range []int{8, 15, 17, 60, 900} {
		for name, token := range map[string]string{"letters": strings.Repeat("a", kilobytes<<10),
			"dots": strings.Repeat(".", kilobytes<<10), "header": b64("{"+strings.Repeat(`"a":`, kilobytes<<8)) + ".A.A",
			"brackets":  b64(strings.Repeat("[", kilobytes<<9)) + ".A.A",
			"signature": b64(`{"alg":"HS256"}`) + "." + b64(asJSON(t, claims())) + "." + strings.Repeat("A", kilobytes<<10)} {
			s.attack(t, fmt.Sprintf("%d KB of %s in the header", kilobytes, name), func(t *testing.T, a *attempt) {
				a.cheaply(func() {
					got := a.get("/", token)
					a.neverForwarded(got)
				})
			})
			s.attack(t, fmt.Sprintf("%d KB of %s in the query", kilobytes, name), func(t *testing.T, a *attempt) {
				a.cheaply(func() { a.neverForwarded(a.get("/?jwt="+token, "")) })
			})
		}
	}
}

// Tokens with a good form and a random signature of a large key are the most expensive to refuse. Many come in a row.
// Each is refused, and the good one beside them passes.
func TestAttackResourceExpensiveSignatures(t *testing.T) {
	long(t)
	s, issuer, keys := signedSite(t)
	s.attack(t, "400 random signatures", func(t *testing.T, a *attempt) {
		var tokens []string
		for n := range 100 {
			for _, alg := range []string{"RS256", "PS256", "ES512", "EdDSA"} {
				tokens = append(tokens, tokentest.FlipSignature(t, keys[alg].Sign(t, issuedBy(issuer, "jti", n))))
			}
		}
		a.cheaply(func() {
			for _, token := range tokens {
				if got := a.get("/", token); got.StatusCode != http.StatusUnauthorized {
					t.Fatalf("status %d", got.StatusCode)
				}
			}
		})
		a.nothingForwarded()
		a.passed(a.send(keys["ES512"].Sign(t, issuedBy(issuer))))
	})
}

// A client announces a form and sends it a byte at a time, or not at all, to hold the request for ever. The gate gives
// up after ten seconds. Others do not wait for it.
func TestAttackResourceSlowForm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the deadline")
	}
	s := start(t, gateFor(consumerAlice(t), "token_from form jwt", "token_from header Authorization"))
	token := hmacKey(t).Sign(t, claims())
	s.attack(t, "silent after the first bytes", func(t *testing.T, a *attempt) {
		a.secret(token)
		conn, err := a.dial(t.Context(), "", "")
		if err != nil {
			a.unable("%v", err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: " + formType +
			"\r\nContent-Length: 900000\r\n\r\njwt="))
		a.passed(a.send(token))
		_ = conn.SetDeadline(deadline())
		if _, err := conn.Read(make([]byte, 512)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the form is not given up")
		}
		a.nothingForwarded()
	})
}

// The gate refuses a request at once, but the announced body never comes, and the server would hold the answer back
// until it has read the body. Such a request costs the attacker nothing, and the gate a connection. The answer must
// come soon.
func TestAttackResourceRefusedWithABodyThatNeverComes(t *testing.T) {
	long(t)
	unsafe := hmacKey(t).Sign(t, claims("role", "a\nb")) // found out when the backend is to be told
	for _, line := range []string{"", "error_format problem"} {
		s := start(t, gateFor(consumerAlice(t), "forward_claims X-Role role", line))
		for name, fields := range map[string]string{"with a length": "Content-Length: 100\r\n",
			"chunked":                "Transfer-Encoding: chunked\r\n",
			"chunked, with trailers": "Transfer-Encoding: chunked\r\nTrailer: A\r\n",
		} {
			request := "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: text/plain\r\n" + fields
			s.attack(t, name+", "+line, func(t *testing.T, a *attempt) {
				a.refusedFor(a.raw(request+"\r\n"), "missing_token")
			})
			s.attack(t, name+", with a token, "+line, func(t *testing.T, a *attempt) {
				a.refusedFor(a.raw(request+"Authorization: Bearer "+unsafe+"\r\n\r\n"), "unsafe_claim")
			})
		}
	}
}
