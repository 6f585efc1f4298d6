// Package protected serves the metadata of protected resources (RFC 9728): the module http.handlers.protected_resource,
// and the registry in which the gates of a configuration say what their resources are.
package protected

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/caddyjwt/gateway/caddyjwt/document"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/resource"
)

// Registry knows the resources of one configuration. Gates add theirs while the configuration loads. The documents are
// made once, after that. The zero value is ready to use. A reload has a new one, so it never shows what the last
// configuration said.
type Registry struct {
	mu        sync.Mutex
	resources map[string]*entry      // by identifier
	servers   map[string]*authServer // by origin
	once      sync.Once
}

// entry is one resource.
type entry struct {
	id       resource.Identifier
	parts    []part
	handlers int // how many handlers serve it

	// What follows is made once.
	document *document.Document
	rivals   []string // hosts of others that are served at the same path

	server       *authServer // nil for none
	serverRivals []string    // hosts of others, whose servers may be others, too
}

// part is what a gate of a server tells.
type part struct {
	server string
	resource.Part
}

// Add adds what a gate tells about its resource. server is the name of the gate's server. It is an error if gates
// contradict each other, or if another resource has the same address for its metadata.
func (r *Registry) Add(server string, id resource.Identifier, more resource.Part) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(id)
	e.parts = append(e.parts, part{server, more})
	if _, err := e.unite(); err != nil {
		return err
	}
	for _, other := range r.resources {
		if other != e && len(other.parts) > 0 && other.id.MetadataURL() == id.MetadataURL() {
			return fmt.Errorf("%q and %q have one address for their metadata, %s: write both in the same way",
				id, other.id, id.MetadataURL())
		}
	}
	return nil
}

// entry is that of a resource, new or not. The caller holds the lock.
func (r *Registry) entry(id resource.Identifier) *entry {
	e := r.resources[id.String()]
	if e == nil {
		e = &entry{id: id}
		if r.resources == nil {
			r.resources = make(map[string]*entry)
		}
		r.resources[id.String()] = e
	}
	return e
}

// unite makes the document. Caddy provisions servers in any order, and the document must not change with it. So parts
// are in the order of the names of their servers, and of one server in the order of its routes.
func (e *entry) unite() (resource.Document, error) {
	sorted := slices.Clone(e.parts)
	slices.SortStableFunc(sorted, func(a, b part) int { return cmp.Compare(a.server, b.server) })
	parts := make([]resource.Part, len(sorted))
	for i := range sorted {
		parts[i] = sorted[i].Part
	}
	return resource.Unite(e.id, parts)
}

// serve registers a handler that serves a resource.
func (r *Registry) serve(id resource.Identifier) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(id)
	e.handlers++
	return e
}

// Finish makes the documents. Call it when all gates are there. It is an error if a handler serves a resource that no
// gate has.
func (r *Registry) Finish() error {
	r.finish()
	guarded := r.Guarded()
	for _, name := range slices.Sorted(maps.Keys(r.resources)) {
		if err := isGuarded(name, guarded); err != nil {
			return err
		}
	}
	return nil
}

// instead says what to write in place of a resource that no gate has. guarded are those that gates have.
func instead(name string, guarded []string) string {
	if len(guarded) == 0 {
		return fmt.Sprintf("write \"resource %s\" in the block of the gate that guards it", name)
	}
	if near, found := causes.NewIssuers(guarded).Near(name); found {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("gates have %s; write one of them, or \"resource %s\" in the block of the gate that guards it",
		causes.List(guarded), name)
}

// Guarded lists the resources of gates, in the order of their names.
func (r *Registry) Guarded() []resource.Identifier {
	r.mu.Lock()
	defer r.mu.Unlock()
	var guarded []resource.Identifier
	for _, name := range slices.Sorted(maps.Keys(r.resources)) {
		if e := r.resources[name]; len(e.parts) > 0 {
			guarded = append(guarded, e.id)
		}
	}
	return guarded
}

// finish makes the documents if they have not been made. A server may take requests before Finish is called, because
// Caddy starts apps in any order.
func (r *Registry) finish() {
	r.once.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.resources {
			if len(e.parts) == 0 {
				continue
			}
			if united, err := e.unite(); err == nil { // Add has refused the configuration otherwise
				e.document = document.New(united.JSON())
			}
			e.server = r.servers[e.id.Origin()]
			for _, other := range r.resources {
				if other.handlers == 0 || other.id.Host() == e.id.Host() {
					continue
				}
				// Also if it has no server: its clients must not be sent to ours.
				e.serverRivals = append(e.serverRivals, other.id.Host())
				if other.id.MetadataPath() == e.id.MetadataPath() {
					e.rivals = append(e.rivals, other.id.Host())
				}
			}
		}
	})
}
