package protected

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/resource"
	"github.com/caddyjwt/gateway/internal/setting"
)

// ServerMetadata is how clients get the metadata of an authorization server (RFC 8414) at the host of the resource.
// Clients of MCP 2025-03-26 ask there, and discard the resource's path.
type ServerMetadata struct {
	// How they get it: "redirect" sends them to the issuer's own address (307). "proxy" gives them a copy of the document,
	// which is fetched at the first request and kept fresh. It is the document as it is: its "issuer" is that of the
	// authorization server, which strict clients refuse at another host (RFC 8414 section 3.3). Whatever the server shows
	// to the gate, with its header fields and client certificate, everybody can then see.
	Mode string `json:"mode"`
	// The issuer whose metadata it is: one of the gate's, and an https URL. Default: the only one that is. Placeholders
	// are resolved.
	Issuer string `json:"issuer,omitempty"`
}

// Read reads the mode, and the issuer that may follow.
func (m *ServerMetadata) Read(b *words.Block) error {
	args := b.Args()
	if len(args) == 0 || len(args) > 2 || args[0] != "proxy" && args[0] != "redirect" {
		return b.WrongUsage("an issuer is needed only if the gate has several")
	}
	if m.Mode = args[0]; len(args) == 2 {
		m.Issuer = args[1]
	}
	return nil
}

// Choose checks the settings, and chooses one of the gate's issuers. It returns the issuer's place in the list, or -1
// when that is not known yet. guards says that the gate has a resource, and id which one, if that is known.
func (m *ServerMetadata) Choose(
	s *words.Settings, guards bool, id *resource.Identifier, issuers []string,
) (int, error) {
	if m.Mode != "proxy" && m.Mode != "redirect" {
		return -1, setting.Errorf("Mode", "auth_server_metadata %q: expected proxy or redirect", m.Mode)
	}
	if !guards {
		return -1, errors.New("auth_server_metadata is for clients that know only the resource, and this gate names none: " +
			"add \"resource <url>\", or remove auth_server_metadata")
	}
	named, known, err := s.Text("auth_server_metadata", m.Issuer)
	if err != nil || !known {
		return -1, setting.In("Issuer", err)
	}
	chosen, err := chosen(named, issuers)
	if err != nil {
		return -1, setting.In("Issuer", fmt.Errorf("auth_server_metadata: %w", err))
	}
	address, err := addressOf(chosen)
	if err == nil && id != nil && address == id.Origin()+AuthServerPath {
		err = fmt.Errorf("the issuer %q has the host of the resource, so its own metadata must be at %s: remove "+
			"auth_server_metadata", chosen, address)
	}
	if err != nil {
		return -1, fmt.Errorf("auth_server_metadata: %w", err)
	}
	return slices.Index(issuers, chosen), nil
}

// chosen is the named issuer or, without a name, the only one that clients can find.
func chosen(named string, issuers []string) (string, error) {
	found := slices.DeleteFunc(slices.Clone(issuers), func(name string) bool { return !resource.ForClients(name) })
	switch {
	case slices.Contains(found, named):
		return named, nil
	case slices.Contains(issuers, named):
		return "", fmt.Errorf("clients cannot find the metadata of %q, which is not an https URL: name another issuer, or "+
			"remove auth_server_metadata", named)
	case len(found) == 0:
		return "", errors.New("no issuer of this gate is an https URL, so there is no metadata: remove auth_server_metadata")
	case named != "":
		return "", fmt.Errorf("the gate has no issuer %q: %s", named, causes.NewIssuers(found).Describe(named))
	case len(found) > 1:
		return "", fmt.Errorf("clients can get the metadata of one server, and the gate has %s: write one of them after "+
			"the mode", causes.List(found))
	default:
		return found[0], nil
	}
}

// addressOf is where RFC 8414 section 3 has the metadata of an issuer.
func addressOf(issuer string) (string, error) {
	addresses, err := keyset.WellKnown(issuer)
	if err != nil {
		return "", err
	}
	return addresses[1], nil
}

// Mirrors has the copy of the metadata for a configuration, and for its requests that come late. It belongs to the gate
// that opened it. Close it with End.
type Mirrors struct {
	*pool.Leases[*authserver.Mirror]
}

// Mirror takes the mirror with these options from the pool. report gets errors of closing that no caller sees.
func Mirror(p *pool.Pool, options authserver.MirrorOptions, report func(error)) (Mirrors, error) {
	leases, err := pool.Begin(p, func(l *pool.Lease) (*authserver.Mirror, error) {
		id := options.Fingerprint()
		return pool.Take(l, "mirror", string(id[:]), func() (*authserver.Mirror, error) {
			return authserver.NewMirror(options)
		})
	}, report)
	return Mirrors{leases}, err
}

// document is the present copy. Until it is there, the lease is held, so that the mirror stays open.
func (m Mirrors) document(ctx context.Context) ([]byte, time.Duration, error) {
	held, err := m.Hold()
	if err != nil {
		return nil, time.Second, err
	}
	defer held.LetGo()
	return held.Value.Document(ctx)
}
