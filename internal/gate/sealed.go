package gate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Decryption says how encrypted tokens of an issuer are opened. Their content is a JWT of that issuer, and must satisfy
// all rules for one: encryption is no proof of who made a token.
type Decryption struct {
	// Keys open the tokens. Whether a cached token may still be opened is judged on each hit.
	Keys *sealed.Keys `clone:"shared" fingerprint:"set"`
	// Algorithms are those that are allowed.
	Algorithms sealed.Algorithms
	// Required refuses JWTs of the issuer that are not encrypted (RFC 9068 section 4).
	Required bool
}

func (d *Decryption) validate(i *Issuer) error {
	switch {
	case d == nil:
		return nil
	case i.Keys == nil:
		return setting.Errorf("Decrypt", "decrypt needs keys that verify what is inside of an encrypted token: add \"keys\"")
	case d.Keys == nil:
		return setting.Errorf("Decrypt.Keys", "decrypt has no key: add \"key <file>\"")
	}
	return nil
}

// seal is what is known of a token that was opened.
type seal struct {
	outer   jose.Encrypted
	by      *sealed.Key
	content string // the JWT inside
}

func (s *seal) key() *sealed.Key {
	if s == nil {
		return nil
	}
	return s.by
}

// inside is the digest of the JWT in an encrypted token, by which it can be revoked if it has no jti.
func (j *parsedJWT) inside() string {
	if j.seal == nil || j.set.ID != "" {
		return ""
	}
	return revoke.Digest(j.seal.content)
}

// encryption is the enc of the outer header, and empty for a token that was not encrypted.
func (s *seal) encryption() string {
	if s == nil {
		return ""
	}
	return sealed.EncryptionOf(&s.outer)
}

// resolve finds out what a token is, as classify does, and opens it if it is encrypted. What is inside of it is then
// the JWT. The error is a Failure: the token could not be opened at the moment.
func (p *parties) resolve(req *Request, token string, jwt *parsedJWT) (classification, error) {
	class := p.classify(token, jwt)
	if class.form != encryptedJWE || len(p.opening) == 0 {
		return class, nil
	}
	outer, err := jose.ParseEncrypted(token, (*jwt.buffer)[:0], p.types...)
	switch {
	case errors.Is(err, jose.ErrType):
		return classification{form: otherKindJWT, reason: InvalidType, cause: err}, nil
	case err != nil && !jose.LooksLikeJWT(token):
		return classification{form: opaqueToken, reason: MalformedToken, cause: p.notAsked}, nil
	case err != nil && !jose.IsEncrypted(token):
		return classification{form: brokenJWT, reason: MalformedToken, cause: err}, nil
	case err != nil:
		return notOpened(err), nil
	}
	content, by, err := p.open(req.HTTP.Context(), req.Facts.Client, &outer)
	switch {
	case errors.Is(err, sealed.ErrNotOpened):
		return notOpened(err), nil
	case err != nil:
		return class, notNow(err)
	}
	outer.Forget()
	jwt.release()
	return p.inside(&seal{outer, by, string(content)}, jwt), nil
}

// decryptionStep describes the outer header of an encrypted token.
func (e *explainer) decryptionStep() Step {
	step := Step{Rule: "decryption", Result: Passed}
	outer, err := jose.ParseEncrypted(e.token, nil, e.gate.parties.types...)
	if err != nil {
		return step
	}
	step.Came = []string{"alg " + clip(outer.Algorithm), "enc " + clip(outer.Encryption)}
	if outer.KeyID != "" {
		step.Came = append(step.Came, "kid "+clip(outer.KeyID))
	}
	for _, member := range e.gate.parties.opening {
		d := member.issuer.Decrypt
		step.Expected = append(step.Expected, d.Algorithms.Keys()...)
		step.Expected = append(step.Expected, d.Algorithms.Contents()...)
		for _, key := range d.Keys.Present() {
			step.Expected = append(step.Expected, key.String())
		}
	}
	return step
}

// notOpened is an encrypted token that is perhaps not for us: the server of another issuer may be able to read it.
func notOpened(cause error) classification {
	return classification{form: encryptedJWE, reason: DecryptionFailed, cause: cause}
}

// decryptionRetry is after what time a client is to try again when too many decryptions wait. All that wait now have
// their turn before.
const decryptionRetry = time.Second

