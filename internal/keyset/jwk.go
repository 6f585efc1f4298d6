package keyset

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Why a key was skipped. Users see these words in logs.
const (
	skipMalformed   = "malformed"             // not a JWK, or its values are not those of a key
	skipAmbiguous   = "duplicate_member"      // a member name occurs twice
	skipType        = "unsupported_key_type"  // kty is not RSA, EC or OKP
	skipCurve       = "unsupported_curve"     // crv is not P-256, P-384, P-521 or Ed25519
	skipAlgorithm   = "unsupported_algorithm" // alg is unknown or not one of this kind of key
	skipSecret      = "symmetric_key"         // kty is oct
	skipPrivate     = "private_key"           // contains private members that are not empty
	skipUse         = "not_for_signatures"    // use other than the wanted one, key_ops without verify, or both at odds
	skipWeak        = "weak_key"              // RSA under 2048 bits, strange exponent, point of small order
	skipPublished   = "published_key"         // an example out of a standard
	skipCertificate = "certificate_mismatch"  // x5c is unreadable or has another key
	skipDuplicate   = "duplicate_key"         // the same key as one before
	skipLimit       = "too_many_keys"         // more keys than are taken, see Selection.Max
)

// maxOps bounds key_ops: there are eight operations (RFC 7517 section 4.3).
const maxOps = 16

// maxKID bounds key ids as the token parser does.
const maxKID = 512

// privateMembers belong to private and symmetric keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 8037 section 2, and
// "priv" of the post-quantum kinds).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"}

// judge makes a key of one JWK, or says why it cannot be used.
func judge(text []byte, taken Selection) (*jose.Key, string) {
	jwk, err := strictjson.ParseObject(text, strictjson.Limits{})
	switch {
	case errors.Is(err, strictjson.ErrDuplicate):
		return nil, skipAmbiguous
	case err != nil:
		return nil, skipMalformed
	}
	kty, ok := textMember(jwk, "kty")
	switch {
	case !ok || kty == "":
		return nil, skipMalformed
	case kty == "oct":
		return nil, skipSecret
	case kty != "RSA" && kty != "EC" && kty != "OKP":
		return nil, skipType
	}
	for _, name := range privateMembers {
		if _, has := filled(jwk, name); has {
			return nil, skipPrivate
		}
	}
	if reason := judgePurpose(jwk, taken); reason != "" {
		return nil, reason
	}
	kid, ok := textMember(jwk, "kid")
	if !ok || len(kid) > maxKID {
		return nil, skipMalformed
	}
	algs, reason := judgeAlgorithm(jwk)
	if reason != "" {
		return nil, reason
	}
	parsed, reason := material(jwk, kty)
	if reason != "" {
		return nil, reason
	}
	key, err := jose.NewPublicKey(kid, parsed.Key(), algs)
	if err != nil {
		return nil, reasonOf(err)
	}
	return key, ""
}

// filled is a member that has content. One that is null, an empty text or an empty list counts as absent, whatever its
// name: some serialisers, .NET's among them, write every member they know, also with public keys. Such a member
// discloses nothing. Anything else is there, also when its type is odd.
//
// Members of a JWK are read by this function only.
func filled(object strictjson.Value, name string) (value strictjson.Value, has bool) {
	value, has = object.Member(name)
	switch value.Kind() {
	case strictjson.Null:
		return strictjson.Value{}, false
	case strictjson.String, strictjson.Array:
		has = !value.Empty()
	}
	return value, has
}

// textMember is a member that is a string, empty when it is absent. Anything else is not ok.
func textMember(jwk strictjson.Value, name string) (text string, ok bool) {
	value, has := filled(jwk, name)
	if !has {
		return "", true
	}
	return value.Str()
}

// judgePurpose refuses keys that are not for checking signatures (RFC 7517 sections 4.2 and 4.3): by use, by key_ops, or
// because the two contradict each other.
func judgePurpose(jwk strictjson.Value, taken Selection) string {
	use, ok := textMember(jwk, "use")
	switch {
	case !ok:
		return skipMalformed
	case !taken.fits(use):
		return skipUse
	}
	ops, has := filled(jwk, "key_ops")
	if !has {
		return ""
	}
	if ops.Kind() != strictjson.Array {
		return skipMalformed
	}
	var seen []string
	for element := range ops.Elements() {
		op, ok := element.Str()
		switch {
		case !ok || len(seen) == maxOps || slices.Contains(seen, op): // "duplicate key operation values MUST NOT be present"
			return skipMalformed
		case use != "" && op != "verify" && op != "sign":
			return skipUse
		}
		seen = append(seen, op)
	}
	if !slices.Contains(seen, "verify") {
		return skipUse
	}
	return ""
}

