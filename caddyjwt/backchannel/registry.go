package backchannel

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/logout"
)

// Registry knows the receivers of one configuration. Gates add theirs while the configuration loads, and handlers find
// them after that. The zero value is ready to use.
type Registry struct {
	mu        sync.Mutex
	receivers []*Receiver
	handlers  []*Handler
	once      sync.Once
}

// Open is a receiver with the keys of its issuer.
type Open struct {
	*logout.Receiver
	// KeysID tells the sources of keys apart.
	KeysID [32]byte
}

// Receiver is where the logout requests of one issuer are answered. Gates that say the same about it share one.
type Receiver struct {
	Plan
	// Settings are those of logout.Config that need nothing open. Gates that share a receiver must agree on them.
	Settings logout.Config
	// Leases have the keys. They belong to the gate that adds the receiver.
	Leases *pool.Leases[Open]
	// Count counts a request by what became of it: the text of a logout.Outcome or of a logout.Reason.
	Count func(result string)

	keysID [32]byte
	lines  lines
}

// Add adds the receiver of a gate. If another gate has the same one already, that one is used. It is an error if the
// two differ in something that the requests cannot decide.
func (r *Registry) Add(x *Receiver) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	x.keysID = x.Leases.Ours().Value.KeysID
	for _, other := range r.receivers {
		if !other.is(x.Path, x.Settings.Issuer, x.Clients) {
			continue
		}
		if difference := other.difference(x); difference != "" {
			return fmt.Errorf("gates that hear of the logouts of issuer %q for the same clients at %s must have the same "+
				"settings for it, and they differ in %s: write the same in both, or give one of them another path",
				x.Settings.Issuer, x.Path, difference)
		}
		return nil
	}
	r.receivers = append(r.receivers, x)
	return nil
}

// is reports whether a receiver is the one for these clients, as gates and handlers name it. An empty issuer is any,
// and so is an empty list of clients.
func (x *Receiver) is(path, issuer string, clients []string) bool {
	return x.Path == path && (issuer == "" || x.Settings.Issuer == issuer) &&
		(len(clients) == 0 || slices.Equal(x.Clients, clients))
}

// difference says in what two receivers of one path differ; "" for nothing.
func (x *Receiver) difference(other *Receiver) string {
	a, b := &x.Settings, &other.Settings
	switch {
	case a.Issuer != b.Issuer:
		return fmt.Sprintf("the issuer: %s and %s", causes.Quote(a.Issuer), causes.Quote(b.Issuer))
	case !slices.Equal(x.Clients, other.Clients):
		return fmt.Sprintf("client_id: %s and %s", causes.List(x.Clients), causes.List(other.Clients))
	case a.WithoutSID != b.WithoutSID:
		return "without_sid"
	case a.Leeway != b.Leeway:
		return fmt.Sprintf("leeway: %v and %v", a.Leeway, b.Leeway)
	case a.Algorithms != b.Algorithms:
		return fmt.Sprintf("algorithms: %v and %v", a.Algorithms, b.Algorithms)
	case !sameReading(a.Reading, b.Reading):
		return "tolerate, or max_lifetime with it"
	case x.keysID != other.keysID:
		return "the source of its keys, or how they are fetched"
	default:
		return ""
	}
}

// sameReading reports whether claims are read in the same way, as far as logout tokens have them.
func sameReading(a, b *claims.Reading) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Tolerate == b.Tolerate && a.Lifetime == b.Lifetime
}

// handle registers a handler.
func (r *Registry) handle(h *Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handlers = append(r.handlers, h)
}

// Finish gives each handler its receiver. Call it when all gates are there. ctx is the context of the configuration. It
// is an error if a handler has none, or if two receivers are at one address.
func (r *Registry) Finish(ctx caddy.Context) error {
	r.finish()
	for _, h := range r.handlers {
		if h.receiver == nil {
			return r.lost(h)
		}
	}
	return r.collide(ctx)
}

// finish gives each handler its receiver, if that has not been done. A server may take requests before Finish is
// called, because Caddy starts apps in any order. All gates have been provisioned by then.
func (r *Registry) finish() {
	r.once.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, h := range r.handlers {
			if found := r.meant(h); len(found) == 1 {
				h.receiver = found[0]
			}
		}
	})
}

// meant are the receivers that a handler may mean. It must be one.
func (r *Registry) meant(h *Handler) (found []*Receiver) {
	for _, x := range r.receivers {
		if x.is(h.Path, h.issuer, h.clients) {
			found = append(found, x)
		}
	}
	return found
}

// lost is the error about a handler for which there is not exactly one receiver.
func (r *Registry) lost(h *Handler) error {
	found := r.meant(h)
	if len(found) > 1 {
		return fmt.Errorf("backchannel_logout %s: several receivers have this path, and the first two differ in %s: write "+
			"the issuer behind the path, or give each its own path", h.Path, found[0].difference(found[1]))
	}
	var paths []string
	for _, x := range r.receivers {
		paths = append(paths, x.Path)
	}
	slices.Sort(paths)
	name := strings.TrimSpace(h.Path + " " + h.issuer)
	if paths = slices.Compact(paths); len(paths) > 0 {
		return fmt.Errorf("backchannel_logout %s: no issuer of a bearer_auth has this path; there are %s", name,
			causes.List(paths))
	}
	return fmt.Errorf("backchannel_logout %s: no issuer of a bearer_auth has it: write \"backchannel_logout %s\" with "+
		"its client_id in the block of the issuer", name, h.Path)
}