// notNow is the failure if there was no turn for a decryption.
func notNow(err error) *Failure {
	if errors.Is(err, context.Canceled) {
		return fail(ClientGone, errors.New("the client hung up while the token waited for its decryption"))
	}
	f := fail(Overloaded, err)
	f.RetryAfter = decryptionRetry
	return f
}

// open tries the keys that may open a token. Nothing about it is verified, so it only selects among keys.
func (p *parties) open(ctx context.Context, client func() netip.Addr, outer *jose.Encrypted) (
	content []byte, by *sealed.Key, err error,
) {
	tried := p.candidates(outer, (*sealed.Keys).Present)
	content, by, err = sealed.Open(ctx, p.turns, client, outer, tried)
	if !errors.Is(err, sealed.ErrNotOpened) {
		return content, by, err
	}
	latest := p.candidates(outer, (*sealed.Keys).Again) // its key may have come a moment ago
	latest = slices.DeleteFunc(latest, func(k *sealed.Key) bool { return slices.ContainsFunc(tried, k.Same) })
	if len(latest) == 0 {
		return nil, nil, err
	}
	return sealed.Open(ctx, p.turns, client, outer, latest)
}

// candidates are the keys that may open a token. A key with the name in the token comes before those without a name. A
// token that repeats its iss is opened with keys of that issuer alone.
func (p *parties) candidates(outer *jose.Encrypted, keys func(*sealed.Keys) []*sealed.Key) (found []*sealed.Key) {
	openers := p.opening
	if iss := outer.Issuer(); iss != "" {
		member := p.issuers[iss]
		if member == nil {
			member, _ = p.patterns.Find(iss)
		}
		if member == nil || member.issuer.Decrypt == nil {
			return nil
		}
		openers = []*party{member}
	}
	present := make([][]*sealed.Key, len(openers))
	for i, member := range openers {
		present[i] = keys(member.issuer.Decrypt.Keys)
	}
	for _, name := range []string{outer.KeyID, ""} {
		for i, member := range openers {
			found = member.issuer.Decrypt.Algorithms.Candidates(outer, name, present[i], found)
		}
		if len(found) > 0 || outer.KeyID == "" {
			break
		}
	}
	return found
}

var errTwice = errors.New("in the encrypted token: another encrypted token, and those are not opened")

// inside classifies the content of an encrypted token. Nobody else is ever asked about a token that was for us to read.
// Encrypted tokens inside of encrypted ones are not opened: no server makes them, and each layer would cost a
// decryption.
func (p *parties) inside(s *seal, jwt *parsedJWT) classification {
	class := p.classify(s.content, jwt)
	switch {
	case class.form == otherKindJWT:
	case class.form == encryptedJWE:
		class = classification{form: unsealed, reason: DecryptionFailed, cause: errTwice}
	case class.form != knownJWT:
		class.form, class.cause = unsealed, fmt.Errorf("in the encrypted token: %w", class.cause)
	case !class.party.opens(s):
		class.form, class.reason, class.cause = unsealed, DecryptionFailed, sealed.ErrNotOpened
	default:
		jwt.seal = s
	}
	return class
}

// opens reports whether the party's tokens may be encrypted like this: with its algorithms, for one of its keys. The
// gate may have opened the token with a key of another issuer.
func (p *party) opens(s *seal) bool {
	return p.issuer != nil && p.issuer.Decrypt != nil && p.issuer.Decrypt.Algorithms.Allows(&s.outer) &&
		p.issuer.Decrypt.Keys.Have(s.by)
}

var errNotEncrypted = errors.New("the token is not encrypted, and \"required\" in the issuer's decrypt block " +
	"demands it")

// checkSealed refuses a JWT that came as it is, if the issuer's must be encrypted.
func (p *party) checkSealed(jwt *parsedJWT) error {
	if jwt.seal == nil && p.issuer != nil && p.issuer.Decrypt != nil && p.issuer.Decrypt.Required {
		return fail(NotEncrypted, errNotEncrypted)
	}
	return nil
}

// checkRepeated makes sure that claims in the header of the encrypted token are those inside.
func (s *seal) checkRepeated(set *claims.Set) error {
	if s == nil {
		return nil
	}
	err := sealed.CheckRepeated(&s.outer, func(name string) (strictjson.Value, bool) {
		claim, has := set.Claim(name)
		return claim.JSON(), has
	})
	if err != nil {
		return fail(Contradiction, err)
	}
	return nil
}