// judgeAlgorithm reads "alg" (RFC 7517 section 4.4). A key without it is for all algorithms of its kind.
func judgeAlgorithm(jwk strictjson.Value) (jose.Algorithms, string) {
	name, ok := textMember(jwk, "alg")
	if !ok {
		return 0, skipMalformed
	}
	if name == "" {
		return 0, ""
	}
	alg, ok := jose.ParseAlgorithm(name)
	if !ok {
		return 0, skipAlgorithm
	}
	return jose.MakeAlgorithms(alg), ""
}

// material has jwkset make a key of the public members of a JWK and compare it with the certificate in x5c, if any. No
// other member gets there: nothing is ever fetched from x5u, and x5t says nothing that is needed.
func material(jwk strictjson.Value, kty string) (jwkset.JWK, string) {
	m := jwkset.JWKMarshal{KTY: jwkset.KTY(kty)}
	fields := map[string]*string{"n": &m.N, "e": &m.E}
	switch kty {
	case "EC":
		fields = map[string]*string{"x": &m.X, "y": &m.Y}
	case "OKP":
		fields = map[string]*string{"x": &m.X}
		m.ALG = jwkset.AlgEdDSA // what jwkset wants to see beside a certificate
	}
	for name, field := range fields {
		text, ok := textMember(jwk, name)
		if !ok || text == "" {
			return jwkset.JWK{}, skipMalformed
		}
		*field = text
	}
	if kty != "RSA" {
		crv, ok := textMember(jwk, "crv")
		if !ok {
			return jwkset.JWK{}, skipMalformed
		}
		if reason := judgeCurve(crv, kty, m.X, m.Y); reason != "" {
			return jwkset.JWK{}, reason
		}
		m.CRV = jwkset.CRV(crv)
	}
	var reason string
	if m.X5C, reason = certificate(jwk); reason != "" {
		return jwkset.JWK{}, reason
	}
	parsed, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	switch {
	case err == nil:
		return parsed, ""
	case m.X5C != nil:
		m.X5C = nil // tell a wrong certificate from a wrong key
		if _, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{}); err == nil {
			return jwkset.JWK{}, skipCertificate
		}
	}
	return jwkset.JWK{}, skipMalformed
}

// judgeCurve checks the curve and that coordinates have its full length, no more and no less (RFC 7518 section
// 6.2.1.2, RFC 8037 section 2).
func judgeCurve(crv, kty, x, y string) string {
	var size int
	switch {
	case kty == "EC" && crv == "P-256":
		size = 32
	case kty == "EC" && crv == "P-384":
		size = 48
	case kty == "EC" && crv == "P-521":
		size = 66
	case kty == "OKP" && crv == "Ed25519":
		size = 32
	case crv == "":
		return skipMalformed
	default:
		return skipCurve
	}
	if !encodes(x, size) || kty == "EC" && !encodes(y, size) {
		return skipMalformed
	}
	return ""
}

// encodes reports whether text is so many bytes in base64url. Padding, which some servers write, is overlooked.
func encodes(text string, size int) bool {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	return err == nil && len(b) == size
}

// certificate is the first of the certificates in x5c, the one of the key itself (RFC 7517 section 4.7). No trust
// comes from it.
func certificate(jwk strictjson.Value) ([]string, string) {
	chain, has := filled(jwk, "x5c")
	if !has {
		return nil, ""
	}
	if chain.Kind() != strictjson.Array {
		return nil, skipMalformed
	}
	for first := range chain.Elements() {
		text, ok := first.Str()
		if !ok {
			return nil, skipMalformed
		}
		return []string{text}, ""
	}
	return nil, ""
}

// reasonOf puts an error of the key's constructor into a word.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, jose.ErrWeakKey):
		return skipWeak
	case errors.Is(err, jose.ErrPublishedKey):
		return skipPublished
	case errors.Is(err, jose.ErrPrivateKey):
		return skipPrivate
	case errors.Is(err, jose.ErrKeyAlgorithm):
		return skipAlgorithm
	default:
		return skipMalformed
	}
}
