package operator

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/caddyjwt/explain"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/paste"
)

// Question asks why a gate refuses a token or a request.
type Question struct {
	// Input is a token, a header line, a curl command, an HTTP request, or the JSON answer of a token endpoint.
	Input string `json:"input"`
	// Site is the host of the gates; Route is a path, or the number or name of a gate. Empty means all.
	Site  string `json:"site,omitempty"`
	Route string `json:"route,omitempty"`
	// ClientCertificate is the certificate that the client of the request has shown, as PEM. Empty means none.
	ClientCertificate string `json:"client_certificate,omitempty"`
}

// maxQuestion bounds the body of a question, in bytes. In JSON, a text may take several times its length.
const maxQuestion = 3 * paste.MaxInput

// explain judges what the body has by the gates in force. They use the keys and answers that they have, fetch what they
// lack, and know what is revoked, as for any request. Nothing is counted, and nobody gets in.
func (a *adminAPI) explain(r *http.Request) (any, error) {
	var q Question
	if err := adminroute.Read(r.Body, maxQuestion, &q); err != nil {
		return nil, wrong(err)
	}
	if q.Input == "" {
		return nil, wrong(errors.New(`"input" is missing: a token, a header line, a curl command or an HTTP request`))
	}
	in, err := paste.Read(q.Input)
	if err != nil {
		return nil, wrong(err)
	}
	certificate, err := q.certificate()
	if err != nil {
		return nil, wrong(err)
	}
	var gates []*explain.Gate
	for _, known := range process.Shared().Gates.Gates() {
		gates = append(gates, known.Explained())
	}
	report, err := explain.Explain(r.Context(), gates, explain.Order{
		Input: in, Site: q.Site, Route: q.Route, Certificate: certificate,
	})
	if err != nil {
		return nil, wrong(err)
	}
	return report, nil
}

var errCertificate = errors.New(`"client_certificate" is not one certificate as PEM`)

// certificate is that of the client; nil for none. An error does not quote it: somebody may have given a key.
func (q *Question) certificate() (*x509.Certificate, error) {
	if q.ClientCertificate == "" {
		return nil, nil
	}
	block, rest := pem.Decode([]byte(q.ClientCertificate))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, errCertificate
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errCertificate
	}
	return certificate, nil
}
