package pool

import (
	"errors"
	"io"

	"github.com/caddyjwt/gateway/introspect"
)

// Client is an introspection client in a pool.
type Client struct {
	*introspect.Client

	// Issuer is the issuer about whose tokens the client asks, as configured.
	Issuer string

	transport io.Closer
}

// Client finds or opens the client that asks an authorization server about an issuer's tokens. id is a fingerprint of
// its settings. open gives the client, and the connections that close with it.
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
