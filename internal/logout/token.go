package logout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// MaxAge is how long after its iat a logout token is good for anything, apart from the leeway. Section 4 asks servers
// for an exp "at most two minutes in the future", so that a captured token cannot be used for long. Some write five
// minutes or more. Refusing those tokens would leave sessions alive that the server has ended. So a later exp is
// accepted and does not count. This also bounds how long a token must be remembered.
const MaxAge = 2 * time.Minute

const (
	// logoutType is the typ of logout tokens that have an explicit one (section 2.4).
	logoutType = "logout+jwt"
	// event is the member of "events" that makes a token a logout token (section 2.4).
	event = "http://schemas.openid.net/event/backchannel-logout"
	// maxIdentifier bounds sub, sid and jti in bytes, because they are stored. OpenID Connect Core 1.0 section 2 allows
	// 255 characters for sub.
	maxIdentifier = 1024
)

// errOtherKind is the cause for a token that says to be something else.
var errOtherKind = errors.New("not a logout token")

// verify verifies a logout token as section 2.6 demands. All that needs no keys comes first, because the key source may
// have to fetch.
func (r *Receiver) verify(ctx context.Context, text string) (Logout, error) {
	token, err := jose.Parse(text, nil, logoutType)
	if err != nil {
		return Logout{}, parseFailure(&token, err)
	}
	if err := checkType(&token.Header); err != nil {
		return Logout{}, err
	}
	if alg := token.Header.Algorithm; !r.config.Algorithms.Has(alg) {
		return Logout{}, fail(UnsupportedAlgorithm,
			fmt.Errorf("alg is %v; allowed here: %v", alg, r.config.Algorithms))
	}
	logout, err := r.read(token.Payload)
	if err != nil {
		return Logout{}, err
	}
	if _, err := keyset.Verify(ctx, r.config.Keys, &token); err != nil {
		return Logout{}, keyFailure(ctx, err)
	}
	return logout, nil
}

// checkType refuses a typ that is not one of a logout token. Section 2.4 recommends logout+jwt, and section 4.1 warns
// that many servers write JWT or nothing. Such a token is told apart by its claims.
func checkType(header *jose.Header) error {
	switch header.Type {
	case logoutType, "jwt", "":
		return nil
	}
	return otherType(header.Type)
}

func otherType(typ string) error {
	return fail(InvalidType, fmt.Errorf("%w: typ is %s, and not %s, JWT or absent",
		errOtherKind, causes.Quote(typ), logoutType))
}

// read checks everything that a logout token says (section 2.6 steps 4 to 7, section 2.4).
func (r *Receiver) read(payload []byte) (Logout, error) {
	set, err := claims.DecodeBy(payload, func(*claims.Set) *claims.Reading { return r.config.Reading })
	if err != nil {
		return Logout{}, claimFailure(err)
	}
	for _, check := range []func(*claims.Set) error{checkKind, r.checkParties, checkEvents, checkNonce} {
		if err := check(set); err != nil {
			return Logout{}, err
		}
	}
	expires, err := r.checkTime(set)
	if err != nil {
		return Logout{}, err
	}
	l := Logout{
		Issuer: set.Issuer, Subject: set.Subject, ID: set.ID,
		IssuedAt: set.IssuedAt, Expires: expires,
	}
	if l.Session, err = sessionOf(set); err != nil {
		return Logout{}, err
	}
	return l, l.check()
}

// checkKind refuses tokens whose claims declare another kind than a logout token (RFC 8725 section 3.12). Servers sign
// all kinds with the same keys. A logout token declares a security event, by "events", and nothing else.
func checkKind(set *claims.Set) error {
	kind := claims.KindOf(set)
	if kind.Access || kind.Bound {
		return fail(InvalidType, fmt.Errorf("%w: its claims declare an access token", errOtherKind))
	}
	for _, other := range kind.Others {
		switch {
		case other.By == "events", other.Name == "logout", other.Name == logoutType:
		default:
			return fail(InvalidType, fmt.Errorf("%w: %s says that it is of the kind %s",
				errOtherKind, other.By, causes.Quote(other.Name)))
		}
	}
	return nil
}

