package diagnose

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"time"
)

// soon is how long before its end a certificate is reported. Certificates that live shorter are renewed later, so for
// them it is a quarter of their life.
const soon = 14 * 24 * time.Hour

// Certificate is a certificate in the configuration or in one of its files.
type Certificate struct {
	What      string // such as "client_cert of issuer x"
	NotBefore time.Time
	NotAfter  time.Time
}

// Certificates returns the certificates in PEM text. Blocks that are none are left out.
func Certificates(what string, text []byte) (found []Certificate) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			found = append(found, Certificate{what, cert.NotBefore, cert.NotAfter})
		}
	}
	return found
}

// Local is the check of a certificate that no server is asked about, such as that of a consumer's credential.
type Local struct {
	What     string    `json:"what"`
	Expires  time.Time `json:"expires"`
	Result   Level     `json:"result"`
	Findings []Finding `json:"findings"`
}

// CheckLocal looks at the dates of certificates.
func CheckLocal(certificates []Certificate, now time.Time) []Local {
	locals := make([]Local, 0, len(certificates))
	for _, cert := range certificates {
		local := Local{What: printable(cert.What), Expires: cert.NotAfter.UTC(), Findings: []Finding{}}
		if f, found := expiry("it", cert, now, "replace it in the configuration"); found {
			local.Findings = append(local.Findings, f)
		}
		local.Result = worst(local.Findings)
		locals = append(locals, local)
	}
	return locals
}

// files looks at the certificates in files for the issuer's server.
func (q *inquiry) files(now time.Time) {
	for _, cert := range q.of.Files {
		q.judgeExpiry(cert.What, cert, now, "replace the file, and reload the configuration")
	}
	if from, can := q.of.Keys.(interface{ Expires() time.Time }); can && !from.Expires().IsZero() {
		q.judgeExpiry("a certificate in \"keys "+q.of.KeysFrom+"\"", Certificate{NotAfter: from.Expires()}, now,
			"replace it: when it expires, keys of this issuer end")
	}
}

func (q *inquiry) judgeExpiry(what string, cert Certificate, now time.Time, cure string) {
	if f, found := expiry(what, cert, now, cure); found {
		q.find(f.Level, f.Code, f.Text, f.Cure)
	}
}

// expiry makes the finding about a certificate that has expired or soon will.
func expiry(what string, cert Certificate, now time.Time, cure string) (Finding, bool) {
	left := cert.NotAfter.Sub(now)
	early := soon
	if !cert.NotBefore.IsZero() {
		early = min(early, cert.NotAfter.Sub(cert.NotBefore)/4)
	}
	f := Finding{Cure: cure}
	date := cert.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case left <= 0:
		f.Level, f.Code, f.Text = Problem, CertificateExpired, what+" expired at "+date
	case left < early:
		f.Level, f.Code, f.Text = Warning, CertificateExpires, what+" expires at "+date
	default:
		return f, false
	}
	return f, true
}

// firstToExpire is the certificate of a verified chain that ends first. The root counts only if it is all there is:
// programs trust it whatever its dates are.
func firstToExpire(state *tls.ConnectionState) (first Certificate, known bool) {
	if state == nil || len(state.VerifiedChains) == 0 {
		return first, false
	}
	chain := state.VerifiedChains[0]
	for _, cert := range chain[:max(1, len(chain)-1)] {
		if !known || cert.NotAfter.Before(first.NotAfter) {
			first, known = Certificate{NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}, true
		}
	}
	return first, known
}
