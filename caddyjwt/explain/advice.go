package explain

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// advice is what would change the answer.
type advice struct {
	// Line is a line of a Caddyfile. It is empty if no line should: then the token or the request has to change.
	Line string `json:"line,omitempty"`
	// Where is the block for the line.
	Where string `json:"where,omitempty"`
	// Note is a sentence about it.
	Note string `json:"note"`
}

func (a *advice) write(b *strings.Builder) {
	if a.Line == "" {
		fmt.Fprintf(b, "  What helps:        %s\n", terminal.Printable(a.Note))
		return
	}
	fmt.Fprintf(b, "  What would change the answer:  %s\n    %s\n    %s\n", a.Line,
		terminal.Printable(a.Where), terminal.Printable(a.Note))
}

// subject is what an advice is about: the first rule that refuses the request.
type subject struct {
	gate.Step
	config      *gate.Config
	explanation *gate.Explanation
	request     *http.Request
}

// advise says what would change the answer to a refused request.
func advise(config gate.Config, e *gate.Explanation, r *http.Request) *advice {
	s := &subject{config: &config, explanation: e, request: r}
	s.Reason = e.Failure.Reason
	if i := slices.IndexFunc(e.Steps, func(s gate.Step) bool { return s.Result == gate.Failed }); i >= 0 {
		s.Step = e.Steps[i]
	}
	if write := advices[s.Reason]; write != nil {
		return write(s)
	}
	return &advice{Note: "See the table of reasons in docs/errors.md."}
}

