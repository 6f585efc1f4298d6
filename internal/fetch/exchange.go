package fetch

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"time"
)

// Exchange is one request of a client, and how it went. Tools that diagnose a server look at it. It has neither the
// credentials of the request nor the body of the answer.
type Exchange struct {
	// URL is the address that was asked. Its query may contain a key.
	URL url.URL
	// Status and Header are those of the answer; zero without one.
	Status int
	Header http.Header
	// TLS is the connection's state; nil without TLS, and without an answer.
	TLS *tls.ConnectionState
	// Err says why there is no answer. It is not fit for a log: see Discreet.
	Err error
	// Sent and Received are when the request began, and when the header of the answer or the error came.
	Sent, Received time.Time
}

func exchangeOf(r *http.Request, response *http.Response, err error, sent time.Time) Exchange {
	e := Exchange{URL: *r.URL, Err: err, Sent: sent, Received: time.Now()}
	if response != nil {
		e.Status, e.Header, e.TLS = response.StatusCode, response.Header.Clone(), response.TLS
	}
	return e
}
