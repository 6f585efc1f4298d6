package resource_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/resource"
)

func TestWhatTheDocumentSays(t *testing.T) {
	for name, c := range map[string]struct {
		parts []resource.Part
		want  string
	}{
		"nothing but its name": {[]resource.Part{{}},
			`{"resource":"https://api.example.com/v1","bearer_methods_supported":[]}`},
		"everything": {[]resource.Part{{
			Texts: resource.Texts{Name: `Bücher & "more"`, Documentation: "https://docs.example.com/a?b=c&d",
				Policy: "https://example.com/policy", TermsOfService: "https://example.com/tos"},
			Servers: []string{"https://a.example.com", "https://b.example.com"},
			Scopes:  []string{"read", "write"}, Named: []string{"delete"}, Methods: []string{"header", "query"},
		}}, `{"resource":"https://api.example.com/v1",
			"authorization_servers":["https://a.example.com","https://b.example.com"],
			"scopes_supported":["read","write","delete"],"bearer_methods_supported":["header","query"],
			"resource_name":"Bücher & \"more\"","resource_documentation":"https://docs.example.com/a?b=c&d",
			"resource_policy_uri":"https://example.com/policy","resource_tos_uri":"https://example.com/tos"}`},
		"two gates, each value once": {[]resource.Part{
			{Servers: []string{"https://a"}, Scopes: []string{"read"}, Named: []string{"x"}, Methods: []string{"header"}},
			{Servers: []string{"https://b", "https://a"}, Scopes: []string{"write", "read", "x"},
				Methods: []string{"body", "header"}},
		}, `{"resource":"https://api.example.com/v1","authorization_servers":["https://a","https://b"],
			"scopes_supported":["read","write","x"],"bearer_methods_supported":["header","body"]}`},
		"a refresh token is no right": {[]resource.Part{{Scopes: []string{"offline_access", "read"}}},
			`{"resource":"https://api.example.com/v1","scopes_supported":["read"],"bearer_methods_supported":[]}`},
		"a refresh token is what the operator wants": {
			[]resource.Part{{Scopes: []string{"offline_access", "read"}, Named: []string{"offline_access"}}},
			`{"resource":"https://api.example.com/v1","scopes_supported":["read","offline_access"],
			"bearer_methods_supported":[]}`},
		"the second gate has the texts": {
			[]resource.Part{{}, {Texts: resource.Texts{Name: "A"}}, {Texts: resource.Texts{Name: "A"}}},
			`{"resource":"https://api.example.com/v1","bearer_methods_supported":[],"resource_name":"A"}`},
	} {
		id, err := resource.Parse("https://api.example.com/v1")
		if err != nil {
			t.Fatal(err)
		}
		document, err := resource.Unite(id, c.parts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got, want any
		if err := json.Unmarshal(document.JSON(), &got); err != nil {
			t.Errorf("%s: %v: %s", name, err, document.JSON())
		}
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s", name, document.JSON())
		}
	}
}

func TestGatesThatContradictEachOther(t *testing.T) {
	for word, texts := range map[string][2]resource.Texts{
		"name":          {{Name: "A"}, {Name: "B"}},
		"documentation": {{Documentation: "https://a"}, {Documentation: "https://b"}},
		"policy":        {{Policy: "https://a"}, {Policy: "https://b"}},
		"tos":           {{TermsOfService: "https://a"}, {TermsOfService: "https://b"}},
	} {
		_, err := resource.Unite(resource.Identifier{}, []resource.Part{{Texts: texts[0]}, {}, {Texts: texts[1]}})
		if err == nil || !strings.Contains(err.Error(), "its "+word+" is ") {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestTextsForTheDocument(t *testing.T) {
	for text, c := range map[string]struct {
		address bool
		want    string
	}{
		"Orders, and more":              {false, ""},
		"Bücher 本":                      {false, ""},
		"two\nlines":                    {false, "not printable"},
		"\xff":                          {false, "not printable"},
		"left\u202eright":               {false, "not printable"},
		strings.Repeat("x", 1025):       {false, "longer than 1024"},
		"https://example.com/a?b=c#d":   {true, ""},
		"http://example.com":            {true, ""},
		"example.com/docs":              {true, "not the address of a page"},
		"/docs":                         {true, "not the address of a page"},
		"javascript:alert(1)":           {true, "not the address of a page"},
		"https://me:secret@example.com": {true, "not the address of a page"},
		"https://example.com/my docs":   {true, "not the address of a page"},
		"https://":                      {true, "not the address of a page"},
	} {
		err := resource.CheckText(text, c.address)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", text, err, c.want)
		}
	}
}