// advices has one function for each reason. A test requires it.
var advices = map[gate.Reason]func(*subject) *advice{
	gate.MalformedRequest: (*subject).malformedRequest,
	gate.BodyTooLarge: note("Send the token in the header Authorization, or take \"token_from form\" off routes with " +
		"large forms."),
	gate.Overloaded: note("Send the token in the header Authorization, or a shorter form. If it is encrypted for an " +
		"RSA key, try again, and use an EC key."),
	gate.MissingToken: (*subject).missingToken,
	gate.CrossOrigin: note("If the page may act for its user, name its origin in \"cors\", with \"credentials\". If it " +
		"is a page of this site, have the proxies before the gate send Host as the client did."),
	gate.MalformedToken: (*subject).malformedToken,
	gate.DecryptionFailed: note("Have the token encrypted for a key of the issuer's \"decrypt\" block, or add the key " +
		"that it is for: see docs/encryption.md."),
	gate.NotEncrypted: note("Have the server encrypt its tokens for this gate, or remove \"required\" from the issuer's " +
		"\"decrypt\" block."),
	gate.UnsupportedAlgorithm: (*subject).algorithm,
	gate.InvalidType:          (*subject).invalidType,
	gate.UnknownIssuer:        (*subject).unknownIssuer,
	gate.UnknownKey:           (*subject).unknownKey,
	gate.InvalidSignature: note("Get a new token: this one was changed, cut short when it was copied, or signed with " +
		"another key."),
	gate.Expired:         (*subject).expired,
	gate.NotYetValid:     (*subject).notYetValid,
	gate.LifetimeTooLong: (*subject).lifetime,
	gate.InvalidIssuer:   (*subject).invalidIssuer,
	gate.InvalidAudience: (*subject).audience,
	gate.MissingClaim:    (*subject).missingClaim,
	gate.PlainHTTP: note("Revoke the token, and have the client use https: others may have read it. If a proxy before " +
		"Caddy ends TLS, name that proxy in \"trusted_proxies\" of the server."),
	gate.ProofRequired: (*subject).proofRequired,
	gate.InvalidProof:  (*subject).invalidProof,
	gate.OtherKey:      (*subject).otherKey,
	gate.NonceRequired: note("Send the nonce that the answer has in DPoP-Nonce, in a new proof: \"mint --dpop-proof\" " +
		"takes it with --dpop-nonce. Clients that know RFC 9449 section 9 do that by themselves."),
	gate.ProofReplayed: note("Make a new proof for each request. If the client does, somebody else has sent its " +
		"proof: look for who reads its requests."),
	gate.TooManyProofs: note("The client has sent very many proofs of one key within \"max_age\": have it slow down, or " +
		"use one key for each of its processes. A shorter \"max_age\" in the block \"proof\" forgets proofs sooner."),
	gate.ProofsUnavailable: note("Look at the store, which keeps the proofs that were used, and the secret of nonces: " +
		"run \"caddy bearer-auth store status\"."),
	gate.Revoked: note("Get a new token. \"caddy bearer-auth revocations\" lists what is revoked, and \"revoke --undo\" " +
		"takes a revocation back."),
	gate.RevocationsUnavailable: note("Look at the store of revoked tokens: run \"caddy bearer-auth store status\"."),
	gate.Inactive: note("Get a new token. If new tokens are inactive, too, see \"Good tokens are inactive\" in " +
		"docs/introspection.md."),
	gate.Contradiction: note("Token and answer, or the layers of an encrypted token, are about different things: the " +
		"cause names the claim. Check \"endpoint\" in the introspect block."),
	gate.UnknownConsumer: note("Add a consumer with exactly the name in the claim, or have the server write another one."),
	gate.UnsafeClaim: note("The forward_claims, forward_payload or username_claim of this claim refuses it: name " +
		"another claim, or clean the data at the authorization server."),
	gate.InsufficientScope: (*subject).scope,

	gate.InsufficientUserAuthentication: (*subject).signIn,

	gate.MalformedMessage: note("Have the client send exactly one well-formed JSON-RPC message. If the request is not " +
		"one of MCP, give it a gate without the block \"mcp\"."),
	gate.ToolDenied: note("If callers may run this tool, add a line \"tool\" with its name to the block \"mcp\", with " +
		"the scopes that it needs."),

	gate.ClaimMismatch: (*subject).claim,
	gate.KeyPending:    note("Wait some seconds and try again. If it stays so, run \"caddy bearer-auth check\"."),
	gate.KeysUnavailable: note("The issuer's keys cannot be had: run \"caddy bearer-auth check\", and see " +
		"docs/keys.md."),
	gate.IntrospectionUnavailable: note("The authorization server cannot be asked: run \"caddy bearer-auth check\", and " +
		"see docs/introspection.md."),
	gate.IntrospectionFailed: note("Check \"client_id\", \"client_secret\" and \"auth_method\" in the introspect " +
		"block: run \"caddy bearer-auth check\"."),
	gate.IntrospectionTimeout: note("Raise \"timeout\" in the introspect block, or look at the server."),
	gate.ClientGone:           note("The command was interrupted: run it again."),
	gate.InternalError:        note("This is a fault of the gate: please report it."),
}

func note(text string) func(*subject) *advice {
	return func(*subject) *advice { return &advice{Note: text} }
}

const inGate = "in the bearer_auth block"

// block names the block of the party whose rules apply.
func (s *subject) block() string {
	switch e := s.explanation; {
	case e.Issuer != "":
		return "in the block of issuer " + strconv.Quote(e.Issuer)
	case e.Consumer != "":
		return "in the block of consumer " + strconv.Quote(e.Consumer)
	default:
		return inGate
	}
}

// issuer is the issuer whose rules apply, or nil.
func (s *subject) issuer() *gate.Issuer {
	i := slices.IndexFunc(s.config.Issuers, func(i gate.Issuer) bool { return i.Name == s.explanation.Issuer })
	if i < 0 {
		return nil
	}
	return &s.config.Issuers[i]
}

// line is a line of a Caddyfile, with values in quotes where they need some.
func line(words ...string) string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = word
		if word == "" || strings.ContainsAny(word, " \"`{}#\\") || terminal.Printable(word) != word {
			out[i] = strconv.Quote(word)
		}
	}
	return clip(strings.Join(out, " "))
}

