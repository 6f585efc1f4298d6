package integration

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.yaml.in/yaml/v3"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const deckEnvSecret = "Wc7vLr1sNb8dHf5gJy3eUa6iOqPzXvKt"

// Each file of testdata/kong is converted, and runs. Its last lines are requests, with what becomes of them:
//
//	#> METHOD TARGET CREDENTIAL [OPTION...] => STATUS [HOST TARGET CONSUMER [HEADER...]]
//
// "*" is any host. A request without a token has "-" in place of the key of a credential, and so has one without a
// consumer.
func TestConvertedFilesOfDecK(t *testing.T) {
	files, err := filepath.Glob("testdata/kong/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	t.Setenv("DECK_ENV_SECRET", deckEnvSecret)
	s := prepare(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			d := readDeck(t, file)
			converted, err := bearerAuth(d.text, "convert", "kong", "-", "--site", "http://")
			if err != nil {
				t.Fatalf("%v\n%s", err, converted)
			}
			at := &deckSite{site: s.in(t), deck: d}
			at.loadConverted(converted)
			for _, line := range d.requests {
				at.try(line)
			}
		})
	}
}

var proxyLine = regexp.MustCompile(`(?m)(^\s*reverse_proxy) http://.* \{$`)

// loadConverted makes Caddy run with what a conversion has written. The addresses of services without TLS become that
// of the recording upstream.
func (s *site) loadConverted(output string) {
	s.t.Helper()
	begin := strings.Index(output, "# Made from") // notes come first
	if begin < 0 {
		s.t.Fatalf("this is no converted file:\n%s", output)
	}
	converted := proxyLine.ReplaceAllString(output[begin:], "$1 "+s.upstream.addr()+" {")
	converted = strings.Replace(converted, "\nhttp:// {\n", "\nhttp:// {\n\tbind unix/"+s.socket+"\n\tlog\n", 1)
	before, after, _ := strings.Cut(s.caddyfile(""), "http://gate.test {")
	_, after, _ = strings.Cut(after, "\n}\n")
	s.loadFile(before + converted + after)
}

// A deck is a file of decK with its requests.
type deck struct {
	text        string
	requests    []string
	credentials map[string]map[string]any // by their keys
	keys        map[string]*tokentest.Key // by their algorithms
}

var keyName = regexp.MustCompile(`"@(private )?([A-Za-z0-9]+)@"`)

func readDeck(t *testing.T, path string) *deck {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := &deck{credentials: map[string]map[string]any{}, keys: map[string]*tokentest.Key{}}
	d.text = keyName.ReplaceAllStringFunc(string(text), func(name string) string {
		parts := keyName.FindStringSubmatch(name)
		if d.keys[parts[2]] == nil {
			d.keys[parts[2]] = tokentest.NewKey(t, parts[2], "")
		}
		if parts[1] != "" {
			return strconv.Quote(d.keys[parts[2]].PrivatePEM())
		}
		return strconv.Quote(d.keys[parts[2]].PublicPEM())
	})
	for line := range strings.Lines(d.text) {
		if request, ok := strings.CutPrefix(line, "#> "); ok {
			d.requests = append(d.requests, strings.TrimSpace(request))
		}
	}
	if len(d.requests) == 0 {
		t.Fatalf("%s has no requests", path)
	}
	d.findIn(t, d.text)
	return d
}

// findIn finds credentials in a text.
func (d *deck) findIn(t *testing.T, text string) {
	t.Helper()
	var all any
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	d.find(all)
}

// find finds credentials, wherever they are.
func (d *deck) find(in any) {
	switch in := in.(type) {
	case []any:
		for _, each := range in {
			d.find(each)
		}
	case map[string]any:
		if key, ok := in["key"].(string); ok {
			d.credentials[key] = in
		}
		for _, each := range in {
			d.find(each)
		}
	}
}

