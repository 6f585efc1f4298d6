package caddyjwt

import (
	"cmp"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// This file exports what the tools of package command need. They look at a configuration without running it.

// Offline is the gate of a configuration without the network. So it can judge only tokens of consumers, and of issuers
// whose keys are in the configuration or in a file, as far as nobody is asked about them.
type Offline struct {
	gate    *gate.Gate
	config  gate.Config
	issuers []OfflineIssuer
}

// Offline checks the configuration and makes its gate. now is the gate's clock. An error is the one that Caddy would
// report when it loads the configuration.
func (h *Handler) Offline(now func() time.Time) (*Offline, error) {
	built, err := h.compile(words.NewSettings())
	if err != nil {
		return nil, err
	}
	built.stub()
	if err := h.readRoster(words.NewSettings(), built); err != nil {
		return nil, err
	}
	issuers, err := built.issuersHere(h, time.Now())
	if err != nil {
		return nil, err
	}
	if built.config.Proof, err = process.New().Proofs.ForTools(built.proof); err != nil {
		return nil, err
	}
	built.config.Now, built.config.Public = now, nil // the token is to be judged, whatever the path
	g, err := gate.New(built.config)
	if err != nil {
		return nil, err
	}
	return &Offline{g, built.config, issuers}, nil
}

// Owners are those whose tokens can be revoked at the gate of a configuration that does not run, if it has a store. An
// error is the one that Caddy would report when it loads the configuration.
func (h *Handler) Owners() ([]revoke.Owner, error) {
	built, err := h.compile(words.NewSettings())
	if err != nil {
		return nil, err
	}
	built.stub()
	if err := h.readRoster(words.NewSettings(), built); err != nil {
		return nil, err
	}
	built.config.Revocations = revoke.NewList() // a gate without it has no owners
	g, err := gate.New(built.config)
	if err != nil {
		return nil, err
	}
	return g.Owners(), nil
}

// KeyClaim is the name of the claim that selects a consumer's credential.
func (o *Offline) KeyClaim() string { return cmp.Or(o.config.KeyClaim, gate.DefaultKeyClaim) }

// Audience is the audiences of which a token's "aud" must have one. It is empty if the route accepts any.
func (o *Offline) Audience() []string { return o.config.Audience.Accepted }

// Scopes are scopes with which a token meets all requirements about scopes.
func (o *Offline) Scopes() []string { return o.config.Require.ScopesToAsk() }

// Decrypts reports whether an issuer's tokens may be encrypted.
func (o *Offline) Decrypts() bool {
	return slices.ContainsFunc(o.config.Issuers, func(i gate.Issuer) bool { return i.Decrypt != nil })
}

// TakesDPoP reports whether a client may prove by DPoP that it has the key of its token.
func (o *Offline) TakesDPoP() bool { return o.config.Proof != nil && o.config.Proof.DPoP != nil }

// TakesCertificates reports whether a client may prove that by its certificate.
func (o *Offline) TakesCertificates() bool {
	return o.config.Proof != nil && o.config.Proof.Certificates != nil
}

// Now is the time on the gate's clock.
func (o *Offline) Now() time.Time { return o.config.Now() }

// Base is a URL of the gate with the path "/": that of its resource, if the configuration has one, and otherwise
// "https://localhost/".
func (o *Offline) Base() string {
	if o.TakesDPoP() && o.config.Proof.DPoP.Host != "" {
		return o.config.Proof.DPoP.Scheme + "://" + o.config.Proof.DPoP.Host + "/"
	}
	return "https://localhost/"
}

// Request is a request with the token in the first configured place. It came by TLS to the host "localhost".
func (o *Offline) Request(token string) *http.Request {
	r := requestWith(o.config.Extractor.Places()[0], token)
	r.Host, r.TLS = "localhost", new(tls.ConnectionState)
	return r
}

// Try has the gate check a request, which no proxy has forwarded. An error is a *gate.Failure.
func (o *Offline) Try(r *http.Request) error {
	verdict, err := o.gate.Check(gate.Request{HTTP: r, Facts: gate.Direct(r)})
	if err == nil && verdict.Outcome != gate.Accepted {
		err = gate.InternalError
	}
	if err == nil {
		err = o.gate.Annotate(r, verdict.Identity)
	}
	if err == nil {
		return nil
	}
	return gate.FailureOf(err)
}

// requestWith is a request that has the token in this place.
func requestWith(place bearer.Place, token string) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/"}, RequestURI: "/", Header: make(http.Header), Body: http.NoBody,
	}
	//exhaustive:enforce
	switch place.Kind {
	case bearer.Header:
		r.Header.Set(place.Name, strings.TrimPrefix(place.Scheme+" "+token, " "))
	case bearer.Query:
		r.URL.RawQuery = place.Name + "=" + url.QueryEscape(token)
		r.RequestURI += "?" + r.URL.RawQuery
	case bearer.Cookie:
		r.Header.Set("Cookie", place.Name+"="+token)
	case bearer.Form:
		body := place.Name + "=" + url.QueryEscape(token)
		r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case bearer.Subprotocol:
		r.Header = bearer.Handshake(place.Name, token)
	}
	return r
}
