package caddyjwt

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// noWords are fields of the gate's configuration that a handler cannot set.
var noWords = []string{"Now", "Turns", "Revocations", "Watched", "Outputs[0]", "Require.Others[0]",
	"OnlyLocalRevoked", "Issuers[0].Local", "HandedIn"}

// The handler has a field for each field in which the gate may find a mistake.
func TestFieldsOfTheGateAreFieldsOfTheHandler(t *testing.T) {
	count := 0
	for _, path := range paths(reflect.TypeFor[gate.Config](), "") {
		if slices.Contains(noWords, path) {
			continue
		}
		count++
		if ours := handlerField(path); !hasPath(reflect.TypeFor[Handler](), ours) {
			t.Errorf("the handler has no %s, for the gate's %s", ours, path)
		}
	}
	if count < 30 {
		t.Errorf("only %d fields: the test cannot be right", count)
	}
}

// paths are the paths of the exported fields, with [0] for the elements of lists.
func paths(structure reflect.Type, prefix string) (found []string) {
	for i := range structure.NumField() {
		field := structure.Field(i)
		if !field.IsExported() {
			continue
		}
		path, inner := prefix+field.Name, field.Type
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			if inner.Kind() == reflect.Slice {
				path += "[0]"
			}
			inner = inner.Elem()
		}
		found = append(found, path)
		if inner.Kind() == reflect.Struct && inner.PkgPath() == reflect.TypeFor[gate.Config]().PkgPath() {
			found = append(found, paths(inner, path+".")...)
		}
	}
	return found
}

func hasPath(structure reflect.Type, path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		name, _, indexed := strings.Cut(name, "[")
		for structure.Kind() == reflect.Pointer {
			structure = structure.Elem()
		}
		if structure.Kind() != reflect.Struct {
			return false
		}
		field, ok := structure.FieldByName(name)
		if !ok {
			return false
		}
		if structure = field.Type; indexed && structure.Kind() == reflect.Slice {
			structure = structure.Elem()
		}
	}
	return true
}

