package explain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

func (s *subject) scope() *advice {
	kind, these := "scope", "these scopes"
	if s.Rule == "message" {
		return &advice{Note: "The block \"mcp\" asks for them, " + inGate + ": have the client ask for " + these + "."}
	}
	switch s.Rule {
	case "require_any_scope":
		kind, these = "any_scope", "one of these scopes"
	case "require_any":
		return s.claim()
	}
	return &advice{Note: line(append([]string{"require", kind}, s.Expected...)...) + " asks for it, " + inGate +
		": have the client ask for " + these + "."}
}

// signIn repeats what the challenge demands: the client has to ask the authorization server for all of it at once.
func (s *subject) signIn() *advice {
	demand := ""
	if acr := s.config.Require.ACR; len(acr) > 0 {
		demand += ", with acr_values=" + strconv.Quote(strings.Join(acr, " "))
	}
	if age := s.config.Require.MaxAuthAge; age > 0 {
		demand += fmt.Sprintf(", with max_age=%d", age/time.Second)
	}
	return &advice{Note: "Have the client send the user to sign in again" + demand + " in the authorization request. " +
		"If a new token has no better acr and auth_time, the server does not put them into access tokens, or into its " +
		"answers: see \"Signing in again\" in docs/configuration.md."}
}

func (s *subject) claim() *advice {
	kind := strings.ReplaceAll(strings.TrimPrefix(s.Rule, "require_"), "not_", "not ")
	asks := line(append(strings.Fields("require "+kind), s.Expected...)...)
	switch {
	case kind == "any":
		return &advice{Note: "The block \"require any\" asks for one of these, " + inGate + ": " +
			clip(strings.Join(s.Expected, "; ")) + ". Give the caller one of them, or add an alternative there."}
	case strings.HasPrefix(kind, "not "):
		return &advice{Note: asks + " refuses it, " + inGate + ": take it from the caller at the authorization server, or " +
			"remove the value there. A claim that is an object, for example, is refused whatever it says."}
	}
	return &advice{Note: asks + " asks for it, " + inGate +
		": give the caller what it asks for at the authorization server, or add a value there."}
}
