package command

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/internal/jose"
)

// defaultSubject is the sub of an issuer's token.
const defaultSubject = "test-user"

// mintOfIssuer makes a token of an issuer for the first gate that accepts it.
func (o *mintOptions) mintOfIssuer(handlers []*caddyjwt.Handler) (string, error) {
	if len(handlers) == 0 {
		return "", fmt.Errorf("%s has no bearer_auth", o.config.path)
	}
	var known []string
	var refused []error
	for _, h := range handlers {
		now := time.Now()
		offline, err := o.offline(h, now, now)
		if err != nil {
			return "", err
		}
		for _, issuer := range offline.Issuers() {
			if !slices.Contains(known, issuer.Name) {
				known = append(known, issuer.Name)
			}
			if of := issuer.Tenants; of != nil && of.Has(o.issuer) {
				issuer.Name = o.issuer // that of the tenant
			}
			if issuer.Name != o.issuer {
				continue
			}
			token, err := o.mintFrom(h, &issuer, now)
			if err == nil {
				return token, nil
			}
			refused = append(refused, err)
		}
	}
	switch {
	case len(refused) > 0:
		return "", allRefused("issuer", refused)
	case len(known) == 0:
		return "", fmt.Errorf("%s has no issuer", o.config.path)
	}
	return "", fmt.Errorf("%s has no issuer %q; it has: %s; the name must be the same, to the last slash",
		o.config.path, o.issuer, fewOf(known))
}

// fewOf lists names. A configuration may have thousands of them.
func fewOf(names []string) string {
	const few = 10
	if more := len(names) - few; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), more)
	}
	return strings.Join(names, ", ")
}

// mintFrom makes a token of an issuer for a gate, and tries it there.
func (o *mintOptions) mintFrom(h *caddyjwt.Handler, issuer *caddyjwt.OfflineIssuer, now time.Time) (string, error) {
	longest := shorter(time.Duration(h.MaxLifetime), issuer.MaxLifetime)
	issued := o.issued(longest, now)
	offline, err := o.offline(h, issued, now)
	if err != nil {
		return "", err
	}
	if err := o.notLonger(longest); err != nil {
		return "", err
	}
	key, err := o.keyOf(issuer)
	if err != nil {
		return "", err
	}
	claims := dates(issuer.Tolerate, issued, now.Add(time.Duration(o.lifetime)))
	o.addClaimsOf(claims, issuer, offline)
	if err := o.addClaims(claims, "iss", "this claim names the issuer; use --issuer instead"); err != nil {
		return "", err
	}
	token, err := unsigned(key.algorithm, claims)
	if err != nil {
		return "", fmt.Errorf("issuer %q: %w", issuer.Name, err)
	}
	if key.id != "" {
		token.Header["kid"] = key.id
	}
	if issuer.AccessTokenProfile {
		token.Header["typ"] = "at+jwt" // RFC 9068 section 2.1
	} else if len(issuer.Types) > 0 {
		token.Header["typ"] = issuer.Types[0]
	}
	if err := o.header.addMembers(token, ""); err != nil {
		return "", err
	}
	return o.signed(token, key.private, offline)
}

// shorter is the smaller of two bounds, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// addClaimsOf adds the claims that the gate and the issuer's block ask for.
func (o *mintOptions) addClaimsOf(
	claims jwt.MapClaims, issuer *caddyjwt.OfflineIssuer, offline *caddyjwt.Offline,
) {
	claims["iss"], claims["sub"], claims["jti"] = issuer.Name, cmp.Or(o.subject, defaultSubject), rand.Text()
	if audience := audienceFor(issuer.Audience.Accepted, offline.Audience()); len(audience) == 1 {
		claims["aud"] = audience[0]
	} else if len(audience) > 1 {
		claims["aud"] = audience
	}
	if issuer.AccessTokenProfile { // RFC 9068 section 2.2
		claims["client_id"] = "mint"
		if claims["aud"] == nil {
			claims["aud"] = issuer.Name // any will do
		}
	}
	if scopes := offline.Scopes(); len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
}

// audienceFor is an aud that satisfies two lists, of which an empty one asks for nothing.
func audienceFor(issuer, route []string) []string {
	switch {
	case len(issuer) == 0:
		return route[:min(len(route), 1)]
	case len(route) == 0:
		return issuer[:1]
	}
	for _, value := range issuer {
		if slices.Contains(route, value) {
			return []string{value}
		}
	}
	return []string{issuer[0], route[0]}
}

// signingKey is what signs a token: a private key or the bytes of a secret.
type signingKey struct {
	private       any
	id, algorithm string
}

// keyOf finds the key that signs for an issuer.
func (o *mintOptions) keyOf(issuer *caddyjwt.OfflineIssuer) (key signingKey, err error) {
	switch {
	case issuer.Keys == nil:
		return key, fmt.Errorf("issuer %q: only its authorization server can sign, because its keys are there (keys %s); "+
			"get a token from its token endpoint, or try the gate with a key pair of your own and \"keys file <path>\"",
			issuer.Name, issuer.KeySource)
	case issuer.Asked:
		return key, fmt.Errorf("issuer %q: its authorization server is asked about every token (introspect), and would not "+
			"know one that is made here; get a token from its token endpoint", issuer.Name)
	}
	secret, err := issuer.ResolveSecret()
	if err != nil {
		return key, err
	}
	isSecret := func(key *jose.Key) bool { return key.Family() == jose.HMAC }
	isPublic := func(key *jose.Key) bool { return !isSecret(key) }
	switch {
	case secret != nil && o.privateKey == "":
		return o.using(issuer, issuer.Keys[slices.IndexFunc(issuer.Keys, isSecret)], secret)
	case secret != nil && !slices.ContainsFunc(issuer.Keys, isPublic):
		return key, fmt.Errorf("issuer %q signs with its secret: leave out --private-key", issuer.Name)
	case o.privateKey == "":
		return key, fmt.Errorf("issuer %q has public keys (keys %s): give the private key of one of them with --private-key",
			issuer.Name, issuer.KeySource)
	}
	private, err := readPrivateKey(o.privateKey)
	if err != nil {
		return key, err
	}
	public, err := jose.NewPublicKey("", private.Public(), 0)
	if err != nil {
		return key, fmt.Errorf("--private-key %s: %w", o.privateKey, err)
	}
	var have []string
	wanted := public.Thumbprint()
	for _, known := range issuer.Keys {
		has := known.Thumbprint()
		if has == wanted {
			return o.using(issuer, known, private)
		}
		have = append(have, thumbprint(has))
	}
	return key, fmt.Errorf("--private-key %s is not a key of issuer %q: the public key that belongs to it has the "+
		"thumbprint %s, and those of the issuer have %s (RFC 7638)",
		o.privateKey, issuer.Name, thumbprint(wanted), fewOf(have))
}

// using is the key with the first algorithm that it and the issuer allow.
func (o *mintOptions) using(issuer *caddyjwt.OfflineIssuer, known *jose.Key, private any) (signingKey, error) {
	both := known.Algorithms().Intersect(issuer.Algorithms)
	algorithm, _, _ := strings.Cut(both.String(), " ")
	if both == 0 {
		return signingKey{}, fmt.Errorf("issuer %q: this key is for %v, and the issuer allows only %v",
			issuer.Name, known.Algorithms(), issuer.Algorithms)
	}
	return signingKey{private: private, id: known.ID, algorithm: algorithm}, nil
}
