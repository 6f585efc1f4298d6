package integration

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Every token that standards and Wycheproof publish comes in each place where a token may be. The gate has all of their
// keys that it takes. The tests of packages jose and keyset judge the signatures. Here no token is an access token for
// this gate, so none may pass, and none may make trouble.
func TestVectorsThroughCaddy(t *testing.T) {
	published, keys := readVectors(t)
	s := prepare(t)
	own := tokentest.NewKey(t, "ES256", "")
	file := writeFile(t, filepath.Join(t.TempDir(), "keys"),
		`{"keys":[`+asJSON(t, own.JWK())+","+strings.Join(keys, ",")+`]}`)
	s.load(gateFor("token_from header Authorization", "token_from query jwt", "token_from cookie jwt",
		"token_from form jwt",
		"audience any", "issuer joe {\n keys file "+file+"\n }", "issuer https://gate.test {\n keys file "+file+"\n }"))
	s.attack(t, "control: a token of its own passes", func(t *testing.T, a *attempt) {
		a.passed(a.send(own.Sign(t, claims("iss", "joe"))))
	})
	for place, send := range map[string]func(a *attempt, token string) *http.Request{
		"header": func(a *attempt, token string) *http.Request {
			return a.request("GET", "/", nil, "Authorization", "Bearer "+token)
		},
		"query": func(a *attempt, token string) *http.Request {
			return a.request("GET", "/?jwt="+url.QueryEscape(token), nil)
		},
		"cookie": func(a *attempt, token string) *http.Request {
			return a.request("GET", "/", nil, "Cookie", "jwt="+token)
		},
		"form": func(a *attempt, token string) *http.Request {
			return a.request("POST", "/", strings.NewReader("jwt="+url.QueryEscape(token)), "Content-Type",
				"application/x-www-form-urlencoded")
		},
	} {
		s.attack(t, place, func(t *testing.T, a *attempt) {
			for _, token := range published {
				if place == "header" || place == "cookie" {
					token = strings.ReplaceAll(token, "\n", "") // what no client can send there
				}
				a.neverForwarded(a.do(send(a, token)))
				if t.Failed() {
					t.Fatalf("this one: %.80q", token)
				}
			}
			t.Logf("%d vectors", len(published))
		})
	}
}

// readVectors gathers whatever may be a token, and the keys, out of all files of VECTORS_DIR.
func readVectors(t *testing.T) (tokens, keys []string) {
	t.Helper()
	dir := os.Getenv("VECTORS_DIR")
	if dir == "" {
		t.Skip("VECTORS_DIR is not set")
	}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json") {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			return err
		}
		gather(tree, &tokens, &keys)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tokens)
	tokens = slices.Compact(tokens)
	if len(tokens) < 500 || len(keys) < 20 {
		t.Errorf("%d tokens and %d keys in %s: is this the folder of the vectors?", len(tokens), len(keys), dir)
	}
	return tokens, keys
}

// gather walks through a file. Tokens stand under these names, as text or in JSON serialisation; a key is what has a
// kty.
func gather(node any, tokens, keys *[]string) {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			gather(element, tokens, keys)
		}
	case map[string]any:
		if _, is := node["kty"].(string); is {
			text, _ := json.Marshal(node)
			*keys = append(*keys, string(text))
		}
		for name, child := range node {
			switch name {
			case "jws", "jwe", "token", "proof", "compact", "json", "json_flat", "status_list_jwt":
				if text, is := child.(string); is {
					*tokens = append(*tokens, text)
				} else if text, err := json.Marshal(child); err == nil && child != nil {
					*tokens = append(*tokens, string(text))
				}
			}
			gather(child, tokens, keys)
		}
	}
}
