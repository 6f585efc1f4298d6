package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mcp is the resource of these tests, and mcpMetadata the path of its metadata.
const (
	mcp         = "https://mcp.example.com/mcp"
	mcpMetadata = "/.well-known/oauth-protected-resource/mcp"
)

// resourceGate is a gate for that resource, whose issuer says no audience.
func resourceGate(as *tokentest.AS, lines ...string) string {
	return gateFor(append([]string{issuerBlock(as.URL, "keys jwks "+as.JWKSURL()), "resource " + mcp}, lines...)...)
}

// metadata reads the metadata of a resource, and wants nothing to have reached the upstream.
func (s *site) metadata(path string, header ...string) map[string]any {
	s.t.Helper()
	got := s.get(path, "", header...)
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/json" {
		s.t.Fatalf("status %d, type %q", got.StatusCode, got.Header.Get("Content-Type"))
	}
	s.nothingForwarded()
	var members map[string]any
	if err := json.Unmarshal([]byte(got.body), &members); err != nil {
		s.t.Fatalf("%v: %s", err, got.body)
	}
	return members
}

func TestResourceShowsTheWayIn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, resourceGate(as, "require scope mcp:read mcp:write"))
	const address = "https://mcp.example.com" + mcpMetadata

	for name, header := range map[string][]string{
		"without a token": nil, "with a bad token": {"Authorization", "Bearer a.b.c"},
		"with too few scopes": {"Authorization", "Bearer " + key.Sign(t, issuedBy(as.URL, "aud", mcp))},
	} {
		got := s.get("/mcp", "", header...)
		s.nothingForwarded()
		challenge, err := parseChallenge(got.Header.Get("Www-Authenticate"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if challenge["resource_metadata"] != address || challenge["scope"] != "mcp:read mcp:write" {
			t.Errorf("%s: %v", name, challenge)
		}
	}
	if got := s.metadata(mcpMetadata); got["resource"] != mcp {
		t.Errorf("the metadata is %v", got)
	}
	// The audience is the resource, because nothing else says one.
	token := func(aud any) string {
		return key.Sign(t, issuedBy(as.URL, "aud", aud, "scope", "mcp:write mcp:read"))
	}
	s.passed(s.get("/mcp", token(mcp)))
	for _, aud := range []any{audience, mcp + "/", "https://mcp.example.com", strings.ToUpper(mcp), nil} {
		s.refused(s.get("/mcp", token(aud)), 401, "invalid_audience")
	}
}

// Documents are what the configuration says, for a generated set of configurations. The model below is written from RFC
// 9728 section 2 and the manual, and shares no code with the gate.
func TestMetadataEqualsTheConfiguration(t *testing.T) {
	const seed = 9728
	random := rand.New(rand.NewPCG(seed, seed))
	one := func(n int) bool { return random.IntN(n) == 0 }
	issuers := []struct {
		name  string
		found bool // by clients
	}{
		{"https://one.example", true}, {"https://two.example/realms/x", true}, {"http://127.0.0.1:9", true},
		{"spiffe://example.org", false}, {"accounts", false}, {"http://three.example", false},
	}
	places := []struct{ word, method string }{
		{"header Authorization", "header"}, {"form access_token", "body"}, {"query access_token", "query"},
		{"header X-Token", ""}, {"cookie access_token", ""}, {"query token", ""}, {"form t", ""},
	}
	scopes := []string{"a", "b", "c:d", "offline_access"}

	// add adds those of more that are not in the list yet.
	add := func(list []any, more ...string) []any {
		for _, text := range more {
			if !slices.Contains(list, any(text)) {
				list = append(list, text)
			}
		}
		return list
	}
	var sites strings.Builder
	want := make(map[string]map[string]any)
	s := prepare(t)
	for i := range 60 {
		host := fmt.Sprintf("site%d.test", i)
		url := "https://" + host + []string{"", "/", "/mcp", "/a/b/"}[random.IntN(4)]
		document := map[string]any{"resource": url}
		var servers, needed, named, methods []any
		fmt.Fprintf(&sites, "http://%s {\n\tbind unix/%s\n", host, s.socket)
		for gate := range 1 + random.IntN(3) {
			fmt.Fprintf(&sites, "\tbearer_auth /%d/* {\n\t\trealm api\n", gate)
			for n, issuer := range issuers {
				if n == gate || one(3) {
					fmt.Fprintf(&sites, "\t\tissuer %s {\n\t\t\tkeys jwks https://keys.example/\n\t\t}\n", issuer.name)
					if issuer.found {
						servers = add(servers, issuer.name)
					}
				}
			}
			some := false
			for _, place := range places {
				if one(4) {
					some = true
					fmt.Fprintf(&sites, "\t\ttoken_from %s\n", place.word)
					methods = add(methods, place.method)
				}
			}
			if !some {
				methods = add(methods, "header")
			}
			for _, scope := range scopes {
				word := "require scope"
				if one(2) {
					word = "require any_scope x"
				}
				if one(3) {
					fmt.Fprintf(&sites, "\t\t%s %s\n", word, scope)
					if strings.Contains(word, "any") {
						needed = add(needed, "x")
					}
					if scope != "offline_access" {
						needed = add(needed, scope)
					}
				}
			}
			fmt.Fprintf(&sites, "\t\tresource %s {\n", url)
			for word, member := range map[string]string{"name": "resource_name", "documentation": "resource_documentation",
				"policy": "resource_policy_uri", "tos": "resource_tos_uri"} {
				if one(3) {
					document[member] = "https://" + host + "/" + word
					fmt.Fprintf(&sites, "\t\t\t%s %s\n", word, document[member])
				}
			}
			if one(3) {
				scope := scopes[random.IntN(len(scopes))]
				named = add(named, scope)
				fmt.Fprintf(&sites, "\t\t\tscopes %s\n", scope)
			}
			sites.WriteString("\t\t}\n\t}\n")
		}
		sites.WriteString("\trespond 200\n}\n")
		for _, scope := range named {
			needed = add(needed, scope.(string))
		}
		for member, list := range map[string][]any{"authorization_servers": servers, "scopes_supported": needed} {
			if len(list) > 0 {
				document[member] = list
			}
		}
		methods = slices.DeleteFunc(methods, func(m any) bool { return m == "" })
		document["bearer_methods_supported"] = append([]any{}, methods...)
		want[host] = document
	}
	s.loadFile(s.caddyfile("") + sites.String())
	for host, document := range want {
		r := s.request(http.MethodGet, "/.well-known/oauth-protected-resource", nil)
		r.Host = host
		if _, path, ok := strings.Cut(strings.TrimPrefix(document["resource"].(string), "https://"), "/"); ok && path != "" {
			r.URL.Path += "/" + path
		}
		got := s.do(r)
		var members map[string]any
		if err := json.Unmarshal([]byte(got.body), &members); err != nil {
			t.Errorf("%s: %v: status %d, %s", host, err, got.StatusCode, got.body)
			continue
		}
		for _, lists := range []map[string]any{members, document} {
			for name, list := range lists {
				if list, ok := list.([]any); ok && name != "authorization_servers" { // whose order is a preference
					slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
				}
			}
		}
		if !reflect.DeepEqual(members, document) {
			t.Errorf("%s:\n%v, want\n%v", host, members, document)
		}
	}
}
