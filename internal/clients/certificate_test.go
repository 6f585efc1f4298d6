package clients_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var (
	country  = asn1.ObjectIdentifier{2, 5, 4, 6}
	state    = asn1.ObjectIdentifier{2, 5, 4, 8}
	locality = asn1.ObjectIdentifier{2, 5, 4, 7}
	organ    = asn1.ObjectIdentifier{2, 5, 4, 10}
	unit     = asn1.ObjectIdentifier{2, 5, 4, 11}
	common   = asn1.ObjectIdentifier{2, 5, 4, 3}
	mail     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// part is one part of a distinguished name.
func part(kind asn1.ObjectIdentifier, value string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: kind, Value: value}
}

// named makes the subject of a certificate have these parts, in the order of the certificate.
func named(tb testing.TB, parts ...pkix.AttributeTypeAndValue) func(*x509.Certificate) {
	tb.Helper()
	var name pkix.RDNSequence
	for _, p := range parts {
		name = append(name, pkix.RelativeDistinguishedNameSET{p})
	}
	raw, err := asn1.Marshal(name)
	if err != nil {
		tb.Fatal(err)
	}
	return func(template *x509.Certificate) { template.RawSubject = raw }
}

func alternative(tb testing.TB, dns []string, uris ...string) func(*x509.Certificate) {
	tb.Helper()
	return func(template *x509.Certificate) {
		template.DNSNames = dns
		for _, text := range uris {
			uri, err := url.Parse(text)
			if err != nil {
				tb.Fatal(err)
			}
			template.URIs = append(template.URIs, uri)
		}
	}
}

// presented is a certificate of an authority that the server trusts.
func presented(tb testing.TB, change ...func(*x509.Certificate)) clients.Presented {
	tb.Helper()
	ca := tokentest.NewAuthority(tb, "ca")
	return clients.Presented{
		Certificate: ca.Certify(tb, "batch", tokentest.NewKey(tb, "ES256", "c"), change...).Certificate, Verified: true,
	}
}

