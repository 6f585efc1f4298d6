package diagnose

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/introspect"
)

// What a server may answer about a made-up token.
const (
	answerInactive = "inactive"
	answerActive   = "active"
	answerError    = "error"
	answerNotAsked = "not_asked"
)

// ask asks the authorization server about a token that nobody has issued.
func (q *inquiry) ask(ctx context.Context) {
	asking := q.of.Asking
	if asking == nil || ctx.Err() != nil {
		return
	}
	q.Introspection = &Introspection{Endpoint: withoutQuery(asking.Endpoint), Answer: answerNotAsked}
	if asking.Endpoint == "" && !q.discovered() || asking.Signed && len(q.Keys) == 0 {
		return
	}
	before := q.of.Exchanges.count()
	result, err := asking.Client.Introspect(ctx, asking.Prefix+"made-up-by-bearer-auth-check-"+rand.Text())
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil:
		q.Introspection.Answer = answerError
		q.unanswered(err, q.of.Exchanges.from(before))
	case result.Active:
		q.Introspection.Answer = answerActive
		q.find(Problem, MadeUpTokenActive, "the server says that a made-up token is active: everybody can get in",
			"check the endpoint: it must be that of a real authorization server, and must look at the token")
	default:
		q.Introspection.Answer = answerInactive
	}
}

// discovered looks for the endpoint in the metadata, and reports whether it is there.
func (q *inquiry) discovered() bool {
	metadata, _ := q.of.Metadata.Found()
	if metadata == nil {
		return false // already reported
	}
	name, address := "introspection_endpoint", metadata.IntrospectionEndpoint
	if q.of.Asking.UserInfo {
		name, address = "userinfo_endpoint", metadata.UserinfoEndpoint
	}
	q.Introspection.Endpoint = withoutQuery(address)
	switch {
	case address != "":
		return true
	case slices.Contains(metadata.LeftOut, name):
		q.find(Problem, EndpointNotAllowed, fmt.Sprintf("the metadata has an address as %q that must not be used: it is not "+
			"https", name), "have the server name an https address, or give one with \"endpoint\"")
	default:
		q.find(Problem, EndpointMissing, fmt.Sprintf("the metadata has no %q", name),
			"give the address with \"endpoint\", or remove \"introspect\" when the server has none")
	}
	return false
}

// unanswered reports an error in place of a verdict.
func (q *inquiry) unanswered(err error, exchanges []fetch.Exchange) {
	const cureOfError = "try a good token. If that works, this is how the server answers tokens that it does not know, " +
		"and the gate answers them with 502 or 503"
	none, is := errors.AsType[*introspect.NoVerdictError](err)
	if !is {
		q.trouble(err, exchanges)
		return
	}
	text := none.Error()
	if none.Err != nil {
		text = none.Err.Error()
	}
	switch status := none.Status; {
	case none.Cause == introspect.CauseRefused && status == 0:
		q.find(Problem, AuthMethodMissing, text,
			"give client_secret, private_key or bearer_token as the server wants it, or name a method with auth_method")
	case none.Cause == introspect.CauseRefused:
		q.find(Problem, CredentialsRefused, text+": the server refuses our own credentials",
			"compare client_id, client_secret and auth_method with the server; some servers want raw_basic")
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone,
		status >= 300 && status < 400:
		q.find(Problem, Status, text, "check the address of the endpoint")
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		q.find(Problem, Status, text, cureOfStatus(status))
	case status != 0:
		q.find(Warning, MadeUpTokenError, text+" about a made-up token", cureOfError)
	case errors.Is(err, introspect.ErrAnswer):
		q.find(Problem, Malformed, text, "check the address of the endpoint: its answer is not one of RFC 7662")
	case none.Cause == introspect.CauseTimeout:
		q.find(Problem, Timeout, text, "look at the server, or raise \"timeout\" in \"introspect\"")
	default:
		q.trouble(none, exchanges)
	}
}
