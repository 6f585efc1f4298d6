package caddyjwt_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
)

// mark is part of every secret of FuzzCaddyfile.
const mark = "hunter2"

// Whatever is in the block, nothing panics, and no error has a secret. An accepted block becomes JSON, the same each
// time, and reading it loses nothing. If its variables and files exist, the JSON loads: otherwise a mistake would be
// reported without its line.
func FuzzCaddyfile(f *testing.F) {
	f.Setenv("GATE_TEST_SECRET", "5a6f1c0e9d3b47a28c1e0f7d6b5a4938")
	for _, block := range adaptedBlocks(f) {
		f.Add(block)
		f.Add(strings.ReplaceAll(block, "{env.GATE_TEST_SECRET}", mark+"-5a6f1c0e9d3b47a28c1e0f7d6b5a4938"))
	}
	for _, line := range []string{
		"keys secret " + mark, "keys secret " + mark + " base64", "keys secret " + mark + " base65",
		"header_up X-Key " + mark,
		"introspect {\nclient_id a\nclient_secret " + mark + "\n}",
		"introspect {\nauth_method bearer\nbearer_token " + mark + "\n}",
		"introspect {\nclient_id a\nprivate_key \"-----BEGIN PRIVATE KEY-----\n" + mark + "\n-----END PRIVATE KEY-----\"\n}",
	} {
		f.Add("issuer https://as.example {\naudience any\n" + line + "\n}")
	}
	f.Add("consumer a {\ncredential k {\nalgorithm HS256\nsecret " + mark + " base64\n}\n}")
	f.Add("realm <<X\na\nb\nX\n} {")
	f.Add("issuer https://0 { introspect {\nclient_id 0\nclient_secret \"0") // blocks that do not end, on one line
	off := false
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{
		Disabled: true, Config: &caddy.ConfigSettings{Persist: &off},
	}})
	if err != nil {
		f.Fatal(err)
	}
	nowhere := f.TempDir()
	f.Fuzz(func(t *testing.T, block string) {
		for _, endless := range []string{"/dev", "/proc", "/sys"} {
			if strings.Contains(block, endless) {
				t.Skip("names a file that may never end")
			}
		}
		t.Chdir(nowhere)
		tokens, err := caddyfile.Tokenize([]byte("bearer_auth {\n"+block+"\n}"), "Caddyfile")
		if err != nil {
			return
		}
		d := caddyfile.NewDispenser(tokens)
		if err := new(caddyjwt.Handler).UnmarshalCaddyfile(d); err != nil {
			if strings.Contains(err.Error(), mark) && onlyInSecrets(tokens) {
				t.Fatalf("a secret in the error: %v", err)
			}
			return
		}
		if !d.Next() {
			adaptsLoads(t, ctx, block)
		}
	})
}

// adaptsLoads takes an accepted block through JSON and into a handler.
func adaptsLoads(t *testing.T, ctx caddy.Context, block string) {
	t.Helper()
	if strings.Contains(block, "import") || strings.Contains(block, "{$") {
		return // Caddy replaces these before we see them
	}
	text := []byte("example.com {\n\tbearer_auth {\n" + block + "\n\t}\n}\n")
	adapt := func() ([]byte, error) {
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": "Caddyfile"})
		return config, err
	}
	config, err := adapt()
	if err != nil {
		return // Caddy's parser is stricter about braces than the tokens show
	}
	if again, err := adapt(); err != nil || !bytes.Equal(again, config) {
		t.Fatalf("adapted again: %v\n%s\n%s", err, config, again)
	}
	for _, handler := range wordstest.Handlers(decode(t, config), "bearer_auth") {
		fields := handler.(map[string]any)
		delete(fields, "handler")
		stripped := encode(t, fields)
		var read caddyjwt.Handler
		decoder := json.NewDecoder(bytes.NewReader(stripped))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&read); err != nil {
			t.Fatalf("%v in %s", err, stripped)
		}
		if again := encode(t, decode(t, encode(t, &read))); !bytes.Equal(again, stripped) {
			t.Fatalf("lost on the way:\n%s\n%s", stripped, again)
		}
		child, cancel := caddy.NewContext(ctx)
		_, err := child.LoadModuleByID("http.handlers.bearer_auth", stripped)
		cancel()
		if missing, _ := read.Missing(); err != nil && len(missing) == 0 {
			t.Fatalf("adapted, but cannot be loaded: %v", err)
		}
	}
}

// onlyInSecrets reports whether the mark occurs only in values of secrets, as a whole word of the configuration.
func onlyInSecrets(tokens []caddyfile.Token) bool {
	var words []string
	line := -1
	for _, token := range tokens {
		if token.Line != line {
			words = nil
		}
		line = token.Line + token.NumLineBreaks()
		words = append(words, token.Text)
		if !strings.Contains(token.Text, mark) {
			continue
		}
		secret := len(words) >= 2 && words[0] == "secret" ||
			len(words) == 2 && slices.Contains([]string{"client_secret", "bearer_token", "private_key"}, words[0]) ||
			len(words) == 3 && words[0] == "header_up" ||
			len(words) >= 3 && words[0] == "keys" && words[1] == "secret"
		if !secret || strings.Contains(token.Text, "{env.") || strings.Contains(token.Text, "{file.") ||
			strings.Contains(token.Text, "{http.") || strings.Contains(token.Text, "{$") {
			return false
		}
	}
	return true
}

// adaptedBlocks are the insides of the blocks of testdata/adapt.
func adaptedBlocks(tb testing.TB) (blocks []string) {
	tb.Helper()
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		site, _, _ := strings.Cut(string(text), wordstest.Divider)
		_, site, _ = strings.Cut(site, "bearer_auth")
		_, inside, _ := strings.Cut(site, "{\n")
		if end := strings.LastIndex(inside, "\t}\n"); end >= 0 {
			blocks = append(blocks, inside[:end])
		}
	}
	return blocks
}

// decode reads JSON and keeps numbers as written.
func decode(t *testing.T, text []byte) (tree any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