// An error about a mistake names the handler's field.
func TestMistakesNameTheirField(t *testing.T) {
	const issuer = `"audience":["x"],"issuers":[{"issuer":"https://a.example"},{"issuer":"https://b.example",`
	const consumer = `"consumers":[{"username":"a","credentials":[{"key":"k","algorithm":"HS256",` +
		`"secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"}]},`
	for _, c := range []struct{ text, field string }{
		{`{"realm":"{nothing}"}`, "Realm"},
		{`{"max_token_size":-1}`, "MaxTokenSize"},
		{`{"token_from":[{"in":"query","name":"a"},{"in":"body","name":"b"}]}`, "TokenFrom[1]"},
		{`{"token_from":[{"in":"query","name":"a"},{"in":"query","name":"a"}]}`, "TokenFrom[1]"},
		{`{"audience":["a","{nothing}"]}`, "Audience[1]"},
		{`{"leeway":"6m",` + consumer + `{"username":"b"}]}`, "Leeway"},
		{`{` + consumer + `{"username":"a"}]}`, "Consumers[1].Username"},
		{`{` + consumer + `{"username":"b","custom_id":"{nothing}"}]}`, "Consumers[1].CustomID"},
		{`{` + consumer + `{"username":"b","groups":["a,b"]}]}`, "Consumers[1].Groups"},
		{`{` + consumer + `{"username":"b","credentials":[{"key":"l","algorithm":"HS256","secret":"short"}]}]}`,
			"Consumers[1].Credentials[0].Secret"},
		{`{` + consumer + `{"username":"b","credentials":[{"key":"l","algorithm":"RS256","public_key":"-----BEGIN"}]}]}`,
			"Consumers[1].Credentials[0].PublicKey"},
		{`{` + consumer + `{"username":"b","credentials":[{"key":"l","algorithm":"none"}]}]}`,
			"Consumers[1].Credentials[0].Algorithm"},
		{`{` + issuer + `"leeway":"6m"}]}`, "Issuers[1].Leeway"},
		{`{` + issuer + `"keys":{"source":"ldap"}}]}`, "Issuers[1].Keys.Source"},
		{`{` + issuer + `"keys":{"source":"jwks","url":"http://a.example"}}]}`, "Issuers[1].Keys"},
		{`{` + issuer + `"keys":{"source":"jwks","url":"https://a.example","path":"x"}}]}`, "Issuers[1].Keys.Path"},
		{`{` + issuer + `"algorithms":["RS256","RS255"]}]}`, "Issuers[1].Algorithms[1]"},
		{`{` + issuer + `"type":["a","A"]}]}`, "Issuers[1].Types[1]"},
		{`{` + issuer + `"profile":"rfc1"}]}`, "Issuers[1].Profile"},
		{`{` + issuer + `"required_claims":["a","a..b"]}]}`, "Issuers[1].RequiredClaims[1]"},
		{`{` + issuer + `"max_stale":"1s"}]}`, "Issuers[1].MaxStale"},
		{`{` + issuer + `"tolerate":["exp"]}]}`, "Issuers[1].Tolerate"},
		{`{` + issuer + `"tolerate":[]}]}`, "Issuers[1].Tolerate"},
		{`{` + issuer + `"tolerate":["missing_exp"]}]}`, "Issuers[1].Tolerate"},
		{`{` + issuer + `"profile":"rfc9068","tolerate":["empty_subject"]}]}`, "Issuers[1].Tolerate"},
		{`{` + issuer + `"keys":{"source":"none"},"introspect":{"bearer_token":"a","endpoint":"https://b.example"},` +
			`"tolerate":["null_claims"]}]}`, "Issuers[1].Tolerate"},
		{`{` + issuer + `"group_claim":["a","a..b"]}]}`, "Issuers[1].GroupClaims[1]"},
		{`{` + issuer + `"group_claim":[]}]}`, "Issuers[1].GroupClaims"},
		{`{"consumers":[{"username":"b"}],` + issuer + `"consumer_claim":"a..b"}]}`, "Issuers[1].ConsumerClaim"},
		{`{` + issuer + `"consumer_claim":"sub"}]}`, "Issuers[1].ConsumerClaim"},
		{`{` + issuer + `"consumer_by":"username"}]}`, "Issuers[1].ConsumerBy"},
		{`{` + issuer + `"consumer_claim":"sub","consumer_by":"id"}]}`, "Issuers[1].ConsumerBy"},
		{`{"consumers":[{"username":"b"}],` + issuer + `"consumer_claim":"sub","consumer_by":"custom_id"}]}`,
			"Issuers[1].ConsumerBy"},
		{`{` + issuer + `"consumer_claim":"sub","group_claim":["roles"]}]}`, "Issuers[1].GroupClaims"},
		{`{` + issuer + `"consumer_claim":"sub","username_claim":"sub"}]}`, "Issuers[1].UsernameClaim"},
		{`{` + issuer + `"username_claim":"a..b"}]}`, "Issuers[1].UsernameClaim"},
		{`{` + consumer + `{"username":"b","tolerate":[]}]}`, "Consumers[1].Tolerate"},
		{`{` + consumer + `{"username":"b","tolerate":["numeric_subject"]}]}`, "Consumers[1].Tolerate"},
		{`{"audience":["x"],"consumers":[{"username":"b","tolerate":["missing_exp"],"credentials":[{"key":"l",` +
			`"algorithm":"HS256","secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f"}]}]}`, "Consumers[0].Tolerate"},
		{`{` + consumer + `{"username":"b","credentials":[{"key":"l","algorithm":"HS256",` +
			`"secret":"9d1f8a3c5e7b42604f8e1a2b3c4d5e6f","expires":"31.1.2027"}]}]}`, "Consumers[1].Credentials[0].Expires"},
		{`{` + issuer + `"key_use":"enc"}]}`, "Issuers[1].KeyUse"},
		{`{` + issuer + `"max_keys":5000}]}`, "Issuers[1].MaxKeys"},
		{`{` + issuer + `"request_headers":{"X-A":["a"],"Host":["b"]}}]}`, "Issuers[1].RequestHeaders[Host]"},
		{`{` + issuer + `"tls":{"client_key":"x"}}]}`, "Issuers[1].TLS.ClientKey"},
		{`{` + issuer + `"tls":{"pin":["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","x"]}}]}`, "Issuers[1].TLS.Pins[1]"},
		{`{` + issuer + `"tls":{"ca":["offline_test.go"]}}]}`, "Issuers[1].TLS.CA"},
		{`{` + issuer + `"tls":{"server_name":"a/b"}}]}`, "Issuers[1].TLS.ServerName"},
		{`{` + issuer + `"tls":{"client_cert":"offline_test.go","client_key":"offline_test.go"}}]}`,
			"Issuers[1].TLS.ClientCert"},
		{`{` + issuer + `"introspect":{"mode":"maybe"}}]}`, "Issuers[1].Introspect.Mode"},
		{`{` + issuer + `"introspect":{"verify":"maybe"}}]}`, "Issuers[1].Introspect.Verify"},
		{`{` + issuer + `"introspect":{"auth_method":"maybe"}}]}`, "Issuers[1].Introspect.AuthMethod"},
		{`{` + issuer + `"introspect":{"auth_method":"tls_client_auth","client_id":"a"}}]}`,
			"Issuers[1].Introspect.AuthMethod"},
		{`{` + issuer + `"introspect":{"client_id":"a","auth_method":"client_secret_jwt","client_secret":"short"}}]}`,
			"Issuers[1].Introspect.ClientSecret"},
		{`{` + issuer +
			`"introspect":{"bearer_token":"a","params":[{"name":"a","value":"b"},{"name":"{env.A}","value":""}]}}]}`,
			"Issuers[1].Introspect.Params[1]"},
		{`{` + issuer + `"introspect":{"client_id":"a","client_secret":"b","key_id":"k"}}]}`, "Issuers[1].Introspect.KeyID"},
		{`{"require":{"scopes":["a","{nothing}"]},` + consumer + `{"username":"b"}]}`, "Require.Scopes[1]"},
		{`{"require":{"claims":[{"claim":"a"},{"claim":"a..b"}]},` + consumer + `{"username":"b"}]}`, "Require.Claims[1]"},
		{`{"require":{"scopes":["\""]},` + consumer + `{"username":"b"}]}`, "Require.Scopes"},
		{`{"forward_claims":[{"claim":"a","header":"X-A"},{"claim":"b","header":"X-A"}],` + consumer + `{"username":"b"}]}`,
			"ForwardClaims[1].Header"},
		{`{"forward_claims":[{"claim":"a..b","header":"X-A"}],` + consumer + `{"username":"b"}]}`, "ForwardClaims[0].Claim"},
		{`{"introspect":{"mode":"force"},` + issuer + `"introspect":{"bearer_token":"a"}}]}`, "Introspect.Mode"},
		{`{"anonymous":"c",` + consumer + `{"username":"b"}]}`, "Anonymous"},
		{`{"cache_size":1,` + consumer + `{"username":"b"}]}`, "CacheSize"},
	} {
		h := new(Handler)
		if err := json.Unmarshal([]byte(c.text), h); err != nil {
			t.Fatalf("%v: %s", err, c.text)
		}
		if err := h.check(); setting.Field(err) != c.field {
			t.Errorf("field %q, want %q: %v", setting.Field(err), c.field, err)
		}
	}
}
