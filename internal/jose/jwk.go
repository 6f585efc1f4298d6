package jose

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Unusable says why a JWK cannot be used, in one snake_case word for logs. It is an ErrKey.
type Unusable string

// The reasons why a JWK cannot be used.
const (
	JWKMalformed            Unusable = "malformed"             // not a JWK, or its values are not those of a key
	JWKAmbiguous            Unusable = "duplicate_member"      // a member name occurs twice
	JWKUnsupportedType      Unusable = "unsupported_key_type"  // kty is not RSA, EC or OKP
	JWKUnsupportedCurve     Unusable = "unsupported_curve"     // crv is not P-256, P-384, P-521 or Ed25519
	JWKUnsupportedAlgorithm Unusable = "unsupported_algorithm" // alg is unknown or not one of this kind of key
	JWKSymmetric            Unusable = "symmetric_key"         // kty is oct
	JWKPrivate              Unusable = "private_key"           // contains private members that are not empty
	JWKNotForSignatures     Unusable = "not_for_signatures"    // by its use or its key_ops
	JWKWeak                 Unusable = "weak_key"              // RSA under 2048 bits or with a bad exponent, a bad point
	JWKPublished            Unusable = "published_key"         // an example from a standard
	JWKCertificate          Unusable = "certificate_mismatch"  // x5c is unreadable or has another key
)

// Error says that the key is unusable, and adds the word.
func (u Unusable) Error() string { return ErrKey.Error() + ": " + string(u) }

// Is makes the reason an ErrKey.
func (u Unusable) Is(target error) bool { return target == ErrKey }

// maxOps bounds key_ops: there are eight operations (RFC 7517 section 4.3).
const maxOps = 16

// privateMembers belong to private and symmetric keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 8037 section 2, and
// "priv" of the post-quantum kinds).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"}

// ParseJWK makes a Key from a public JSON Web Key (RFC 7517 section 4). uses are the accepted values of its member
// "use", with "" for a key without one; the default is "" and "sig". The Key is for the algorithm that the JWK names,
// or otherwise for all that fit it.
//
// It refuses what [NewPublicKey] refuses, secrets, private keys, and whatever readers could understand differently. The
// error is always an [Unusable].
func ParseJWK(text []byte, uses ...string) (*Key, error) {
	key, reason := judgeJWK(text, uses)
	if reason != "" {
		return nil, reason
	}
	return key, nil
}

// judgeJWK is ParseJWK with an [Unusable] in place of an error. It is empty for a usable key.
func judgeJWK(text []byte, uses []string) (*Key, Unusable) {
	jwk, err := strictjson.ParseObject(text, strictjson.Limits{})
	switch {
	case errors.Is(err, strictjson.ErrDuplicate):
		return nil, JWKAmbiguous
	case err != nil:
		return nil, JWKMalformed
	}
	kty, ok := textMember(jwk, "kty")
	switch {
	case !ok || kty == "":
		return nil, JWKMalformed
	case kty == "oct":
		return nil, JWKSymmetric
	case kty != "RSA" && kty != "EC" && kty != "OKP":
		return nil, JWKUnsupportedType
	}
	for _, name := range privateMembers {
		if _, has := filled(jwk, name); has {
			return nil, JWKPrivate
		}
	}
	if reason := judgePurpose(jwk, uses); reason != "" {
		return nil, reason
	}
	kid, ok := textMember(jwk, "kid")
	if !ok || len(kid) > maxKeyID {
		return nil, JWKMalformed
	}
	algs, reason := judgeAlgorithm(jwk)
	if reason != "" {
		return nil, reason
	}
	parsed, reason := publicMembers(jwk, kty)
	if reason != "" {
		return nil, reason
	}
	key, err := NewPublicKey(kid, parsed.Key(), algs)
	if err != nil {
		return nil, unusable(err)
	}
	return key, ""
}

// IsPrivateMember reports whether a member with this name belongs to a private or symmetric JWK.
func IsPrivateMember(name string) bool { return slices.Contains(privateMembers, name) }

// IssuerOf reads the member "issuer" of a JWK. Servers with many tenants, such as Entra ID, name there the issuer whose
// tokens the key verifies. It is empty if the key names none, and not ok if the member is no text.
func IssuerOf(text []byte) (issuer string, ok bool) {
	jwk, err := strictjson.ParseObject(text, strictjson.Limits{})
	if err != nil {
		return "", false
	}
	return textMember(jwk, "issuer")
}

// filled returns a member that has content. One that is null, an empty string or an empty array counts as absent,
// whatever its name: some serialisers, such as .NET's, write every member they know, even for public keys. Such a
// member discloses nothing. Any other value counts as present, whatever its type.
//
// All members of a JWK must be read by this function.
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

// textMember returns a member that is a string. It is empty if the member is absent, and not ok if it is not a string.
func textMember(jwk strictjson.Value, name string) (text string, ok bool) {
	value, has := filled(jwk, name)
	if !has {
		return "", true
	}
	return value.Str()
}

