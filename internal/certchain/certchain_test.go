package certchain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

type certificate = tokentest.Certificate

const day = 24 * time.Hour

// critical is an extension that nobody knows.
func critical(template *x509.Certificate) {
	template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
}

func usage(of x509.KeyUsage) func(*x509.Certificate) {
	return func(template *x509.Certificate) { template.KeyUsage = of }
}

// judge reads a chain in both of its forms and judges it by these authorities. The two must agree.
func judge(t *testing.T, now time.Time, chain, roots []*certificate) certchain.Verdict {
	t.Helper()
	ca := authorities(t, tokentest.PEMOf(roots...))
	var ders [][]byte
	for _, c := range chain {
		ders = append(ders, c.Raw)
	}
	parsed, err := certchain.ParseChain(ders)
	inPEM, errPEM := certchain.ParsePEM([]byte(tokentest.PEMOf(chain...)))
	if (err == nil) != (errPEM == nil) {
		t.Fatalf("as DER %v, as PEM %v", err, errPEM)
	}
	if err != nil {
		refused, is := errors.AsType[*certchain.Error](err)
		if !is || !errors.Is(err, jose.ErrCertificate) {
			t.Fatal(err)
		}
		return certchain.Verdict{Err: refused}
	}
	verdict := ca.Roots().Judge(parsed, now)
	if len(inPEM) == 1 {
		if other := ca.Roots().Judge(inPEM[0], now); (other.Err == nil) != (verdict.Err == nil) {
			t.Fatalf("as DER %v, as PEM %v", verdict.Err, other.Err)
		}
	}
	return verdict
}