func pin(cert *x509.Certificate) [32]byte { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

func TestACertificateIsTheOneOfTheClient(t *testing.T) {
	usual := presented(t, named(t, part(country, "DE"), part(state, "BY"), part(locality, "Munich"), part(organ,
		"Example"),
		part(unit, "Billing"), part(common, "batch")))
	names := presented(t, alternative(t, []string{"other.example", "batch.example"}, "spiffe://a/b", "spiffe://a/batch"))
	self := tokentest.NewAuthority(t, "batch").Certificate
	old := presented(t, tokentest.Valid(-2*time.Hour, -time.Hour))
	early := presented(t, tokentest.Valid(time.Hour, 2*time.Hour))
	unverified := func(p clients.Presented) clients.Presented { p.Verified = false; return p }
	for name, c := range map[string]struct {
		is   clients.Certificate
		by   clients.Presented
		want string // in the error; empty for none
	}{
		"the subject": {clients.Certificate{Subject: "CN=batch,OU=Billing,O=Example,L=Munich,ST=BY,C=DE"}, usual,
			""},
		"in another order": {clients.Certificate{Subject: "C=DE,ST=BY,L=Munich,O=Example,OU=Billing,CN=batch"}, usual,
			"the subject"},
		"a part of it": {clients.Certificate{Subject: "CN=batch"}, usual, `the subject "CN=batch,OU=`},
		"in another case": {clients.Certificate{Subject: "cn=batch,OU=Billing,O=Example,L=Munich,ST=BY,C=DE"}, usual,
			"the subject"},
		"no subject":          {clients.Certificate{Subject: "CN=batch"}, presented(t, named(t)), "the subject"},
		"DNS":                 {clients.Certificate{DNS: "batch.example"}, names, ""},
		"DNS in another case": {clients.Certificate{DNS: "BATCH.example"}, names, ""},
		"another DNS":         {clients.Certificate{DNS: "example"}, names, "DNS name"},
		"DNS below":           {clients.Certificate{DNS: "a.batch.example"}, names, "DNS name"},
		"DNS in the subject":  {clients.Certificate{DNS: "batch"}, names, "DNS name"},
		"a wildcard": {clients.Certificate{DNS: "batch.example"}, presented(t, alternative(t,
			[]string{"*.example"})), "DNS name"},
		"URI":                  {clients.Certificate{URI: "spiffe://a/batch"}, names, ""},
		"another URI":          {clients.Certificate{URI: "spiffe://a/batch/"}, names, "the URI"},
		"URI of another case":  {clients.Certificate{URI: "spiffe://A/batch"}, names, "the URI"},
		"a pinned key":         {clients.Certificate{Key: pin(self)}, clients.Presented{Certificate: self}, ""},
		"a pinned key of a CA": {clients.Certificate{Key: pin(usual.Certificate)}, usual, ""},
		"another key":          {clients.Certificate{Key: pin(self)}, usual, "another public key"},
		"the subject, unverified": {clients.Certificate{Subject: "CN=batch,OU=Billing,O=Example,L=Munich,ST=BY,C=DE"},
			unverified(usual), "client_auth"},
		"DNS, unverified":       {clients.Certificate{DNS: "batch.example"}, unverified(names), "client_auth"},
		"URI, unverified":       {clients.Certificate{URI: "spiffe://a/batch"}, unverified(names), "client_auth"},
		"expired":               {clients.Certificate{Subject: "CN=batch"}, old, "expired"},
		"not valid yet":         {clients.Certificate{Subject: "CN=batch"}, early, "not valid yet"},
		"a pinned key, expired": {clients.Certificate{Key: pin(old.Certificate)}, old, "expired"},
		"no certificate":        {clients.Certificate{Subject: "CN=batch"}, clients.Presented{}, "no client certificate"},
		"none, but verified": {clients.Certificate{DNS: "batch.example"}, clients.Presented{Verified: true},
			"no client certificate"},
		"none for a pinned key": {clients.Certificate{Key: pin(self)}, clients.Presented{}, "no client certificate"},
		"nothing that was read": {clients.Certificate{Subject: "CN=batch"},
			clients.Presented{Certificate: &x509.Certificate{}, Verified: true}, "the subject"},
		"a subject with garbage": {clients.Certificate{Subject: "CN=batch"}, garbled(t), "the subject"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.is.Check(c.by, time.Now())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// garbled is a certificate whose subject has bytes behind it.
func garbled(tb testing.TB) clients.Presented {
	tb.Helper()
	p := presented(tb)
	changed := *p.Certificate
	changed.RawSubject = append(changed.RawSubject[:len(changed.RawSubject):len(changed.RawSubject)], 5, 0)
	return clients.Presented{Certificate: &changed, Verified: true}
}

// A distinguished name counts with all of its parts, in their order: an authority may let its clients choose some.
func TestAttackSubjectsThatReadLikeAnother(t *testing.T) {
	want := clients.Certificate{Subject: "CN=batch,O=Example"}
	good := []pkix.AttributeTypeAndValue{part(organ, "Example"), part(common, "batch")}
	wants(t, want.Check(presented(t, named(t, good...)), time.Now()), nil)
	for name, parts := range map[string][]pkix.AttributeTypeAndValue{
		"two common names":     {part(organ, "Example"), part(common, "stranger"), part(common, "batch")},
		"the same one twice":   {part(organ, "Example"), part(common, "batch"), part(common, "batch")},
		"in another order":     {part(common, "batch"), part(organ, "Example")},
		"a comma":              {part(common, "batch,O=Example")},
		"a plus":               {part(common, "batch+O=Example")},
		"an escaped comma":     {part(common, `batch\,O=Example`)},
		"two organizations":    {part(organ, "Example"), part(organ, "Evil"), part(common, "batch")},
		"an address behind it": {part(organ, "Example"), part(common, "batch"), part(mail, "a@b.example")},
		"an address before it": {part(mail, "a@b.example"), part(organ, "Example"), part(common, "batch")},
		"a blank":              {part(organ, "Example"), part(common, "batch ")},
		"a NUL":                {part(organ, "Example"), part(common, "batch\x00")},
		"other letters":        {part(organ, "Example"), part(common, "b\u0430tch")},
	} {
		if err := want.Check(presented(t, named(t, parts...)), time.Now()); err == nil {
			t.Errorf("%s is taken for %s", name, want.Subject)
		}
	}
	// Two values in one part are not two parts.
	raw, err := asn1.Marshal(pkix.RDNSequence{{part(common, "batch"), part(organ, "Example")}})
	if err != nil {
		t.Fatal(err)
	}
	together := presented(t, func(template *x509.Certificate) { template.RawSubject = raw })
	if err := want.Check(together, time.Now()); err == nil {
		t.Error("one part with two values is taken for two parts")
	}
}

// What no certificate can have is a mistake, and would keep the client out for good.
func TestCertificatesThatNoClientCanHave(t *testing.T) {
	for _, c := range []clients.Certificate{
		{Subject: "billing"}, {Subject: "/CN=billing/O=Example"}, {Subject: "CN=billing, O=Example"},
		{Subject: "CN = billing"}, {Subject: "CN= billing"}, {Subject: "cn=billing"}, {Subject: "CN="}, {Subject: "CN=a,"},
		{Subject: "emailAddress=a@b.example,CN=a"}, {Subject: `CN=J\C3\B6rg`}, {Subject: `CN=a\`}, {Subject: "CN=a+,OU=b"},
		{DNS: "billing.example "}, {DNS: "b\u00fcro.example"}, {URI: "billing"}, {URI: "not a uri"}, {URI: "spiffe://a b/c"},
		{URI: ":"},
	} {
		_, err := clients.NewSet([]clients.Client{batch(t, func(b *clients.Client) { b.Keys, b.Certificate = nil, &c })}, nil)
		if err == nil {
			t.Errorf("%+v: no error", c)
		} else if !strings.Contains(err.Error(), c.Subject+c.DNS+c.URI) && !strings.Contains(err.Error(), "tls_client_auth") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Each subject of a certificate can be written as it is compared.
func TestSubjectsAsTheyAreWritten(t *testing.T) {
	for _, value := range []string{
		"billing", "a, b", "a+b", `quo"te`, `back\slash`, " blanks ", "#number", "<a;b>", "a=b", "Jörg", "a,CN=b", `a\,CN=b`,
		`\`, " ", "x/y",
	} {
		cert := presented(t, named(t, part(organ, "Example"), part(mail, "a@b.example"), part(common, value)))
		var name pkix.RDNSequence
		if _, err := asn1.Unmarshal(cert.Certificate.RawSubject, &name); err != nil {
			t.Fatal(err)
		}
		is := clients.Certificate{Subject: name.String()}
		client := batch(t, func(b *clients.Client) { b.Keys, b.Certificate = nil, &is })
		_, err := clients.NewSet([]clients.Client{client}, nil)
		if err != nil {
			t.Errorf("%q: %v", value, err)
		}
		if err := is.Check(cert, time.Now()); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
}