// judgePurpose refuses keys that are not for verifying signatures, by "use", by "key_ops", or because the two
// contradict each other (RFC 7517 sections 4.2 and 4.3).
func judgePurpose(jwk strictjson.Value, uses []string) Unusable {
	use, ok := textMember(jwk, "use")
	switch {
	case !ok:
		return JWKMalformed
	case len(uses) == 0 && use != "" && use != "sig", len(uses) > 0 && !slices.Contains(uses, use):
		return JWKNotForSignatures
	}
	ops, has := filled(jwk, "key_ops")
	if !has {
		return ""
	}
	if ops.Kind() != strictjson.Array {
		return JWKMalformed
	}
	var seen []string
	for element := range ops.Elements() {
		op, ok := element.Str()
		switch {
		case !ok || len(seen) == maxOps || slices.Contains(seen, op): // "duplicate key operation values MUST NOT be present"
			return JWKMalformed
		case use != "" && op != "verify" && op != "sign":
			return JWKNotForSignatures
		}
		seen = append(seen, op)
	}
	if !slices.Contains(seen, "verify") {
		return JWKNotForSignatures
	}
	return ""
}

// judgeAlgorithm reads "alg" (RFC 7517 section 4.4). A key without it is for all algorithms of its kind.
func judgeAlgorithm(jwk strictjson.Value) (Algorithms, Unusable) {
	name, ok := textMember(jwk, "alg")
	if !ok {
		return 0, JWKMalformed
	}
	if name == "" {
		return 0, ""
	}
	alg, ok := ParseAlgorithm(name)
	if !ok {
		return 0, JWKUnsupportedAlgorithm
	}
	return MakeAlgorithms(alg), ""
}

// publicMembers lets jwkset make a key from the public members of a JWK and compare it with the certificate in x5c, if
// there is one. jwkset sees no other members: nothing is ever fetched from x5u, and x5t is not needed.
func publicMembers(jwk strictjson.Value, kty string) (jwkset.JWK, Unusable) {
	m := jwkset.JWKMarshal{KTY: jwkset.KTY(kty)}
	fields := map[string]*string{"n": &m.N, "e": &m.E}
	switch kty {
	case "EC":
		fields = map[string]*string{"x": &m.X, "y": &m.Y}
	case "OKP":
		fields = map[string]*string{"x": &m.X}
		m.ALG = jwkset.AlgEdDSA // jwkset needs it for a key with a certificate
	}
	for name, field := range fields {
		text, ok := textMember(jwk, name)
		if !ok || text == "" {
			return jwkset.JWK{}, JWKMalformed
		}
		*field = text
	}
	if kty != "RSA" {
		crv, ok := textMember(jwk, "crv")
		if !ok {
			return jwkset.JWK{}, JWKMalformed
		}
		if reason := judgeCurve(crv, kty, m.X, m.Y); reason != "" {
			return jwkset.JWK{}, reason
		}
		m.CRV = jwkset.CRV(crv)
	}
	var reason Unusable
	if m.X5C, reason = certificate(jwk); reason != "" {
		return jwkset.JWK{}, reason
	}
	parsed, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	switch {
	case err == nil:
		return parsed, ""
	case m.X5C != nil:
		m.X5C = nil // to distinguish a wrong certificate from a wrong key
		if _, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{}); err == nil {
			return jwkset.JWK{}, JWKCertificate
		}
	}
	return jwkset.JWK{}, JWKMalformed
}

// judgeCurve checks the curve, and that each coordinate has exactly the curve's length (RFC 7518 section 6.2.1.2, RFC
// 8037 section 2).
func judgeCurve(crv, kty, x, y string) Unusable {
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
		return JWKMalformed
	default:
		return JWKUnsupportedCurve
	}
	if !encodes(x, size) || kty == "EC" && !encodes(y, size) {
		return JWKMalformed
	}
	return ""
}

// encodes reports whether text is base64url of this many bytes. It ignores padding, which some servers write.
func encodes(text string, size int) bool {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	return err == nil && len(b) == size
}

// certificate returns the first certificate in x5c, which is that of the key itself (RFC 7517 section 4.7). It is not a
// reason to trust the key.
func certificate(jwk strictjson.Value) ([]string, Unusable) {
	chain, has := filled(jwk, "x5c")
	if !has {
		return nil, ""
	}
	if chain.Kind() != strictjson.Array {
		return nil, JWKMalformed
	}
	for first := range chain.Elements() {
		text, ok := first.Str()
		if !ok {
			return nil, JWKMalformed
		}
		return []string{text}, ""
	}
	return nil, ""
}

// CertificatesOf reads the member "x5c" of a JWK: certificates in DER, at most this many. The first is that of the key,
// and each of the others is that of the issuer of the one before (RFC 7517 section 4.7). There are none if the member
// is absent. It is not ok if the member is anything else, or has more.
func CertificatesOf(text []byte, most int) (chain [][]byte, ok bool) {
	jwk, err := strictjson.ParseObject(text, strictjson.Limits{})
	if err != nil {
		return nil, false
	}
	value, has := filled(jwk, "x5c")
	if !has {
		return nil, true
	}
	if value.Kind() != strictjson.Array {
		return nil, false
	}
	for element := range value.Elements() {
		text, isText := element.Str()
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if !isText || err != nil || len(chain) == most {
			return nil, false
		}
		chain = append(chain, der)
	}
	return chain, true
}

// unusable turns an error of [NewPublicKey] into a word.
func unusable(err error) Unusable {
	switch {
	case errors.Is(err, ErrWeakKey):
		return JWKWeak
	case errors.Is(err, ErrPublishedKey):
		return JWKPublished
	case errors.Is(err, ErrPrivateKey):
		return JWKPrivate
	case errors.Is(err, ErrKeyAlgorithm):
		return JWKUnsupportedAlgorithm
	default:
		return JWKMalformed
	}
}
