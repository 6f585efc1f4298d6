package protected

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/document"
	"github.com/caddyjwt/gateway/internal/resource"
)

// AuthServerPath is where clients of MCP 2025-03-26 look for the metadata of the authorization server: at the host of
// the resource, whatever the resource's path. It is the place for an issuer without a path (RFC 8414 section 3).
const AuthServerPath = "/.well-known/oauth-authorization-server"

// authServer is the authorization server whose metadata such clients get.
type authServer struct {
	issuer  string
	address string  // of the metadata: clients are sent there. Without it, they get the mirror's copy
	mirrors Mirrors // of the gate that was provisioned first
	last    atomic.Pointer[document.Document]
}

// serve answers a request. Everybody gets the same answer.
func (s *authServer) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		new(document.Document).Serve(w, r)
		return
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	if s.address != "" {
		// Not for good (308): a cache would keep it after the server has moved.
		header.Set("Location", s.address)
		header.Set("Cache-Control", "public, max-age="+document.MaxAge)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	text, retryAfter, err := s.mirrors.document(r.Context())
	if err != nil {
		header.Set("Cache-Control", "no-store")
		header.Set("Retry-After", strconv.Itoa(max(1, int(retryAfter/time.Second))))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	last := s.last.Load()
	if last == nil || !bytes.Equal(last.Body, text) {
		last = document.New(text)
		s.last.Store(last)
	}
	last.Serve(w, r)
}

// Redirect says that clients at the host of a resource are sent to the metadata of an issuer.
func (r *Registry) Redirect(id resource.Identifier, issuer string) error {
	address, err := addressOf(issuer)
	if err != nil {
		return fmt.Errorf("auth_server_metadata: %w", err)
	}
	return r.offer(id, &authServer{issuer: issuer, address: address})
}

// Proxy says that clients at the host of a resource get a copy of the metadata of an issuer.
func (r *Registry) Proxy(id resource.Identifier, issuer string, mirrors Mirrors) error {
	return r.offer(id, &authServer{issuer: issuer, mirrors: mirrors})
}

// offer adds a server. Clients ask the host and not the resource, so it is an error if two resources of one host offer
// different servers.
func (r *Registry) offer(id resource.Identifier, server *authServer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.servers[id.Origin()]
	switch {
	case before == nil:
		if r.servers == nil {
			r.servers = make(map[string]*authServer)
		}
		r.servers[id.Origin()] = server
		return nil
	case before.issuer != server.issuer:
		return fmt.Errorf("clients ask the host %s for the metadata of its authorization server, so there can be only one, "+
			"and there are %q and %q: leave auth_server_metadata out of the gates of one of them",
			id.Origin(), before.issuer, server.issuer)
	case before.address != server.address:
		return fmt.Errorf("the gates of %s do not agree on auth_server_metadata: write proxy in all of them, or redirect",
			id.Origin())
	default:
		return nil
	}
}
