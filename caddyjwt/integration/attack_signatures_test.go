package integration

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// signedSite has one key of every kind behind a key set, and a consumer with a secret.
func signedSite(t *testing.T) (s *site, issuer string, keys map[string]*tokentest.Key) {
	keys = make(map[string]*tokentest.Key)
	var list []*tokentest.Key
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
		keys[alg] = tokentest.NewKey(t, alg, "sig-"+alg)
		list = append(list, keys[alg])
	}
	as := tokentest.NewAS(t, tokentest.WithKeys(list...))
	s = start(t, gateFor(issuerByJWKS(as), consumerAlice(t)))
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
		s.attack(t, "control: "+alg+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(keys[alg].Sign(t, issuedBy(as.URL))))
		})
	}
	return s, as.URL, keys
}

// ECDSA verifiers that do not check the range of r and s accept a signature of zeros for every message and key:
// CVE-2022-21449. The other forms are those of CVE-2019-14859 and of the Wycheproof project: DER, wrong lengths, values
// with the group order added.
func TestAttackSignatureECDSA(t *testing.T) {
	s, issuer, keys := signedSite(t)
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(),
		"ES512": elliptic.P521()} {
		key := keys[alg]
		input, good := splitToken(t, key.Sign(t, issuedBy(issuer)))
		half := len(good) / 2
		r, sv, n := good[:half], good[half:], curve.Params().N
		number := func(v *big.Int) []byte { return v.FillBytes(make([]byte, half)) }
		fits := func(v *big.Int) []byte { // reduced to the field's size, as a careless encoder would
			b := v.Bytes()
			if len(b) > half {
				b = b[len(b)-half:]
			}
			return new(big.Int).SetBytes(b).FillBytes(make([]byte, half))
		}
		zero, one, order := number(big.NewInt(0)), number(big.NewInt(1)), number(n)
		p := number(curve.Params().P)
		rPlus, sPlus := fits(new(big.Int).Add(new(big.Int).SetBytes(r), n)),
			fits(new(big.Int).Add(new(big.Int).SetBytes(sv), n))
		der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(sv)})
		if err != nil {
			t.Fatal(err)
		}
		for name, signature := range map[string][]byte{
			"r and s zero":             slices.Concat(zero, zero),
			"r zero":                   slices.Concat(zero, sv),
			"s zero":                   slices.Concat(r, zero),
			"r and s one":              slices.Concat(one, one),
			"r the order":              slices.Concat(order, sv),
			"s the order":              slices.Concat(r, order),
			"both the order":           slices.Concat(order, order),
			"r the order, s one":       slices.Concat(order, one),
			"the field prime":          slices.Concat(p, p),
			"all ones":                 bytes.Repeat([]byte{0xff}, 2*half),
			"r plus the order":         slices.Concat(rPlus, sv),
			"s plus the order":         slices.Concat(r, sPlus),
			"r and s exchanged":        slices.Concat(sv, r),
			"DER":                      der,
			"one byte more":            append(slices.Clone(good), 0),
			"one byte less":            good[:len(good)-1],
			"zeros before each":        slices.Concat([]byte{0}, r, []byte{0}, sv),
			"twice":                    slices.Concat(good, good),
			"r alone":                  r,
			"one byte":                 {1},
			"the DER of zero and zero": {0x30, 6, 2, 1, 0, 2, 1, 0},
		} {
			s.attack(t, alg+" with "+name, func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(input+"."+b64(string(signature))), "invalid_signature")
			})
		}
	}
}

// An Ed25519 signature whose S is not reduced is another valid signature of the same message to lax verifiers, and a
// key or R of small order verifies anything: RFC 8032 section 5.1.7, CVE-2024-48949.
func TestAttackSignatureEdDSA(t *testing.T) {
	s, issuer, keys := signedSite(t)
	input, good := splitToken(t, keys["EdDSA"].Sign(t, issuedBy(issuer)))
	order, _ := hex.DecodeString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed")
	plus := slices.Clone(good)
	little := slices.Clone(plus[32:])
	slices.Reverse(little)
	sum := new(big.Int).Add(new(big.Int).SetBytes(little), new(big.Int).SetBytes(order)).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	copy(plus[32:], sum)
	ph, err := keys["EdDSA"].Private().(ed25519.PrivateKey).Sign(nil, []byte(input), &ed25519.Options{Context: "jwt"})
	if err != nil {
		t.Fatal(err)
	}
	for name, signature := range map[string][]byte{
		"S plus the order":          plus,
		"zeros":                     make([]byte, 64),
		"R the identity and S zero": append([]byte{1}, make([]byte, 63)...),
		"the high bits of S set":    append(slices.Clone(good[:63]), good[63]|0xe0),
		"one byte more":             append(slices.Clone(good), 0),
		"one byte less":             good[:63],
		"R alone":                   good[:32],
		"114 bytes, as for Ed448":   make([]byte, 114),
		"Ed25519ctx":                ph,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(input+"."+b64(string(signature))), "invalid_signature")
		})
	}
}