// token makes a token of a credential. Options change it.
func (d *deck) token(t *testing.T, key string, options map[string]string) string {
	t.Helper()
	credential := d.credentials[key]
	if credential == nil {
		t.Fatalf("no credential has the key %q", key)
	}
	claims := jwt.MapClaims{"iss": key, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	for _, name := range []string{"exp", "nbf"} {
		if value := options[name]; value == "never" {
			delete(claims, name)
		} else if value != "" {
			after, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			claims[name] = time.Now().Add(after).Unix()
		}
	}
	algorithm, _ := credential["algorithm"].(string)
	if algorithm == "" || algorithm == "none" {
		algorithm = "HS256"
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if options["keyin"] == "kid" {
		token.Header["kid"] = key
		delete(claims, "iss")
	}
	signed, err := token.SignedString(d.secret(t, credential, algorithm, options))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// secret is what signs a token.
func (d *deck) secret(t *testing.T, credential map[string]any, algorithm string, options map[string]string) any {
	t.Helper()
	if !strings.HasPrefix(algorithm, "HS") {
		return d.keys[algorithm].Private()
	}
	secret, _ := credential["secret"].(string)
	switch {
	case options["secret"] == "env":
		secret = deckEnvSecret
	case options["secret"] != "":
		secret = options["secret"]
	}
	if _, ok := options["b64"]; ok {
		decoded, err := base64.StdEncoding.DecodeString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return decoded
	}
	return []byte(secret)
}

// deckSite is a converted file that runs.
type deckSite struct {
	*site
	deck *deck
}

// try sends a request and judges what becomes of it.
func (s *deckSite) try(line string) {
	t := s.t.(*testing.T)
	t.Helper()
	request, want, ok := strings.Cut(line, " => ")
	fields, wanted := strings.Fields(request), strings.Fields(want)
	if !ok || len(fields) < 3 || len(wanted) < 1 {
		t.Fatalf("this is no request: %s", line)
	}
	options := map[string]string{"in": "header:Authorization", "host": "gate.test"}
	var headers []string
	for _, option := range fields[3:] {
		name, value, _ := strings.Cut(option, "=")
		if name == "header" {
			headers = append(headers, strings.Replace(value, ":", ": ", 1))
		}
		options[name] = value
	}
	method, target := fields[0], fields[1]
	if fields[2] != "-" {
		header := placed(options["in"], s.deck.token(t, fields[2], options), &target)
		headers = append(headers, header...)
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, options["host"])
	for _, header := range headers {
		head += header + "\r\n"
	}
	s.drain()
	got := s.raw(head + "\r\n")
	if strconv.Itoa(got.StatusCode) != wanted[0] {
		t.Errorf("%s: status %d (%s)", line, got.StatusCode, got.Header.Get("WWW-Authenticate"))
		return
	}
	if arrived := s.upstream.take(); len(wanted) == 1 {
		if len(arrived) != 0 {
			t.Errorf("%s: the backend got %v", line, arrived)
		}
	} else if len(arrived) != 1 || !slices.Equal(wanted[1:], backendWords(arrived[0], len(wanted)-4, wanted)) {
		t.Errorf("%s: the backend got %v", line, arrived)
	}
}

// placed puts a token where it belongs: into the target, or into a header field.
func placed(where, token string, target *string) []string {
	kind, name, _ := strings.Cut(where, ":")
	switch kind {
	case "query":
		*target += "?" + name + "=" + token
		return nil
	case "cookie":
		return []string{"Cookie: " + name + "=" + token}
	default:
		return []string{name + ": Bearer " + token}
	}
}

// backendWords are what a backend was told, in the words of a request's last fields.
func backendWords(r seen, more int, wanted []string) []string {
	user := r.Header.Get("X-Consumer-Username")
	if user == "" {
		user = "-"
	}
	out := []string{r.Host, r.URI, user}
	if wanted[1] == "*" { // it is the address of the recording upstream
		out[0] = "*"
	}
	for i := range max(more, 0) {
		name, _, _ := strings.Cut(wanted[4+i], "=")
		field := map[string]string{"groups": "X-Consumer-Groups", "anonymous": "X-Anonymous-Consumer"}[name]
		out = append(out, name+"="+r.Header.Get(field))
	}
	if r.Header.Get("Authorization") != "" || strings.Contains(r.Header.Get("Cookie"), "eyJ") {
		out = append(out, "the token")
	}
	return out
}
