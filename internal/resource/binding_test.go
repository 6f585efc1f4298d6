package resource_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/resource"
)

// What the metadata say about bound tokens suits every gate of the resource.
func TestBindingOfSeveralGates(t *testing.T) {
	id, err := resource.Parse("https://api.example")
	if err != nil {
		t.Fatal(err)
	}
	type binding = resource.Binding
	for name, row := range map[string]struct {
		gates []binding
		want  string // of the document, between bearer_methods_supported and its end
	}{
		"nothing": {[]binding{{}}, ``},
		"DPoP": {[]binding{{DPoP: []string{"ES256", "EdDSA"}}},
			`,"dpop_signing_alg_values_supported":["ES256","EdDSA"]`},
		"only DPoP": {[]binding{{DPoP: []string{"ES256"}, DPoPRequired: true}},
			`,"dpop_signing_alg_values_supported":["ES256"],"dpop_bound_access_tokens_required":true`},
		"certificates": {[]binding{{Certificates: true}}, `,"tls_client_certificate_bound_access_tokens":true`},
		"what both take": {[]binding{{DPoP: []string{"RS256", "ES256"}}, {DPoP: []string{"ES256", "EdDSA"}}},
			`,"dpop_signing_alg_values_supported":["ES256"]`},
		"one takes none": {[]binding{{}, {DPoP: []string{"ES256"}}, {}},
			`,"dpop_signing_alg_values_supported":["ES256"]`},
		"nothing in common": {[]binding{{DPoP: []string{"RS256"}}, {DPoP: []string{"ES256"}},
			{DPoP: []string{"ES256"}}}, ``},
		"one demands it": {[]binding{{DPoP: []string{"ES256"}, DPoPRequired: true}, {DPoP: []string{"ES256"}}},
			`,"dpop_signing_alg_values_supported":["ES256"]`},
		"both demand it": {[]binding{{DPoP: []string{"ES256"}, DPoPRequired: true},
			{DPoP: []string{"ES256"}, DPoPRequired: true}},
			`,"dpop_signing_alg_values_supported":["ES256"],"dpop_bound_access_tokens_required":true`},
		"certificates at one": {[]binding{{Certificates: true}, {}}, `,"tls_client_certificate_bound_access_tokens":true`},
	} {
		var parts []resource.Part
		for _, gate := range row.gates {
			parts = append(parts, resource.Part{Binding: gate})
		}
		document, err := resource.Unite(id, parts)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"resource":"https://api.example","bearer_methods_supported":[]` + row.want + "}"
		if got := strings.TrimSpace(string(document.JSON())); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}