func (s *subject) malformedRequest() *advice {
	if strings.Contains(s.Detail, bearer.ErrTooLong.Error()) {
		return &advice{Line: "max_token_size 65536", Where: inGate,
			Note: "The token is longer than the gate allows. Choose the size of your longest tokens, in bytes."}
	}
	return &advice{Note: "Send exactly one well-formed token, once, in one of the places that the gate looks at."}
}

func (s *subject) malformedToken() *advice {
	if len(s.Came) == 1 && !strings.Contains(s.Came[0], "JWT") || strings.Contains(s.Detail, "encrypted") {
		return &advice{Line: "introspect opaque { … }", Where: "in the block of the issuer that issued the token",
			Note: "Only its server can read the token, so the gate has to ask it. See docs/introspection.md."}
	}
	if _, after, found := strings.Cut(s.Detail, `"tolerate `); found {
		word, _, _ := strings.Cut(after, `"`)
		if s.isTolerated(word) {
			return &advice{Note: "\"tolerate " + word + "\" is there, but the token does not name that issuer or consumer: " +
				"compare its iss with the configuration."}
		}
		return &advice{Line: "tolerate " + word, Where: "in the block of the issuer or consumer that the token is from",
			Note: "Better have the server write the claim as RFC 7519 says. The line accepts exactly this shape, and has a " +
				"danger of its own: see \"Claims as they come\" in docs/configuration.md."}
	}
	return &advice{Note: "Get a new token, and copy all of it. If it is whole, the server writes tokens that no strict " +
		"reader accepts."}
}

// isTolerated reports whether an issuer or consumer of the gate has this word of "tolerate".
func (s *subject) isTolerated(word string) bool {
	return slices.ContainsFunc(s.config.Issuers, func(i gate.Issuer) bool {
		return slices.Contains(i.Tolerate.Words(), word)
	}) || slices.ContainsFunc(s.config.Consumers, func(c gate.Consumer) bool {
		return slices.Contains(c.Tolerate.Words(), word)
	})
}

func (s *subject) algorithm() *advice {
	issuer := s.issuer()
	if s.Rule == "algorithm" && len(s.Came) == 1 && issuer != nil {
		came, known := jose.ParseAlgorithm(s.Came[0])
		shared := jose.HMACAlgorithms()
		if known && shared.Has(came) == (issuer.Algorithms&shared != 0) {
			words := append([]string{"algorithms"}, strings.Fields(issuer.Algorithms.String())...)
			return &advice{Line: line(append(words, s.Came[0])...), Where: s.block(),
				Note: "Add it only if the server really signs with this algorithm."}
		}
	}
	return &advice{Note: "Leave the configuration as it is: the algorithm that the token names does not fit its keys. " +
		"Have the server sign with an algorithm that the gate allows here."}
}

func (s *subject) invalidType() *advice {
	came := ""
	if len(s.Came) > 0 {
		came = strings.TrimPrefix(s.Came[0], "typ ")
	}
	switch {
	case s.Rule == "type" && came != "" && came != "no typ" && s.issuer() != nil:
		return &advice{Line: line(append(append([]string{"type"}, s.issuer().Types...), came)...), Where: s.block(),
			Note: "Add it only if access tokens of this server have this typ."}
	case s.Rule == "type":
		return &advice{Note: "The line \"type\" refuses tokens without a typ: remove it, if the server's access tokens " +
			"have none."}
	case s.Rule == "profile":
		return &advice{Note: "The line \"profile rfc9068\" asks for the typ at+jwt: remove it, if the server does not keep " +
			"that profile."}
	}
	return &advice{Note: "Leave the configuration as it is: this is not an access token, or does not say that it is " +
		"one. Send the access token. If the server's access tokens look like this, see \"Kinds of tokens\" in " +
		"docs/configuration.md."}
}

func (s *subject) expired() *advice {
	exp, ok := at(s.Came, "exp")
	now, _ := at(s.Expected, "now")
	return s.leeway(now.Sub(exp), ok, "Get a new token.")
}

