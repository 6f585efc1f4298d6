package logout

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

const (
	// patience is how long ending a session may take. It does not depend on the request: a server that gives up waiting
	// must not stop a logout halfway.
	patience = 10 * time.Second
	// margin is how much longer a token is remembered than it is good for. A store may have a clock of its own.
	margin = time.Minute
)

// Outcome is what has become of a good logout token.
type Outcome uint8

const (
	// Ended means that what the token names was ended now.
	Ended Outcome = iota + 1
	// Repeated means that the token came before, and had no further effect.
	Repeated
	// Ignored means that the token names no session, and WithoutSID is Ignore.
	Ignored
)

// String is the name of the outcome, for logs and metrics.
func (o Outcome) String() string {
	switch o {
	case Ended:
		return "ended"
	case Repeated:
		return "repeated"
	case Ignored:
		return "ignored"
	default:
		return "invalid"
	}
}

// end ends what a verified token names. Equal tokens at the same time share one call of endOnce.
func (r *Receiver) end(ctx context.Context, l Logout) (Outcome, error) {
	if l.Session == "" && r.config.WithoutSID == Ignore {
		return Ignored, nil
	}
	key, outcome := l.key(), Repeated
	_, err, _ := r.running.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		var err error
		outcome, err = r.endOnce(ctx, key, l)
		return nil, err
	})
	if err != nil {
		return 0, err
	}
	return outcome, nil
}

// endOnce has the order that Receive explains.
func (r *Receiver) endOnce(ctx context.Context, key string, l Logout) (Outcome, error) {
	seen, err := r.config.Seen(ctx, key)
	switch {
	case err != nil:
		return 0, fail(StoreFailed, err)
	case seen:
		return Repeated, nil
	}
	if err := r.config.Revoke(ctx, l); err != nil {
		return 0, fail(RevocationFailed, err)
	}
	if err := r.config.Remember(ctx, key, l.Expires.Add(r.config.Leeway+margin)); err != nil {
		return 0, fail(StoreFailed, err)
	}
	return Ended, nil
}

// key names one logout. It is a hash, because jti, sub and sid may be long, and a store needs none of them. The jti
// alone would do if all servers kept it unique (RFC 7519 section 4.1.7). With sub and sid, a server that uses one twice
// gets the second session ended, too.
func (l *Logout) key() string {
	hash := sha256.New()
	for _, text := range []string{l.Issuer, l.ID, l.Subject, l.Session} {
		var size [8]byte // so that no two lists of texts give the same bytes
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		hash.Write(size[:])
		hash.Write([]byte(text))
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
}