// authorities reads a file of authorities.
func authorities(t *testing.T, text string) *certchain.Authorities {
	t.Helper()
	ca, err := certchain.Read([]string{file(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestJudge(t *testing.T) {
	root := tokentest.NewAuthority(t, "root")
	middle := root.Authority(t, "middle")
	key := tokentest.NewKey(t, "ES256", "")
	rsaKey := tokentest.NewKey(t, "RS256", "")
	twin := tokentest.NewAuthority(t, "root") // the same name with another key
	short := root.Authority(t, "short", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	below := short.Authority(t, "below")
	narrow := root.Authority(t, "narrow", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"partner.example"}, true
	})
	named := func(dns string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = []string{dns} }
	}
	oldRoot := tokentest.NewAuthority(t, "old root", tokentest.Valid(-2*day, -day))
	futureRoot := tokentest.NewAuthority(t, "future root", tokentest.Valid(day, 2*day))
	noSigner := root.Authority(t, "no signer", usage(x509.KeyUsageCRLSign))
	unable := root.Certify(t, "no authority", tokentest.NewKey(t, "ES256", ""))
	rsaRoot := selfSigned(t, rsaKey, "rsa root")
	long := []*certificate{middle}
	for i := range 7 {
		long = append([]*certificate{long[0].Authority(t, fmt.Sprint("another ", i))}, long...)
	}
	onlyRoot := []*certificate{root}
	for _, test := range []struct {
		name  string
		chain []*certificate
		roots []*certificate
		want  certchain.Reason // empty for a chain that counts
	}{
		{"root and signer", []*certificate{root.Certify(t, "s", key)}, onlyRoot, ""},
		{"an issuer between", []*certificate{middle.Certify(t, "s", key), middle}, onlyRoot, ""},
		{"the root behind it", []*certificate{middle.Certify(t, "s", key), middle, root}, onlyRoot, ""},
		{"an issuer as the authority", []*certificate{middle.Certify(t, "s", key)}, []*certificate{middle}, ""},
		{"one of several authorities", []*certificate{root.Certify(t, "s", key)}, []*certificate{twin, root}, ""},
		{"without a key usage", []*certificate{root.Certify(t, "s", key, usage(0))}, onlyRoot, ""},
		{"for TLS clients", []*certificate{root.Certify(t, "s", key, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})}, onlyRoot, ""},
		{"a name that is permitted", []*certificate{
			narrow.Certify(t, "s", key, named("jwt.partner.example")), narrow}, onlyRoot, ""},

		{"nothing", nil, onlyRoot, certchain.NoCertificate},
		{"a missing issuer", []*certificate{middle.Certify(t, "s", key)}, onlyRoot, certchain.Untrusted},
		{"another root", []*certificate{root.Certify(t, "s", key)},
			[]*certificate{tokentest.NewAuthority(t, "other")}, certchain.Untrusted},
		{"a root with the same name and another key", []*certificate{root.Certify(t, "s", key)},
			[]*certificate{twin}, certchain.Untrusted},
		{"certified by itself", []*certificate{selfSigner(t, key)}, onlyRoot, certchain.Untrusted},
		{"an expired signer", []*certificate{root.Certify(t, "s", key, tokentest.Valid(-2*day, -day))},
			onlyRoot, certchain.Expired},
		{"an expired issuer", expiredIssuer(t, root, key), onlyRoot, certchain.Expired},
		{"an expired root", []*certificate{oldRoot.Certify(t, "s", key)}, []*certificate{oldRoot}, certchain.Expired},
		{"a signer that is not yet valid", []*certificate{root.Certify(t, "s", key, tokentest.Valid(day, 2*day))},
			onlyRoot, certchain.NotYetValid},
		{"a root that is not yet valid", []*certificate{futureRoot.Certify(t, "s", key)},
			[]*certificate{futureRoot}, certchain.NotYetValid},
		{"for encryption", []*certificate{root.Certify(t, "s", key, usage(x509.KeyUsageKeyEncipherment))},
			onlyRoot, certchain.NotForSignatures},
		{"for commitments alone", []*certificate{root.Certify(t, "s", key, usage(x509.KeyUsageContentCommitment))},
			onlyRoot, certchain.NotForSignatures},
		{"a key usage that names none", []*certificate{root.Certify(t, "s", key, func(c *x509.Certificate) {
			c.KeyUsage = 0
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 1, 0}}}
		})}, onlyRoot, certchain.NotForSignatures},
		{"an authority as signer", []*certificate{middle}, onlyRoot, certchain.NotForSignatures},
		{"the root as signer", onlyRoot, onlyRoot, certchain.NotForSignatures},
		{"an authority that may sign anything", []*certificate{root.Authority(t, "all", usage(
			x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign))}, onlyRoot, certchain.NotForSignatures},
		{"an issuer that is no authority", []*certificate{unable.Certify(t, "s", key), unable}, onlyRoot, ""},
		{"an issuer that may not certify", []*certificate{noSigner.Certify(t, "s", key), noSigner},
			onlyRoot, certchain.Untrusted},
		{"a path that is too long", []*certificate{below.Certify(t, "s", key), below, short}, onlyRoot, certchain.Untrusted},
		{"a name that is not permitted", []*certificate{narrow.Certify(t, "s", key, named("jwt.other.example")), narrow},
			onlyRoot, certchain.Untrusted},
		{"a critical extension that nobody knows", []*certificate{root.Certify(t, "s", key, critical)},
			onlyRoot, certchain.Untrusted},
		{"one in an issuer", criticalIssuer(t, root, key), onlyRoot, certchain.Untrusted},
		{"signed with SHA-1", []*certificate{rsaRoot.Certify(t, "s", key, func(c *x509.Certificate) {
			c.SignatureAlgorithm = x509.SHA1WithRSA
		})}, []*certificate{rsaRoot}, certchain.Untrusted},
		{"out of order", []*certificate{below.Certify(t, "s", key), short, below}, onlyRoot, certchain.BadChain},
		{"an issuer twice", []*certificate{middle.Certify(t, "s", key), middle, root, root}, onlyRoot, certchain.BadChain},
		{"a stranger behind it", []*certificate{root.Certify(t, "s", key), middle}, onlyRoot, certchain.BadChain},
		{"eight, and the root", append([]*certificate{long[1].Certify(t, "s", key)}, long[1:]...), onlyRoot,
			certchain.BadChain},
		{"seven, and the root", append([]*certificate{long[2].Certify(t, "s", key)}, long[2:]...), onlyRoot, ""},
		{"nine", append([]*certificate{long[0].Certify(t, "s", key)}, long...), onlyRoot, certchain.BadChain},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "an issuer that is no authority" {
				// In PEM, it would be another signer.
				chain, err := certchain.ParseChain([][]byte{test.chain[0].Raw, test.chain[1].Raw})
				if err != nil {
					t.Fatal(err)
				}
				verdict := authorities(t, tokentest.PEMOf(root)).Roots().Judge(chain, time.Now())
				if verdict.Err == nil || verdict.Err.Reason != certchain.Untrusted {
					t.Errorf("%v", verdict.Err)
				}
				return
			}
			if len(test.chain) == 0 {
				if _, err := certchain.NewChain(); err == nil {
					t.Error("no certificates are a chain")
				}
				return
			}
			verdict := judge(t, time.Now(), test.chain, test.roots)
			switch {
			case verdict.Err == nil && test.want != "":
				t.Errorf("it counts, want %s", test.want)
			case verdict.Err != nil && verdict.Err.Reason != test.want:
				t.Errorf("%s: %v, want %q", verdict.Err.Reason, verdict.Err, test.want)
			}
		})
	}
}

