package diagnose

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// metadata reads the issuer's metadata. With discovery, this fetches the keys, too.
func (q *inquiry) metadata(ctx context.Context) {
	if q.of.Metadata == nil {
		return
	}
	before := q.of.Exchanges.count()
	q.of.Metadata.Preload(ctx)
	if ctx.Err() != nil {
		return
	}
	found, address := q.of.Metadata.Found()
	if q.Metadata = printable(address); found == nil {
		q.trouble(q.of.Metadata.Stats().Err, q.of.Exchanges.from(before))
		return
	}
	if q.of.Keys == nil {
		return
	}
	if q.KeySet = withoutQuery(found.JWKSURI); found.JWKSURI == "" && q.of.KeysFrom == "discovery" {
		q.find(Problem, NoKeySetAddress, "the metadata has no \"jwks_uri\"",
			"say where the keys are, such as with \"keys jwks <url>\"")
	}
	q.algorithms(found.IDTokenAlgorithms)
}

// algorithms compares the gate's algorithms with those that the server has for its ID tokens.
func (q *inquiry) algorithms(names []string) {
	var named jose.Algorithms
	for _, name := range names {
		if alg, known := jose.ParseAlgorithm(name); known {
			named = named.With(alg)
		}
	}
	excluded := named &^ q.of.Algorithms
	switch excluded {
	case 0:
	case named:
		q.find(Warning, AlgorithmsExcluded, fmt.Sprintf("the metadata says that ID tokens are signed with %v, and the gate "+
			"accepts only %v", named, q.of.Algorithms), "if access tokens are signed alike, add them to \"algorithms\"")
	default:
		q.find(Note, AlgorithmsExcluded, fmt.Sprintf("the metadata also name %v, which the gate does not accept", excluded),
			"if access tokens are signed with them, add them to \"algorithms\"")
	}
}

// differs reports metadata of another issuer.
func (q *inquiry) differs(err *keyset.IssuerError) {
	found := short(err.Found)
	if err.Found == "" {
		q.find(Problem, IssuerDiffers, fmt.Sprintf("the document has no issuer, but should have %q", err.Want),
			"check the address: metadata names its issuer")
		return
	}
	if strings.ContainsAny(err.Found, "{}") && !strings.ContainsAny(err.Want, "{}") {
		q.find(Problem, IssuerTemplate, fmt.Sprintf("the metadata is a template for many issuers, %s: "+
			"each tenant is an issuer of its own", found),
			"write the tenant's own issuer, as its tokens have it in iss; or \"*\" for the tenant, and say with \"tenants\" "+
				"which are accepted")
		return
	}
	text := fmt.Sprintf("the metadata names the issuer %s, not %s", found, q.Issuer)
	where, near := difference(err.Want, err.Found)
	if where != "" {
		text += ": they differ in " + where
	}
	cure := "check the address, and compare with the iss of a token"
	if near {
		cure = fmt.Sprintf("write \"issuer %s\", after a look at the iss of a token", found)
	}
	q.find(Problem, IssuerDiffers, text, cure)
}

// difference says in what two issuers differ. near reports whether they plainly mean the same server.
func difference(a, b string) (where string, near bool) {
	without := func(text string) string { return strings.TrimSuffix(text, "/") }
	if without(a) == without(b) {
		return "the slash at the end", true
	}
	if strings.EqualFold(a, b) {
		return "upper and lower case", true
	}
	u, err1 := url.Parse(a)
	v, err2 := url.Parse(b)
	if err1 != nil || err2 != nil {
		return "", false
	}
	var parts []string
	if u.Scheme != v.Scheme {
		parts = append(parts, "the scheme")
	}
	if !strings.EqualFold(u.Hostname(), v.Hostname()) {
		parts = append(parts, "the host")
	}
	if u.Port() != v.Port() {
		parts = append(parts, "the port")
	}
	if without(u.Path) != without(v.Path) {
		parts = append(parts, "the path")
	}
	return strings.Join(parts, " and "), strings.EqualFold(u.Hostname(), v.Hostname())
}
