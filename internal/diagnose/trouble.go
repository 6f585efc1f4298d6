package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// trouble is one kind of failure on the way to a document or an answer.
type trouble struct {
	code Code
	is   func(error) bool
	cure string
}

// troubles are in the order in which they are looked for: the more special come first.
var troubles = []trouble{
	{AddressNotAllowed, isA(fetch.ErrAddress),
		"use https. For http to a server in a network of your own add allow_http; for a link-local address by https, " +
			"allow_link_local"},
	{TLSPin, isA(fetch.ErrPin), "compare \"pin\" with the server's key: it may have been replaced"},
	{TLSExpired, func(err error) bool {
		invalid, is := errors.AsType[x509.CertificateInvalidError](err)
		return is && invalid.Reason == x509.Expired
	}, "renew the server's certificate, and compare the clocks"},
	{TLSWrongName, is[x509.HostnameError],
		"check the host in the address; if the certificate is right under another name, add server_name to \"tls\""},
	{TLSUntrusted, is[x509.UnknownAuthorityError],
		"for an authority of your own add \"ca <file>\" to \"tls\"; otherwise the server sends an incomplete chain"},
	{TLSFailed, is[*tls.CertificateVerificationError], "look at the server's certificate"},
	{NotTLS, func(err error) bool {
		// net/http makes a plain error of it when the server speaks HTTP.
		return is[tls.RecordHeaderError](err) || strings.Contains(err.Error(), "gave HTTP response to HTTPS client")
	}, "check the port: what listens there does not speak TLS"},
	{TLSRefused, isNetOp("remote error"),
		"the server ended the handshake. If it wants a certificate, add client_cert and client_key to \"tls\""},
	{ProxyFailed, isNetOp("proxyconnect"), "check HTTPS_PROXY and NO_PROXY in the environment of this command"},
	{UnknownHost, is[*net.DNSError],
		"check the spelling of the host, and whether this machine can resolve it"},
	{ConnectionRefused, isA(syscall.ECONNREFUSED), "start the server, or check host and port"},
	{Unreachable, isA(syscall.ENETUNREACH, syscall.EHOSTUNREACH), "check the route and the firewall"},
	{Timeout, func(err error) bool {
		slow, is := errors.AsType[net.Error](err)
		return is && slow.Timeout() || errors.Is(err, context.DeadlineExceeded)
	}, "check the firewall, and whether the server is overloaded"},
	{Redirected, isA(fetch.ErrRedirect), "configure the address where the redirects end"},
	{TooLarge, isA(fetch.ErrTooLarge), "check the address: no key set or metadata document is that long"},
	{NoKeys, isA(keyset.ErrNoKeys), "look at the key set; for keys of a SPIFFE bundle add \"key_use jwt-svid\""},
	{Malformed, isA(keyset.ErrFormat), "check the address: another document is there, perhaps the page of a proxy"},
	{Unreachable, isA(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE),
		"the connection broke: look at the server's log, and at proxies between"},
}

// is makes a rule about the type of an error.
func is[E error](err error) bool {
	_, found := errors.AsType[E](err)
	return found
}

func isA(targets ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
}

// isNetOp makes a rule about an error of package net during one kind of operation.
func isNetOp(name string) func(error) bool {
	return func(err error) bool {
		op, is := errors.AsType[*net.OpError](err)
		return is && op.Op == name
	}
}

// trouble reports why something could not be fetched. The text of err is fit for people, but the types of the errors
// below it may be lost. The exchanges still have them.
func (q *inquiry) trouble(err error, exchanges []fetch.Exchange) {
	if differs, is := errors.AsType[*keyset.IssuerError](err); is {
		q.differs(differs)
		return
	}
	for _, t := range troubles {
		for _, e := range exchanges {
			if e.Err != nil && t.is(e.Err) {
				q.find(Problem, t.code, fmt.Sprintf("%s: %v", e.URL.Host, fetch.Discreet(e.Err)), t.cure)
				return
			}
		}
		if t.is(err) {
			q.find(Problem, t.code, err.Error(), t.cure)
			return
		}
	}
	for _, e := range slices.Backward(exchanges) {
		if e.Status >= http.StatusBadRequest {
			q.find(Problem, Status, err.Error(), cureOfStatus(e.Status))
			return
		}
	}
	q.find(Problem, Failed, err.Error(), "")
}

// cureOfStatus says what helps against an answer with this status to a request for a document.
func cureOfStatus(status int) string {
	switch {
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusMethodNotAllowed:
		return "check the address"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "the server wants a key, or a firewall blocks this machine; header_up sends a header field to the server"
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		return "look at the server, and try again later"
	default:
		return fmt.Sprintf("check the address: %d is no status for a document", status)
	}
}