func selfSigned(t *testing.T, key *tokentest.Key, name string) *certificate {
	t.Helper()
	c := &certificate{Key: key, Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: name}}}
	return c.Certify(t, name, key, func(template *x509.Certificate) {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	})
}

func selfSigner(t *testing.T, key *tokentest.Key) *certificate {
	t.Helper()
	c := &certificate{Key: key, Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "self"}}}
	return c.Certify(t, "self", key)
}

func expiredIssuer(t *testing.T, root *certificate, key *tokentest.Key) []*certificate {
	t.Helper()
	old := root.Authority(t, "old", tokentest.Valid(-2*day, -day))
	return []*certificate{old.Certify(t, "s", key), old}
}

func criticalIssuer(t *testing.T, root *certificate, key *tokentest.Key) []*certificate {
	t.Helper()
	odd := root.Authority(t, "odd", critical)
	return []*certificate{odd.Certify(t, "s", key), odd}
}

// A verdict holds until the first certificate ends, or until one begins that may make the chain good.
func TestVerdictsEnd(t *testing.T) {
	root := tokentest.NewAuthority(t, "root", tokentest.Valid(-time.Hour, 3*day))
	middle := root.Authority(t, "middle", tokentest.Valid(-time.Hour, 2*day))
	key := tokentest.NewKey(t, "ES256", "")
	roots := authorities(t, tokentest.PEMOf(root)).Roots()
	for name, test := range map[string]struct {
		chain []*certificate
		now   time.Duration // from now on
		want  time.Time     // the end of the verdict
		good  bool
	}{
		"the signer ends first": {[]*certificate{root.Certify(t, "s", key, tokentest.Valid(0, day))}, time.Hour,
			at(day), true},
		"the issuer ends first": {[]*certificate{middle.Certify(t, "s", key), middle}, time.Hour, at(2 * day), true},
		"the root ends first":   {[]*certificate{root.Certify(t, "s", key)}, time.Hour, at(3 * day), true},
		"at the end":            {[]*certificate{root.Certify(t, "s", key)}, 3*day + time.Second, time.Time{}, false},
		"before the beginning": {[]*certificate{root.Certify(t, "s", key, tokentest.Valid(day, 2*day))}, time.Hour,
			at(day), false},
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := certchain.NewChain(plain(test.chain)...)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now().Add(test.now)
			verdict := roots.Judge(chain, now)
			if end := verdict.Until(); (verdict.Err == nil) != test.good || end.IsZero() != test.want.IsZero() ||
				end.Sub(test.want).Abs() > time.Minute {
				t.Errorf("%v until %v, want %v until %v", verdict.Err, end, test.good, test.want)
			}
			if end := verdict.Until(); !verdict.Holds(now) || verdict.Holds(now.Add(-time.Second)) ||
				!end.IsZero() && (verdict.Holds(end) || !verdict.Holds(end.Add(-time.Second))) {
				t.Error("it holds at the wrong times")
			}
		})
	}
}

