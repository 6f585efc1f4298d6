package registration

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/internal/clients"
)

// Shown are the clients of a file as operators see them, in the order of their names. A client that leaves its audience
// to default_audience has none here.
func (f *File) Shown() ([]orders.Client, error) {
	set, err := f.set()
	if err != nil {
		return nil, err
	}
	all := make([]orders.Client, 0, len(f.Clients))
	for i := range f.Clients {
		c := shown(set.Find(f.Clients[i].ID), orders.OfFile)
		c.Audience = list(f.Clients[i].Audience)
		all = append(all, c)
	}
	return inOrder(all), nil
}

// Shown are the clients that are in force now, as operators see them, in the order of their names.
func (d *Directory) Shown() []orders.Client {
	set := d.Clients()
	all := make([]orders.Client, 0, set.Len())
	for c := range set.All {
		switch {
		case c.IsPublic():
			all = append(all, shown(c, orders.OfApplication))
		case d.configured[c.ID]:
			all = append(all, shown(c, orders.OfConfiguration))
		default:
			all = append(all, shown(c, orders.OfFile))
		}
	}
	return inOrder(all)
}

func inOrder(all []orders.Client) []orders.Client {
	slices.SortFunc(all, func(a, b orders.Client) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// shown is a client as operators see it: nothing that proves who it is, and nothing that this is compared with.
func shown(c *clients.Client, from orders.Source) orders.Client {
	all := orders.Client{
		ID: c.ID, Authentication: methodOf(c), Secrets: len(c.SecretHashes), Grants: []string{}, Scopes: list(c.Scopes),
		Audience: list(c.Audiences), Introspect: list(c.Introspects), From: from,
		Proof: string(c.Proof),
	}
	for _, grant := range c.Grants {
		all.Grants = append(all.Grants, string(grant))
	}
	all.Claims, all.Header = c.Claims, c.Header
	if c.Opaque {
		all.Token = "opaque"
	}
	for _, e := range c.Exchanges {
		all.Exchange = append(all.Exchange, orders.Exchange{
			From: e.From, Grant: string(e.Grant), SubjectAudience: e.Accepted, Audience: e.Audiences, Scopes: e.Scopes,
			Claims: e.Claims, SubjectPrefix: e.Prefix,
		})
	}
	if c.May(clients.ClientCredentials) || len(c.Exchanges) > 0 {
		all.AccessLifetime = int64(c.AccessLifetime / time.Second)
		for audience, lifetime := range c.Lifetimes {
			if all.AccessLifetimes == nil {
				all.AccessLifetimes = make(map[string]int64)
			}
			all.AccessLifetimes[audience] = int64(lifetime / time.Second)
		}
	}
	return all
}

// methodOf is how a client shows who it is, in the words of RFC 7591 section 2 and RFC 8705 section 2.
func methodOf(c *clients.Client) string {
	switch {
	case c.IsPublic():
		return "none"
	case len(c.SecretHashes) > 0:
		return "client_secret"
	case c.Keys != nil:
		return "private_key_jwt"
	case c.Certificate.Key != [32]byte{}:
		return "self_signed_tls_client_auth"
	}
	return "tls_client_auth"
}

// list is a copy that JSON shows as an array in any case.
func list(values []string) []string { return append([]string{}, values...) }
