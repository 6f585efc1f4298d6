package gate

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/caddyjwt/gateway/internal/output"
)

// Output sets header fields from which the backend learns who is calling.
type Output = output.Output

// Forward sends a claim, or a member of the JOSE header, to the backend in a header.
type Forward = output.Forward

// compileOutputs makes what sets the headers for the backend.
func (c *Config) compileOutputs() (output.Set, error) {
	return output.New(output.Settings{
		ForwardClaims: c.ForwardClaims, ForwardHeader: c.ForwardHeader,
		ForwardPayload: c.ForwardPayload, PadPayload: c.PadPayload,
		ConsumerHeaders: c.ConsumerHeaders, NamesCallers: c.namesCallers(), Outputs: c.Outputs,
		MayHoldToken: c.Extractor.Needs,
	})
}

// namesCallers reports whether somebody can be a consumer, or have a name from an issuer's token.
func (c *Config) namesCallers() bool {
	return len(c.Consumers) > 0 || c.Roster != nil ||
		slices.ContainsFunc(c.Issuers, func(i Issuer) bool { return i.namesCaller() })
}

// Annotate sets the headers from which the backend learns who is calling. Call Strip first: it removes those that the
// client has sent. If a claim cannot be a header value, the error is a *Failure, and the request must not be forwarded.
func (g *Gate) Annotate(r *http.Request, identity *Identity) error {
	err := g.outputs.Write(r.Header, identity)
	if err == nil {
		return nil
	}
	if unsafe, ok := errors.AsType[*output.UnsafeError](err); ok {
		err = fail(UnsafeClaim, unsafe.Cause)
	}
	f := *FailureOf(err) // a copy: an Output may return the same failure for several requests
	f.Issuer = cmp.Or(identity.Issuer, identity.CredentialKey)
	return &f
}