func at(later time.Duration) time.Time { return time.Now().Add(later) }

func plain(chain []*certificate) (certificates []*x509.Certificate) {
	for _, c := range chain {
		certificates = append(certificates, c.Certificate)
	}
	return certificates
}

func TestParsePEM(t *testing.T) {
	root := tokentest.NewAuthority(t, "root")
	middle := root.Authority(t, "middle")
	one, two := tokentest.NewKey(t, "ES256", ""), tokentest.NewKey(t, "ES256", "")
	text := tokentest.PEMOf(middle.Certify(t, "one", one), middle, root.Certify(t, "two", two))
	chains, err := certchain.ParsePEM([]byte("a comment\n" + text))
	if err != nil || len(chains) != 2 {
		t.Fatalf("%d chains, %v", len(chains), err)
	}
	roots := authorities(t, tokentest.PEMOf(root)).Roots()
	for _, chain := range chains {
		if verdict := roots.Judge(chain, time.Now()); verdict.Err != nil {
			t.Error(verdict.Err)
		}
	}
	for name, text := range map[string]string{
		"a public key":          text + one.PublicPEM(),
		"a private key":         one.PrivatePEM(),
		"no certificate":        strings.ReplaceAll(one.PublicPEM(), "PUBLIC KEY", "CERTIFICATE"),
		"an authority at first": tokentest.PEMOf(middle, root.Certify(t, "two", two)),
		"a damaged block":       strings.Replace(text, "-----END", "----END", 1),
		"nothing":               "",
	} {
		if _, err := certchain.ParsePEM([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := certchain.ParseChain([][]byte{[]byte("DER")}); err == nil {
		t.Error("what is no certificate is accepted")
	}
}

// Whoever breaks the key of an issuer makes signers of its own, so it is judged like that of a signer.
func TestWeakKeysInAChain(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certify := func(template, issuer *x509.Certificate, public any, key any) []byte {
		template.SerialNumber, template.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	root := tokentest.NewAuthority(t, "root")
	weak := certify(&x509.Certificate{Subject: pkix.Name{CommonName: "weak"}, IsCA: true, BasicConstraintsValid: true},
		root.Certificate, private.Public(), root.Key.Private())
	parsed, err := x509.ParseCertificate(weak)
	if err != nil {
		t.Fatal(err)
	}
	signer := certify(&x509.Certificate{Subject: pkix.Name{CommonName: "signer"}}, parsed, root.Key.Public(), private)
	if _, err := certchain.ParseChain([][]byte{signer, weak}); err == nil || !strings.Contains(err.Error(), "curve") {
		t.Errorf("a weak issuer: %v", err)
	}
	_, err = certchain.ParseAuthorities([]byte(tokentest.PEMOf(&certificate{Certificate: parsed})))
	if err == nil || !strings.Contains(err.Error(), "curve") {
		t.Errorf("a weak authority: %v", err)
	}
}

func TestParseAuthorities(t *testing.T) {
	root := tokentest.NewAuthority(t, "root")
	signer := root.Certify(t, "signer", tokentest.NewKey(t, "ES256", ""))
	good := tokentest.PEMOf(root, root.Authority(t, "middle"))
	if certificates, err := certchain.ParseAuthorities([]byte(good)); err != nil || len(certificates) != 2 {
		t.Errorf("%d, %v", len(certificates), err)
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":        {" \n", "it is empty"},
		"words":        {"words", "no PEM block"},
		"a signer":     {good + tokentest.PEMOf(signer), `"CN=signer" is not a certificate authority`},
		"a public key": {signer.Key.PublicPEM(), "is no certificate"},
	} {
		if _, err := certchain.ParseAuthorities([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