// MACs that are compared over the shorter of two lengths, or only in part, can be guessed byte by byte. Whatever is not
// the whole MAC is refused, and the answer does not give the right one away as CVE-2019-7644 did.
func TestAttackSignatureHMAC(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	input, good := splitToken(t, token)
	wrong := func(i int) []byte {
		b := slices.Clone(good)
		b[i] ^= 0x80
		return b
	}
	for name, signature := range map[string][]byte{
		"one byte":                good[:1],
		"the first half":          good[:16],
		"all but one byte":        good[:31],
		"one byte more":           append(slices.Clone(good), 0),
		"twice":                   slices.Concat(good, good),
		"wrong in the first byte": wrong(0),
		"wrong in the last byte":  wrong(31),
		"zeros":                   make([]byte, 32),
		"the MAC in hexadecimal":  []byte(hex.EncodeToString(good)),
		"the plain hash":          func() []byte { h := sha256.Sum256([]byte(input)); return h[:] }(),
		"MAC with the empty secret": func() []byte {
			_, m := splitToken(t, hmacToken(t, "HS256", nil, map[string]any{}, claims()))
			return m
		}(),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.send(input + "." + b64(string(signature)))
			a.refusedFor(got, "invalid_signature")
			var answer strings.Builder
			_ = got.Header.Write(&answer)
			for _, text := range []string{b64(string(good)), hex.EncodeToString(good), string(good)} {
				if strings.Contains(answer.String()+got.body+a.since(), text) {
					t.Error("the right MAC is in the answer or in the log")
				}
			}
		})
	}
}

// Any change to a good token must break it, in each of its parts and for each kind of key; a byte that does not matter
// is a byte that is not verified.
func TestAttackSignatureEveryBitAndEveryLength(t *testing.T) {
	long(t)
	s, issuer, keys := signedSite(t)
	for name, token := range map[string]string{
		"ES256": keys["ES256"].Sign(t, issuedBy(issuer)), "EdDSA": keys["EdDSA"].Sign(t, issuedBy(issuer)),
		"HS256": hmacKey(t).Sign(t, claims()), "RS256": keys["RS256"].Sign(t, issuedBy(issuer)),
	} {
		input, signature := splitToken(t, token)
		s.attack(t, name+" with a bit of the signature changed", func(t *testing.T, a *attempt) {
			for bit := range len(signature) * 8 {
				b := slices.Clone(signature)
				b[bit/8] ^= 1 << (bit % 8)
				if got := a.get("/", input+"."+b64(string(b))); got.StatusCode != 401 {
					t.Fatalf("bit %d: status %d", bit, got.StatusCode)
				}
			}
			if requests := a.upstream.take(); len(requests) != 0 {
				t.Errorf("%d requests reached the upstream", len(requests))
			}
		})
		s.attack(t, name+" cut off anywhere", func(t *testing.T, a *attempt) {
			for n := 1; n < len(token); n++ {
				if got := a.get("/", token[:n]); got.StatusCode != 401 {
					t.Fatalf("length %d: status %d", n, got.StatusCode)
				}
			}
			if requests := a.upstream.take(); len(requests) != 0 {
				t.Errorf("%d requests reached the upstream", len(requests))
			}
		})
		s.attack(t, name+" with a character changed", func(t *testing.T, a *attempt) {
			for i := range token {
				c := byte('A')
				if token[i] == 'A' {
					c = 'B'
				}
				if got := a.get("/", token[:i]+string(c)+token[i+1:]); !unknownKeyStatus(got.StatusCode) {
					t.Fatalf("character %d: status %d", i, got.StatusCode)
				}
			}
			if requests := a.upstream.take(); len(requests) != 0 {
				t.Errorf("%d requests reached the upstream", len(requests))
			}
		})
	}
}

// Parts of two good tokens are put together: the oldest forgery of all. Neither header nor payload may be exchanged.
func TestAttackSignatureOfAnotherToken(t *testing.T) {
	s, issuer, keys := signedSite(t)
	key := keys["ES256"]
	one := strings.Split(key.Sign(t, issuedBy(issuer, "sub", "alice")), ".")
	two := strings.Split(key.Sign(t, issuedBy(issuer, "sub", "admin"), map[string]any{"typ": "at+jwt"}), ".")
	for name, parts := range map[string][]string{
		"payload of the other":            {one[0], two[1], one[2]},
		"signature of the other":          {one[0], one[1], two[2]},
		"header of the other":             {two[0], one[1], one[2]},
		"header and payload of the other": {two[0], two[1], one[2]},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(strings.Join(parts, ".")), "invalid_signature")
		})
	}
}

// A token is expired and badly signed at once; a caller that looks at the first of two errors takes it for an old but
// genuine one: CVE-2024-51744. The signature is judged first.
func TestAttackSignatureBadAndExpired(t *testing.T) {
	s, issuer, keys := signedSite(t)
	past := time.Now().Add(-time.Hour).Unix()
	for name, changes := range map[string][]any{
		"expired": {"exp", past}, "of another audience": {"aud", "x"}, "without exp": {"exp", nil},
		"not yet valid": {"nbf", time.Now().Unix() + 900},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(tokentest.FlipSignature(t, keys["RS256"].Sign(t, issuedBy(issuer, changes...)))),
				"invalid_signature")
		})
	}
}
