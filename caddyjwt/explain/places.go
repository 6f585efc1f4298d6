package explain

import (
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// usual are names under which clients send tokens.
var usual = []string{
	"access_token", "token", "jwt", "auth_token", "id_token", "session",
	"X-Access-Token", "X-Auth-Token", "X-Token", "Token", "Jwt",
}

// missingToken looks for a token in places where the gate does not.
func (s *subject) missingToken() *advice {
	scheme, _, _ := strings.Cut(s.request.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, bearer.DPoPScheme) {
		return &advice{Line: s.proofLine("dpop"), Where: inGate,
			Note: "The token came with the scheme DPoP, which counts only where the gate takes proofs of possession."}
	}
	for _, place := range s.otherPlaces() {
		if !placeFits(place) {
			continue
		}
		words := append([]string{"token_from"}, strings.Fields(place.String())...)
		return &advice{Line: line(words...), Where: inGate,
			Note: "The request has something there. Better have the client send \"Authorization: Bearer <token>\". " +
				"The first token_from replaces that default: to keep both, also write token_from header Authorization Bearer."}
	}
	return &advice{Note: "Send a token: the gate looks at " + strings.Join(s.Expected, ", ") + "."}
}

// otherPlaces are places of the request that seem to have a token.
func (s *subject) otherPlaces() (places []bearer.Place) {
	header := s.request.Header
	if scheme, _, ok := strings.Cut(header.Get("Authorization"), " "); ok && isScheme(scheme) {
		places = append(places, bearer.Place{Kind: bearer.Header, Name: "Authorization", Scheme: scheme})
	}
	seems := func(name, value string) bool {
		return len(name) <= 40 && (looksLikeJWT(value) || value != "" && slices.Contains(usual, name))
	}
	for _, name := range sorted(header) {
		scheme, value, ok := strings.Cut(header.Get(name), " ")
		if !ok {
			scheme, value = "", scheme
		}
		if name != "Authorization" && name != "Cookie" && isScheme(scheme) && seems(name, value) {
			places = append(places, bearer.Place{Kind: bearer.Header, Name: name, Scheme: scheme})
		}
	}
	marker := ""
	for protocol := range strings.SplitSeq(header.Get("Sec-WebSocket-Protocol"), ",") {
		protocol = strings.TrimSpace(protocol)
		if looksLikeJWT(protocol) && marker != "" && len(marker) <= 40 {
			places = append(places, bearer.Place{Kind: bearer.Subprotocol, Name: marker})
			break
		}
		marker = protocol
	}
	query := s.request.URL.Query()
	for _, name := range sorted(query) {
		if seems(name, query.Get(name)) {
			places = append(places, bearer.Place{Kind: bearer.Query, Name: name})
		}
	}
	for _, cookie := range s.request.Cookies() {
		if seems(cookie.Name, cookie.Value) {
			places = append(places, bearer.Place{Kind: bearer.Cookie, Name: cookie.Name})
		}
	}
	return places
}

func sorted(values map[string][]string) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// isScheme reports whether a text can be the name of a scheme. A token could stand there by mistake, and must not be
// printed.
func isScheme(text string) bool {
	return len(text) <= 20 && !strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-'
	})
}

// looksLikeJWT reports whether a text begins as the JSON object of a header does, and has three parts.
func looksLikeJWT(text string) bool {
	return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2
}

// placeFits reports whether token_from can name a place.
func placeFits(place bearer.Place) bool {
	_, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{place}})
	return err == nil
}
