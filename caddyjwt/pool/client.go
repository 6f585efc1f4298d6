package pool

import (
	"errors"
	"io"

	"github.com/caddyjwt/gateway/introspect"
)

// Client is an introspection client in a pool.
type Client struct {
	*introspect.Client

	// Issuer is the configured name of the issuer about whose tokens the client asks.
	Issuer string

	transport io.Closer
}

// Client takes the client that asks an authorization server about an issuer's tokens from the pool, or opens it. id is
// a fingerprint of its settings. open returns the client, and its connections, which close with it.
func (l *Lease) Client(
	issuer string, id [32]byte, open func() (*introspect.Client, io.Closer, error),
) (*introspect.Client, error) {
	client, err := Take(l, "introspect", string(id[:]), func() (*Client, error) {
		client, transport, err := open()
		if err != nil {
			return nil, err
		}
		return &Client{client, issuer, transport}, nil
	})
	if err != nil {
		return nil, err
	}
	return client.Client, nil
}

// Destruct implements caddy.Destructor.
func (c *Client) Destruct() error { return errors.Join(c.Close(), c.transport.Close()) }
