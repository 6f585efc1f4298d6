package gate

import (
	"net/http"

	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/publicpath"
	"github.com/caddyjwt/gateway/internal/setting"
)

// publicPaths is the set of paths that need no token.
func (c *Config) publicPaths() (set publicpath.Set, err error) {
	for i, path := range c.Public {
		if err := set.Add(path); err != nil {
			return set, setting.Errorf(setting.Element("Public", i), "public %q: %w", path, err)
		}
	}
	return set, nil
}

// isPublic reports whether a request needs no token because of its path. The path that the next handler sees must be
// public. Earlier handlers may have rewritten it, and some backends read the original target as well, so both must be
// readable in one way only.
//
// CONNECT is never public: it asks for a tunnel, not for a page (RFC 9110 section 9.3.6).
func (g *Gate) isPublic(req *Request) bool {
	return !g.public.Empty() && g.public.Has(req.HTTP.URL) && publicpath.Plain(req.Facts.Target()) &&
		req.HTTP.Method != http.MethodConnect
}

// asPublic lets a public request pass. Nobody judges its token, so Remove must find it in a form, too.
func (g *Gate) asPublic(r *http.Request) (Verdict, error) {
	if err := g.extractor.ReadForm(r); err != nil {
		return g.withoutToken(r, err)
	}
	return Verdict{Outcome: Public}, nil
}

// targetOverrides are fields in which some backends look for the path, a part of it or the host, instead of in the
// request line and in Host. IIS and Symfony do, and servers behind gateways that keep the original target or remove a
// prefix. Destination is where WebDAV copies a page to (RFC 4918 section 10.3). X-Forwarded-Host is not one of them:
// reverse_proxy lets only trusted proxies send it.
var targetOverrides = fields.Of("X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Original-Path",
	"X-Envoy-Original-Path", "X-Replaced-Path", "X-Forwarded-URI", "X-Forwarded-Path", "X-Forwarded-Prefix",
	"X-Script-Name", "Script-Name", "Path-Info", "Destination", "X-Host", "X-Original-Host", "X-HTTP-Host-Override")

// StripPublic removes from a public request what could make another request of it, and the token even if ForwardToken
// keeps it elsewhere: nobody has judged it. Call it before Strip.
func (g *Gate) StripPublic(r *http.Request) {
	methodOverrides.Strip(r.Header)
	targetOverrides.Strip(r.Header)
	if g.keepToken { // Strip removes it otherwise
		g.extractor.Remove(r)
	}
}