func (s *subject) notYetValid() *advice {
	now, _ := at(s.Expected, "now")
	nbf, ok := at(s.Came, "nbf")
	if iat, there := at(s.Came, "iat"); there && iat.After(nbf) {
		nbf, ok = iat, true
	}
	return s.leeway(nbf.Sub(now), ok, "Compare the clocks, or try again later.")
}

// leeway advises a leeway if one would be long enough.
func (s *subject) leeway(needed time.Duration, known bool, otherwise string) *advice {
	seconds := int(math.Ceil(needed.Seconds()/5))*5 + 10 // there is time between this and the next request
	if !known || time.Duration(seconds)*time.Second > gate.MaxLeeway {
		return &advice{Note: otherwise + " No leeway is long enough, and none should be."}
	}
	where := inGate
	if s.explanation.Issuer != "" {
		where = s.block()
	}
	return &advice{Line: fmt.Sprintf("leeway %ds", seconds), Where: where,
		Note: otherwise + " The line helps only if the clocks differ by so much, and you cannot set them right."}
}

// at is a date among values such as "exp 2026-11-23T12:00:00Z".
func at(values []string, name string) (time.Time, bool) {
	for _, value := range values {
		if text, ok := strings.CutPrefix(value, name+" "); ok {
			date, err := time.Parse(time.RFC3339, text)
			return date, err == nil
		}
	}
	return time.Time{}, false
}

func (s *subject) lifetime() *advice {
	where := inGate
	if issuer := s.issuer(); issuer != nil && issuer.MaxLifetime != 0 &&
		(s.config.MaxLifetime == 0 || issuer.MaxLifetime < s.config.MaxLifetime) {
		where = s.block()
	}
	if len(s.Came) == 1 {
		return &advice{Line: line("max_lifetime", s.Came[0]), Where: where,
			Note: "Better have the server issue shorter tokens. The bound counts from now, too."}
	}
	return &advice{Note: "The line \"max_lifetime\" refuses it: have the server issue shorter tokens."}
}

func (s *subject) audience() *advice {
	where, accepted := inGate, s.config.Audience.Accepted
	if issuer := s.issuer(); s.Rule == "issuer_audience" && issuer != nil {
		where, accepted = s.block(), issuer.Audience.Accepted
	}
	if len(s.Came) == 0 {
		return &advice{Note: "Have the client ask for a token for this API: this one has no audience. \"audience any\" " +
			"accepts tokens for other APIs, too, and is dangerous without a \"require\" that tells them apart."}
	}
	return &advice{Line: line(slices.Concat([]string{"audience"}, accepted, s.Came[:1])...), Where: where,
		Note: "Add it only if it names this API. Otherwise have the client ask for a token for one of those accepted."}
}

// asked is the advice about a claim that a line asks for.
func asked(word string) *advice {
	return &advice{Note: "The line \"" + word + "\" asks for it: have the server add the claim, or remove the line."}
}

func (s *subject) missingClaim() *advice {
	switch s.Rule {
	case "required_claims":
		return &advice{Note: line(append([]string{"required_claims"}, s.Expected...)...) + " asks for it, " + s.block() +
			": have the server add the claim, or remove the name there."}
	case "profile":
		return &advice{Note: "The line \"profile rfc9068\" asks for it: have the server add the claim, or remove the line " +
			s.block() + "."}
	case "lifetime":
		return asked("max_lifetime")
	case "username_claim":
		return asked("username_claim")
	case "subject_or_client":
		return &advice{Line: "audience <value>", Where: s.block(),
			Note: "With an audience, the gate needs no other sign that this is an access token."}
	}
	if strings.Contains(s.Detail, "no iat") { // "tolerate missing_exp" is there
		return &advice{Note: "Have the server add exp, or at least iat: by that, \"tolerate missing_exp\" ends the token."}
	}
	return &advice{Note: "Leave the configuration as it is: have the server add the claim. A token without an end is " +
		"valid for ever. If you cannot, \"tolerate missing_exp\" ends such tokens a while after their iat."}
}
