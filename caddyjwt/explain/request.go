package explain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof"
)

// sent is the request that a gate judges.
type sent struct {
	request *http.Request
	assumed string // what the input does not say, and is taken for given; empty for nothing
}

// requestFor is a request of its own for each gate: reading a form consumes the body.
func (o *Order) requestFor(ctx context.Context, x Judge) (sent, error) {
	in := o.Input
	if in.Request == nil {
		s := sent{request: x.Request(in.Token).WithContext(ctx)}
		s.connect("https", o.Certificate)
		return s, nil
	}
	s := sent{request: in.Request.Clone(ctx)}
	body, err := io.ReadAll(in.Request.Body)
	if err != nil {
		return s, err
	}
	in.Request.Body, s.request.Body = newBody(body), newBody(body)
	scheme := in.Scheme
	if scheme == "" {
		scheme = s.assume()
	}
	s.connect(scheme, o.Certificate)
	return s, nil
}

func newBody(body []byte) io.ReadCloser {
	if len(body) == 0 {
		return http.NoBody
	}
	return io.NopCloser(strings.NewReader(string(body)))
}

// connect sets how the request came. A client shows a certificate only by TLS.
func (s *sent) connect(scheme string, certificate *x509.Certificate) {
	if scheme != "https" {
		return
	}
	s.request.TLS = new(tls.ConnectionState)
	if certificate != nil {
		s.request.TLS.PeerCertificates = []*x509.Certificate{certificate}
	}
}

// assume gives the scheme of a request that does not say it: that of its DPoP proof, or https. Header lines alone have
// no method and no address, either. Then those of the proof count, so that the rest of the proof can be judged.
func (s *sent) assume() (scheme string) {
	says, err := proof.Describe(s.request.Header.Get(possession.Field))
	address, wrong := url.Parse(says.URI)
	if err != nil || wrong != nil || says.URI == "" {
		s.assumed = "the input does not say whether the request came by https, which is assumed"
		return "https"
	}
	s.assumed = "the input does not say whether the request came by http or https: that of the proof is assumed"
	if r := s.request; r.Host == "" {
		s.assumed = "the input does not say where the request goes: the method and the address of the proof are assumed"
		r.Method, r.Host, r.RequestURI = says.Method, address.Host, address.RequestURI()
		r.URL = &url.URL{Path: address.Path, RawPath: address.RawPath}
	}
	return address.Scheme
}