// checkParties checks who made the token, and for whom (section 2.6 step 4).
func (r *Receiver) checkParties(set *claims.Set) error {
	if err := claims.CheckIssuer(set, r.config.Issuer); err != nil {
		return claimFailure(err)
	}
	if err := claims.CheckAudience(set, r.config.Clients); err != nil {
		return claimFailure(err)
	}
	return nil
}

// checkEvents requires the event of a logout, whose value is an object (section 2.6 step 6, section 2.4). Other events
// beside it are ignored, and so are members of the value, such as Keycloak's revoke_offline_access.
func checkEvents(set *claims.Set) error {
	events, there := set.Claim("events")
	if !there {
		return fail(InvalidType, fmt.Errorf("%w: there is no events", errOtherKind))
	}
	if kind := events.JSON().Kind(); kind != strictjson.Object {
		return fail(InvalidClaim, fmt.Errorf("events is of the type %v, not an object", kind))
	}
	value, there := events.JSON().Member(event)
	if !there {
		return fail(InvalidType, fmt.Errorf("%w: events has no member %s", errOtherKind, event))
	}
	if kind := value.Kind(); kind != strictjson.Object {
		return fail(InvalidClaim, fmt.Errorf("the logout in events is of the type %v, not an object", kind))
	}
	return nil
}

// checkNonce refuses a nonce, even null (section 2.6 step 7). ID tokens have one.
func checkNonce(set *claims.Set) error {
	if _, there := set.Claim("nonce"); there {
		return fail(InvalidType, fmt.Errorf("%w: it has a nonce, which logout tokens must not have", errOtherKind))
	}
	return nil
}

// checkTime refuses a token that is not of this moment. iat and exp are required (section 2.4). It returns when the
// token becomes useless, apart from the leeway.
func (r *Receiver) checkTime(set *claims.Set) (time.Time, error) {
	now, leeway := r.now(), r.config.Leeway
	if err := claims.CheckTime(set, now, leeway); err != nil {
		return time.Time{}, claimFailure(err)
	}
	if set.IssuedAt.IsZero() {
		return time.Time{}, fail(MissingClaim, fmt.Errorf("%w: iat", claims.ErrMissing))
	}
	end := set.IssuedAt.Add(MaxAge)
	if !now.Before(end.Add(leeway)) {
		return time.Time{}, fail(Expired, &claims.TimeError{
			Err: claims.ErrExpired, Claim: "iat", Off: now.Sub(set.IssuedAt), Leeway: leeway,
		})
	}
	if set.ExpiresAt.Before(end) {
		end = set.ExpiresAt
	}
	return end, nil
}

// sessionOf reads sid. It is a string that is not blank, or absent.
func sessionOf(set *claims.Set) (string, error) {
	value, there := set.Claim("sid")
	if !there {
		return "", nil
	}
	sid, ok := value.JSON().Str()
	if !ok || isBlank(sid) {
		return "", fail(InvalidClaim, errors.New("sid is not a non-blank string"))
	}
	return sid, nil
}

// check requires what names the logout and what it ends (section 2.4 and section 2.6 step 5).
func (l *Logout) check() error {
	for name, value := range map[string]string{"sub": l.Subject, "sid": l.Session, "jti": l.ID} {
		if len(value) > maxIdentifier {
			return fail(InvalidClaim, fmt.Errorf("%s has %d bytes, and may have %d", name, len(value), maxIdentifier))
		}
	}
	switch {
	case l.ID == "":
		return fail(MissingClaim, fmt.Errorf("%w: jti", claims.ErrMissing))
	case l.Subject == "" && l.Session == "":
		return fail(MissingClaim, fmt.Errorf("%w: sub or sid", claims.ErrMissing))
	}
	return nil
}
