package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The duration of a comparison shows how many bytes of a secret and a stranger's text agree. That reveals the secret
// byte by byte. MACs, keys and tokens were guessed in this way: CVE-2015-10004, CVE-2016-7036, CVE-2024-25714,
// CVE-2024-42368. Such a comparison must use crypto/hmac or crypto/subtle (RFC 7518 section 3.2). A test cannot assert
// a duration, so this one reads the source.

// secretNames matches names of values that must not be compared in any other way. It also matches hashes of public
// values, since a name does not show the difference.
var secretNames = regexp.MustCompile(
	`(?i)(secrets?|mac|macs|signatures?|passwords?|tags?|tokens?|thumbprints?|digests?|pins?|fingerprints?)$`,
)

// hasty lists functions that return at the first difference.
var hasty = []string{
	"bytes.Equal", "bytes.Compare", "bytes.HasPrefix", "slices.Equal", "slices.Compare", "slices.Contains", "slices.Index",
	"strings.Compare", "strings.EqualFold", "strings.HasPrefix", "reflect.DeepEqual",
}

// harmless lists comparisons, by file and expression, that do not reveal a secret to a stranger. The value says why.
var harmless = map[string]string{
	"caddyjwt/doubts/secrets.go: credential.Secret == exampleSecret": "when the configuration loads, " +
		"with a secret that everybody knows",
	"internal/fetch/transport.go: " +
		"slices.Contains(pins, sha256.Sum256(cert.RawSubjectPublicKeyInfo))": "hashes of public keys",
	"internal/gate/cache.go: d[slot].Swap(tag) == tag": "tags of a hash whose key never leaves the process; " +
		"they admit nobody",
	"internal/roster/set.go: one.Verifier.Thumbprint() != other.Verifier.Thumbprint()": "keyed hashes, " +
		"of two secrets that the operator has written",
	"internal/keyset/certificates.go: certified.Thumbprint() != key.Thumbprint()": "hashes of public keys",
	"internal/sealed/key.go: k.thumbprint == other.thumbprint":                    "hashes of public keys",
	"internal/sealed/key.go: k.thumbprint == key.thumbprint":                      "hashes of public keys",
	"internal/sealed/open.go: k.thumbprint == key.thumbprint":                     "hashes of public keys",
	"internal/sealed/open.go: t.TagSize != enc.tag":                               "lengths, which everybody can see",
	"internal/possession/dpop.go: proved.dpop.thumbprint == c.KeyThumbprint":      "hashes of public keys",
	"internal/issuing/answer.go: f.Code == InvalidToken":                          "an error code",
	"internal/gate/routing.go: strings.HasPrefix(token, party.issuer.Asking.Prefix)": "how an issuer's " +
		"opaque tokens begin, which is no secret",
}

func TestSecretsAreNotComparedHastily(t *testing.T) {
	used := make(map[string]bool)
	for _, dir := range []string{"caddyjwt", "internal", "introspect"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "tokentest" || entry.Name() == "testdata"):
				return fs.SkipDir // fakes
			case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			for _, text := range hastyComparisons(file) {
				comparison := filepath.ToSlash(relative) + ": " + text
				used[comparison] = true
				if _, ok := harmless[comparison]; !ok {
					t.Errorf("%s\nuse crypto/subtle or hmac.Equal, or say in this test why the duration reveals nothing", comparison)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, comparison := range slices.Sorted(maps.Keys(harmless)) {
		if !used[comparison] {
			t.Errorf("%s is no longer in the tree: remove it from this test", comparison)
		}
	}
}

// hastyComparisons finds comparisons in a file, by operator or function, of a secret with something that is not a
// constant.
func hastyComparisons(file *ast.File) (found []string) {
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.BinaryExpr:
			equality := node.Op == token.EQL || node.Op == token.NEQ
			if equality && !isConstant(node.X) && !isConstant(node.Y) && (isSecret(node.X) || isSecret(node.Y)) {
				found = append(found, types.ExprString(node))
			}
		case *ast.CallExpr:
			if slices.Contains(hasty, types.ExprString(node.Fun)) && len(node.Args) == 2 &&
				!isConstant(node.Args[1]) && slices.ContainsFunc(node.Args, isSecret) {
				found = append(found, types.ExprString(node))
			}
		}
		return true
	})
	return found
}

func isConstant(expr ast.Expr) bool {
	switch expr := expr.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return expr.Name == "nil" || expr.Name == "true" || expr.Name == "false" || expr.Name == "HMAC"
	case *ast.CallExpr: // a length, or a converted constant
		if len(expr.Args) == 1 {
			_, literal := expr.Args[0].(*ast.BasicLit)
			return literal || types.ExprString(expr.Fun) == "len"
		}
	case *ast.SelectorExpr:
		return types.ExprString(expr) == "jose.HMAC" // a family of algorithms
	}
	return false
}

// isSecret goes by the last name in an expression. That of key.Secret()[:8] is Secret; that of string(key.secret) is
// secret.
func isSecret(expr ast.Expr) bool {
	switch expr := expr.(type) {
	case *ast.Ident:
		return secretNames.MatchString(expr.Name)
	case *ast.SelectorExpr:
		return secretNames.MatchString(expr.Sel.Name) || expr.Sel.Name == "Sum" && isSecret(expr.X)
	case *ast.CallExpr:
		return isSecret(expr.Fun) || len(expr.Args) == 1 && isConversion(expr.Fun) && isSecret(expr.Args[0])
	case *ast.IndexExpr:
		return isSecret(expr.X)
	case *ast.SliceExpr:
		return isSecret(expr.X)
	case *ast.StarExpr:
		return isSecret(expr.X)
	case *ast.UnaryExpr:
		return isSecret(expr.X)
	case *ast.ParenExpr:
		return isSecret(expr.X)
	}
	return false
}

func isConversion(fun ast.Expr) bool {
	name := types.ExprString(fun)
	return name == "string" || name == "[]byte"
}

func TestTheRuleFindsHastyComparisons(t *testing.T) {
	const source = `package p
func f() {
	_ = mac == sent
	_ = sent != key.Secret()[:8]
	_ = string(k.signature) == string(sent)
	_ = bytes.Equal(sent, mac.Sum(nil))
	_ = slices.Contains(passwords, sent)
	_ = hmac.Equal(sent, mac.Sum(nil))
	_ = subtle.ConstantTimeCompare(sent, secret)
	_ = secret == "" || token == nil || len(signature) != 32
	_ = bytes.HasPrefix(secret, []byte("-----BEGIN"))
	_ = name == other
}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"mac == sent", "sent != key.Secret()[:8]", "string(k.signature) == string(sent)", "bytes.Equal(sent, mac.Sum(nil))",
		"slices.Contains(passwords, sent)",
	}
	if got := hastyComparisons(file); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// Only golang-jwt compares a MAC with a stranger's text, since internal/jose leaves that to the method of the
// algorithm.
func TestMACsAreComparedInConstantTime(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/golang-jwt/jwt/v5")
	cmd.Dir = root
	dir, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "hmac.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	equal := 0
	for _, declaration := range file.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Name.Name != "Verify" {
			continue
		}
		ast.Inspect(f, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok && types.ExprString(call.Fun) == "hmac.Equal" {
				equal++
			}
			return true
		})
	}
	if found := hastyComparisons(file); equal != 1 || len(found) > 0 {
		t.Errorf("golang-jwt compares MACs with hmac.Equal %d times, and hastily in %q", equal, found)
	}
}
