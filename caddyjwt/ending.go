package caddyjwt

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/expiry"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// The values of EndAtExpiry.
const (
	endStreams = "streams"
	endAll     = "all"
)

func readEndAtExpiry(b *words.Block, h *Handler) error {
	switch args := b.Args(); {
	case len(args) == 0:
		h.EndAtExpiry = endStreams
	case len(args) == 1 && args[0] == endAll:
		h.EndAtExpiry = endAll
	default:
		return b.WrongUsage("without a value, it ends upgraded connections and event streams")
	}
	return nil
}

// checkEndAtExpiry refuses a value that does not exist.
func (h *Handler) checkEndAtExpiry() error {
	switch h.EndAtExpiry {
	case "", endStreams, endAll:
		return nil
	}
	return setting.Errorf("EndAtExpiry", "unknown end_at_expiry %q: expected streams or all; leave it out to end nothing",
		h.EndAtExpiry)
}

// newEnding is what ends responses when their token expires; nil if nothing does.
func (h *Handler) newEnding() *expiry.Ending {
	if h.EndAtExpiry == "" {
		return nil
	}
	return &expiry.Ending{All: h.EndAtExpiry == endAll, Ended: h.reportEnd}
}

// reportEnd reports an ended response to metrics and our own log. Clients can cause any number of them.
func (h *Handler) reportEnd(kind expiry.Kind, cause expiry.Cause) {
	h.traffic().End(kind, cause)
	if entry := h.log.logger.Check(zap.DebugLevel, "response ended"); entry != nil {
		entry.Write(zap.String("kind", string(kind)), zap.String("cause", string(cause)))
	}
}

// lifeOf is how long the token of an accepted request is in force.
func (h *Handler) lifeOf(verdict gate.Verdict) expiry.Life {
	life := expiry.Life{Expires: verdict.Expires}
	if token := verdict.Revocable; token != nil {
		life.Watch = func(end func()) (stop func()) { return h.revoked.Watch(*token, end) }
	}
	return life
}

// These are texts of their own: a gate before this one must not take the refusal for ErrNotBegun.
var (
	errExpiredMeanwhile = errors.New("the token expired before there was a response")
	errRevokedMeanwhile = errors.New("the token was revoked before there was a response")
)

// afterExpiry refuses a request whose token was no longer in force when there was a response, as it would refuse a new
// one.
func (h *Handler) afterExpiry(w http.ResponseWriter, r *http.Request, err error, verdict gate.Verdict) error {
	failure := new(gate.Failure)
	switch {
	case errors.Is(err, expiry.ErrRevoked):
		failure.Reason, failure.Cause = gate.Revoked, errRevokedMeanwhile
	case errors.Is(err, expiry.ErrNotBegun):
		failure.Reason, failure.Cause = gate.Expired, errExpiredMeanwhile
	default:
		return err
	}
	failure.Issuer = verdict.Identity.Issuer
	return h.refuse(w, r, h.gate.Refuse(r.Context(), verdict, failure))
}
