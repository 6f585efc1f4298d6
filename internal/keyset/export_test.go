package keyset

import (
	"context"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
)

// Getter stands in for the network.
type Getter func(ctx context.Context, url, accept, etag string) (*fetch.Response, error)

func (g Getter) Get(ctx context.Context, url, accept, etag string) (*fetch.Response, error) {
	return g(ctx, url, accept, etag)
}

func (g Getter) Close() error { return nil }

// With has a source use a Getter in place of the network.
func (o RemoteOptions) With(g Getter) RemoteOptions {
	o.transport = g
	return o
}

// With has a source use a Getter in place of the network.
func (o DiscoveryOptions) With(g Getter) DiscoveryOptions {
	o.Client, o.Stranger = g, g
	return o
}

// ParseJWKS is ParseFewJWKs with the default selection.
func ParseJWKS(data []byte) ([]*jose.Key, []Skipped, error) { return ParseFewJWKs(data, Selection{}) }

// ParseFewJWKs gives the keys that readJWKS takes, and counts the others.
func ParseFewJWKs(data []byte, taken Selection) ([]*jose.Key, []Skipped, error) {
	d, err := readJWKS(data, taken)
	return d.keys, d.skipped, err
}

// ParseMetadata is parseMetadata when plain http is for this machine only.
func ParseMetadata(text []byte, issuer, address string) (*Metadata, error) {
	return parseMetadata(text, issuer, address, fetch.LoopbackHTTP)
}

var ParseMetadataOver = parseMetadata
