package words_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// A missing variable or file is an error when a configuration loads, and the error names it. When the configuration is
// adapted, the value is not known.
func TestMissingValuesAreDeferred(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		read func(*words.Settings) (known bool, err error)
		want string
	}{
		"a variable": {func(s *words.Settings) (bool, error) {
			_, known, err := s.Text("realm", "{env.WORDS_TEST_UNSET}")
			return known, err
		}, "realm: {env.WORDS_TEST_UNSET} has no value"},
		"the second variable": {func(s *words.Settings) (bool, error) {
			_, known, err := s.Text("realm", "{env.WORDS_TEST_SET}{env.WORDS_TEST_UNSET}")
			return known, err
		}, "realm: {env.WORDS_TEST_UNSET} has no value"},
		"one of a list": {func(s *words.Settings) (bool, error) {
			_, known, err := s.Texts("scope", []string{"a", "{env.WORDS_TEST_UNSET}", "b"})
			return known, err
		}, "scope: {env.WORDS_TEST_UNSET} has no value"},
		"the file of a placeholder": {func(s *words.Settings) (bool, error) {
			_, known, err := s.Secret("{file."+dir+"/none}", true)
			return known, err
		}, "secret: {file." + dir + "/none} has no value"},
		"a file": {func(s *words.Settings) (bool, error) {
			_, known, err := s.File("ca", filepath.Join(dir, "none.pem"))
			return known, err
		}, "none.pem\": no such file"},
		"a file of PEM": {func(s *words.Settings) (bool, error) {
			_, known, err := s.PEM("public_key", filepath.Join(dir, "none.pem"))
			return known, err
		}, "none.pem\" is neither PEM text nor a readable file"},
		"a path by a variable": {func(s *words.Settings) (bool, error) {
			_, known, err := s.File("ca", "{env.WORDS_TEST_UNSET}")
			return known, err
		}, "ca: {env.WORDS_TEST_UNSET} has no value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("WORDS_TEST_SET", "x")
			if _, err := test.read(words.NewSettings()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("loading: error %v, want %q", err, test.want)
			}
			later := words.NewDeferringSettings()
			known, err := test.read(later)
			if known || err != nil {
				t.Fatalf("adapting: known %v, error %v", known, err)
			}
			if missing := later.Missing(); len(missing) != 1 || !strings.Contains(missing[0].Error(), test.want) {
				t.Errorf("missing is %v, want %q", missing, test.want)
			}
		})
	}
}

// A value that cannot be used is an error whenever it is read, and so is one that can never exist.
func TestUnusableValuesAreNotDeferred(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WORDS_TEST_BLANK", "  ")
	for name, read := range map[string]func(*words.Settings) error{
		"a placeholder of a request": func(s *words.Settings) error {
			_, _, err := s.Text("x", "{env.WORDS_TEST_UNSET}{http.request.host}")
			return err
		},
		"a variable of blanks": func(s *words.Settings) error {
			_, _, err := s.Text("x", "{env.WORDS_TEST_BLANK}")
			return err
		},
		"an empty list":         func(s *words.Settings) error { _, _, err := s.Texts("x", []string{}); return err },
		"an empty text of many": func(s *words.Settings) error { _, _, err := s.Texts("x", []string{"a", ""}); return err },
		"a directory":           func(s *words.Settings) error { _, _, err := s.File("x", dir); return err },
		"a key for a path": func(s *words.Settings) error {
			_, _, err := s.File("x", "-----BEGIN PRIVATE KEY-----")
			return err
		},
		"base64 for a path": func(s *words.Settings) error {
			_, _, err := s.PEM("x", "MC4CAQAwBQYDK2VwBCIEIG")
			return err
		},
		"no base64":             func(s *words.Settings) error { _, _, err := s.Secret("%%%", true); return err },
		"the path of a secret":  func(s *words.Settings) error { _, _, err := s.Secret(dir, false); return err },
		"a variable of a shell": func(s *words.Settings) error { _, _, err := s.Secret("$SECRET", false); return err },
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []*words.Settings{words.NewSettings(), words.NewDeferringSettings()} {
				if err := read(s); err == nil || len(s.Missing()) != 0 {
					t.Errorf("error %v, missing %v", err, s.Missing())
				}
			}
		})
	}
}

// A stand-in for an unknown value can be compared: equal texts have equal stand-ins, and others do not.
func TestStandInsAreDifferent(t *testing.T) {
	s := words.NewDeferringSettings()
	seen := make(map[string]string)
	for _, value := range []string{
		"{env.A}", "{env.B}", "{env.A}{env.B}", "{env.A} x", "{env.A},x", "{file./a b}", "{env.A}\n",
	} {
		text, _, err := s.Text("x", value)
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[text]; twice {
			t.Errorf("%q stands for %q and %q", text, other, value)
		}
		seen[text] = value
		if strings.ContainsAny(text, ", \n") {
			t.Errorf("%q, for %q, has a character that a check may refuse", text, value)
		}
	}
	if again, _, err := s.Text("x", "{env.A}"); err != nil || seen[again] != "{env.A}" {
		t.Errorf("the second time, {env.A} is %q, error %v", again, err)
	}
}

func TestErrorsOfAListNameTheElement(t *testing.T) {
	_, _, err := words.NewSettings().Texts("x", []string{"a", "{env.WORDS_TEST_UNSET}"})
	if field := setting.Field(err); field != "[1]" {
		t.Errorf("field %q of %v", field, err)
	}
}

// A brace in a value need not begin a placeholder, and the value may be a secret.
func TestErrorsDoNotQuoteTextThatIsNotAPlaceholder(t *testing.T) {
	for _, value := range []string{"{hunter2}", "a{hunter2 }b", "{}hunter2", "{hunter2.env.A}"} {
		for _, s := range []*words.Settings{words.NewSettings(), words.NewDeferringSettings()} {
			_, _, err := s.Secret(value, false)
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: error %v", value, err)
			}
		}
	}
}

func TestReadFileGivesTheContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pem")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	content, known, err := words.NewDeferringSettings().File("x", path)
	if string(content) != "text" || !known || err != nil {
		t.Errorf("content %q, known %v, error %v", content, known, err)
	}
}

// An address in place of a path is not quoted, with its scheme or without: a query may have a secret.
func TestNoAddressIsQuotedAsAPath(t *testing.T) {
	for _, address := range []string{"https://pki.example/ca.pem?key=hunter2", "pki.example/ca.pem?key=hunter2"} {
		_, _, err := words.NewSettings().File("ca", address)
		_, _, alsoErr := words.NewSettings().PEM("public_key", address)
		for _, err := range []error{err, alsoErr} {
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: error %v", address, err)
			}
		}
	}
}
