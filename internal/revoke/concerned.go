package revoke

import (
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/revoke/table"
)

// concerned are the consumers that there are entries for. Most consumers have none, and then there is nothing else to
// look up for them: a token of an issuer whose caller counts as a consumer is judged twice.
type concerned struct {
	consumers table.Table
	any       atomic.Bool // there may be entries for any consumer, whose names are not known
}

// has reports whether there may be an entry for a consumer.
func (c *concerned) has(consumer table.Hash) bool {
	if c.any.Load() {
		return true
	}
	_, _, there := c.consumers.Find(consumer)
	return there
}

// merge adds others. The lock of the list must be held.
func (c *concerned) merge(others *concerned) {
	if others.any.Load() {
		c.any.Store(true)
	}
	for part := range table.Parts {
		for i := range others.consumers.All(part) {
			c.add(i.Hash, i.Expires)
		}
	}
}

// add notes that there is an entry for a consumer until some time. The lock of the list must be held.
func (c *concerned) add(consumer table.Hash, expires int64) {
	c.consumers.Put(table.Item{Hash: consumer, Expires: expires})
}
