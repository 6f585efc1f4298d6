package consumers_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const secret = "mWbKkZ1fB0Vq3sJxT7dYpR5hN2cLgE8u"

// read reads a list as a file.
func read(t *testing.T, text string) (*roster.Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "consumers")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return roster.Read(path)
}

// members are the names of a struct's members in JSON.
func members(of reflect.Type) []string {
	names := make([]string, of.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(of.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// A file has the members of the configuration, and no others.
func TestFileHasTheMembersOfTheConfiguration(t *testing.T) {
	for of, text := range map[reflect.Type]string{
		reflect.TypeFor[consumers.Consumer]():   `[{"no_such_member": 1}]`,
		reflect.TypeFor[consumers.Credential](): `[{"credentials": [{"no_such_member": 1}]}]`,
	} {
		_, err := read(t, text)
		at, ok := errors.AsType[*roster.Error](err)
		if !ok {
			t.Fatalf("the error is %v", err)
		}
		_, known, _ := strings.Cut(at.Err.Error(), "it has ")
		if got, want := strings.Split(known, ", "), members(of); !slices.Equal(got, want) {
			t.Errorf("a %s of a file has %q, one of a configuration %q", of.Name(), got, want)
		}
	}
}

// What "consumers" has in a configuration means the same in a file, as long as it needs no variable and no other file.
func TestFileMeansWhatTheConfigurationMeans(t *testing.T) {
	now := time.Now()
	pem := func(algorithm string) string { return tokentest.NewKey(t, algorithm, "").PublicPEM() }
	list := []consumers.Consumer{
		{Username: "nobody"},
		{Username: "all", ID: "7", CustomID: "c-7", Groups: []string{"a", "b c"},
			Tolerate: []string{"missing_exp", "text_dates"},
			Credentials: []consumers.Credential{
				{Key: "secret", Algorithm: "HS256", Secret: secret, Expires: "2031-01-31"},
				{Key: "base64", Algorithm: "HS256", Base64: true, Expires: "2031-01-31T12:00:00+02:00",
					Secret: base64.StdEncoding.EncodeToString([]byte(secret))},
				{Key: "a blank", Algorithm: "ES256", PublicKey: pem("ES256"), Expires: "2020-01-01"},
			}},
		{Username: "keys", Credentials: []consumers.Credential{
			{Key: "RS256", Algorithm: "RS256", PublicKey: pem("RS256")},
			{Key: "PS256", Algorithm: "PS256", PublicKey: pem("RS256")},
			{Key: "ES384", Algorithm: "ES384", PublicKey: pem("ES384")},
			{Key: "EdDSA", Algorithm: "EdDSA", PublicKey: pem("EdDSA")},
			{Key: "lines", Algorithm: "HS256", Secret: secret + "\r\n"},
		}},
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	set, err := read(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Consumers()) != len(list) {
		t.Fatalf("%d consumers, want %d", len(set.Consumers()), len(list))
	}
	for i := range list {
		want, _, err := list[i].Compile(words.NewSettings(), now)
		if err != nil {
			t.Fatal(err)
		}
		if err := want.Check("iss", 0); err != nil {
			t.Fatal(err)
		}
		if got, want := plain(*set.Consumers()[i]), plain(want); !reflect.DeepEqual(got, want) {
			t.Errorf("in the file it means\n%+v\nin the configuration\n%+v", got, want)
		}
	}
}

// plainConsumer is a consumer with thumbprints in place of keys.
type plainConsumer struct {
	gate.Consumer
	keys [][32]byte
}

func plain(c gate.Consumer) plainConsumer {
	p := plainConsumer{Consumer: c}
	p.Credentials = nil
	for _, credential := range c.Credentials {
		p.keys = append(p.keys, credential.Verifier.Thumbprint())
		credential.Verifier = nil
		p.Credentials = append(p.Credentials, credential)
	}
	return p
}

// A mistake in a configuration that is about the consumer itself is one in a file, too.
func TestFileRefusesWhatTheConfigurationRefuses(t *testing.T) {
	good := consumers.Credential{Key: "k", Algorithm: "HS256", Secret: secret}
	for name, change := range map[string]func(*consumers.Consumer, *consumers.Credential){
		"no username":          func(c *consumers.Consumer, _ *consumers.Credential) { c.Username = "" },
		"a line end in the id": func(c *consumers.Consumer, _ *consumers.Credential) { c.ID = "a\nb" },
		"a comma in a group":   func(c *consumers.Consumer, _ *consumers.Credential) { c.Groups = []string{"a,b"} },
		"an empty group":       func(c *consumers.Consumer, _ *consumers.Credential) { c.Groups = []string{""} },
		"an unknown tolerance": func(c *consumers.Consumer, _ *consumers.Credential) { c.Tolerate = []string{"x"} },
		"a tolerance for answers": func(c *consumers.Consumer, _ *consumers.Credential) {
			c.Tolerate = []string{"never_expires"}
		},
		"tokens that never end": func(c *consumers.Consumer, _ *consumers.Credential) {
			c.Tolerate = []string{"missing_exp"}
		},
		"no key":                    func(_ *consumers.Consumer, c *consumers.Credential) { c.Key = "" },
		"a control character":       func(_ *consumers.Consumer, c *consumers.Credential) { c.Key = "a\x00" },
		"no algorithm":              func(_ *consumers.Consumer, c *consumers.Credential) { c.Algorithm = "" },
		"an algorithm of no key":    func(_ *consumers.Consumer, c *consumers.Credential) { c.Algorithm = "ES256" },
		"an algorithm in lowercase": func(_ *consumers.Consumer, c *consumers.Credential) { c.Algorithm = "hs256" },
		"a longer hash":             func(_ *consumers.Consumer, c *consumers.Credential) { c.Algorithm = "HS512" },
		"no secret":                 func(_ *consumers.Consumer, c *consumers.Credential) { c.Secret = "" },
		"two kinds of keys":         func(_ *consumers.Consumer, c *consumers.Credential) { c.PublicKey = "x" },
		"a date of no calendar":     func(_ *consumers.Consumer, c *consumers.Credential) { c.Expires = "2027-02-30" },
		"a public key for HS256": func(_ *consumers.Consumer, c *consumers.Credential) {
			c.Secret, c.PublicKey = "", tokentest.NewKey(t, "ES256", "").PublicPEM()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := consumers.Consumer{Username: "zoe", Credentials: []consumers.Credential{good}}
			change(&c, &c.Credentials[0])
			compiled, _, err := c.Compile(words.NewSettings(), time.Now())
			if err == nil {
				err = compiled.Check("iss", 0)
			}
			if err == nil {
				t.Error("the configuration takes it")
			}
			text, err := json.Marshal([]consumers.Consumer{c})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := read(t, string(text)); err == nil {
				t.Error("the file takes it")
			}
		})
	}
}

// The example of the manual is a file of consumers.
func TestConsumersFileOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), "## Consumers from a file\n")
	_, example, _ := strings.Cut(section, "```yaml\n")
	example, _, _ = strings.Cut(example, "```\n")
	set, err := read(t, example)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"alice-key", "portal-key"} {
		if who, _ := set.Member(key); who == nil {
			t.Errorf("nobody has %s in\n%s", key, example)
		}
	}
}
