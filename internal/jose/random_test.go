package jose_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

// plainSecrets are long enough, but easily guessed.
var plainSecrets = map[string]string{
	"sixteen random digits twice over": strings.Repeat("9d1f8a3c5e7b4260", 2),
	"one zero byte over and over":      strings.Repeat("\x00", 64),
	"one letter over and over":         strings.Repeat("x", 64),
	"one letter, and another":          strings.Repeat("A", 42) + "B",
	"two letters over and over":        strings.Repeat("ab", 16),
	"two bytes over and over":          strings.Repeat("\x00\xff", 32),
	"a word over and over":             strings.Repeat("password", 4),
	"a word that is not listed":        strings.Repeat("changeit", 8),
	"a word in changing case":          "PasswordpasswordPASSWORDpassword",
	"a word with numbers":              "password1password2password3password4",
	"a name over and over":             strings.Repeat("InterSystems", 3),
	"digits in a row":                  "12345678901234567890123456789012",
	"digits backwards":                 "98765432109876543210987654321098",
	"hexadecimal digits in a row":      "0123456789abcdef0123456789abcdef0123456789abcdef",
	"the alphabet":                     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
	"the alphabet, digits, capitals":   "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"bytes in a row":                   string(ascending(32)),
	"rows of a keyboard":               "qwertyuiopasdfghjklzxcvbnm1234567890",
	"rows of a German keyboard":        "qwertzuiopasdfghjklyxcvbnm1234567890",
	"rows of a keyboard, backwards":    "0987654321poiuytrewqlkjhgfdsamnbvcxz",
	"columns of a keyboard":            "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
	"few letters in disorder":          "abaabbabaaabbbababbabaabbbaaabab",
	"three letters in disorder":        "abcacbbacabbcacabcbaacbcabacbbca",
	"words common in passwords":        "secret-password-changeme-example-1",
	"a word over and over, in hex":     hex.EncodeToString([]byte(strings.Repeat("password", 4))),
	"a word twice, in hex":             hex.EncodeToString([]byte("passwordpassword")),
	"digits in a row, in hex":          hex.EncodeToString([]byte("1234567890123456")),
	"a word over and over, in base64":  base64.StdEncoding.EncodeToString([]byte(strings.Repeat("password", 4))),
	"digits in a row, in base64": base64.RawURLEncoding.EncodeToString(
		[]byte("1234567890123456789012345678901234567890"),
	),
	"zero bytes in base64":              base64.StdEncoding.EncodeToString(make([]byte, 48)),
	"a long one that repeats its parts": strings.Repeat("password", 10_000),
}

func TestSecretRefusesWhatIsPlainlyNotRandom(t *testing.T) {
	for name, secret := range plainSecrets {
		t.Run(name, func(t *testing.T) {
			_, err := jose.NewSecretKey("", []byte(secret), 0)
			requireErr(t, err, jose.ErrWeakKey)
			if !strings.Contains(err.Error(), "openssl rand -hex") ||
				strings.Contains(strings.ToLower(err.Error()), "password") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestSecretsThatAreDoubtful(t *testing.T) {
	for name, secret := range map[string]string{
		"random text twice over":    strings.Repeat("k7!Qz2mXp9#TfLw4", 2),
		"words one after another":   "my-secret-password-changeme-please",
		"a phrase with a word":      "this is the secret of our company, 1998",
		"few different letters":     "acgtgcatcagtgactagctcaggtatccgat",
		"a word beside random text": "production-9d1f8a3c5e7b42604f8e1a2b",
	} {
		t.Run(name, func(t *testing.T) {
			key, err := jose.NewSecretKey("", []byte(secret), 0)
			requireErr(t, err, nil)
			if doubt := key.Doubt(); doubt == "" || strings.Contains(secret, doubt) {
				t.Errorf("doubt %q", doubt)
			}
		})
	}
	for _, secret := range []string{"only-for-trying-out-0123456789abcdef", "correct horse battery staple, twice over"} {
		key, err := jose.NewSecretKey("", []byte(secret), 0)
		requireErr(t, err, nil)
		if key.Doubt() != "" {
			t.Errorf("%s: doubt %q", secret, key.Doubt())
		}
	}
}

// The generators are those that people use. The random numbers are the same in every run, so that the test cannot fail
// by chance.
func TestRandomSecretsAreNeitherRefusedNorDoubted(t *testing.T) {
	var source *rand.ChaCha8
	var random *rand.Rand
	bytes := func(n int) []byte {
		b := make([]byte, n)
		_, _ = source.Read(b)
		return b
	}
	from := func(alphabet string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	const lower, upper, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	generators := map[string]func() string{
		"32 bytes":              func() string { return string(bytes(32)) },
		"64 bytes":              func() string { return string(bytes(64)) },
		"5000 bytes":            func() string { return string(bytes(5000)) },
		"hex of 16 bytes":       func() string { return hex.EncodeToString(bytes(16)) },
		"hex of 32 bytes":       func() string { return hex.EncodeToString(bytes(32)) },
		"hex in capitals":       func() string { return strings.ToUpper(hex.EncodeToString(bytes(16))) },
		"base64 of 24 bytes":    func() string { return base64.StdEncoding.EncodeToString(bytes(24)) },
		"base64 of 32 bytes":    func() string { return base64.StdEncoding.EncodeToString(bytes(32)) },
		"base64url of 64 bytes": func() string { return base64.RawURLEncoding.EncodeToString(bytes(64)) },
		"base32 of 20 bytes":    func() string { return base32.StdEncoding.EncodeToString(bytes(20)) },
		"base64 of hex": func() string {
			return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(bytes(16))))
		},
		"Kong's 32 letters":           func() string { return from(lower+upper+digits, 32) },
		"letters, digits and signs":   func() string { return from(lower+upper+digits+"!#$%&()*+,-./:;<=>?@[]^_{|}~", 32) },
		"lower case":                  func() string { return from(lower, 40) },
		"digits, as many as it takes": func() string { return from(digits, 48) },
		"a UUID": func() string {
			b := bytes(16)
			b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		},
	}
	many := 4000
	if testing.Short() {
		many = 200
	}
	for name, generate := range generators {
		t.Run(name, func(t *testing.T) {
			source = rand.NewChaCha8([32]byte{1, 2, 3})
			random = rand.New(source)
			n := many
			if len(generate()) > 1000 {
				n /= 10 // a long text costs more, and is less likely to look like something else
			}
			for range n {
				secret := generate()
				key, err := jose.NewSecretKey("", []byte(secret), 0)
				if err != nil {
					t.Fatalf("%q: %v", secret, err)
				}
				if key.Doubt() != "" {
					t.Fatalf("%q: doubt %q", secret, key.Doubt())
				}
			}
		})
	}
}

// One in some ten thousand random secrets looks like something else when it is decoded. Among the 16 bytes that these
// stand for, the printable ones are JSON without content, such as "[]", or four follow a keyboard row, such as "FGhj".
func TestRandomSecretsThatLookLikeSomethingElse(t *testing.T) {
	for _, secret := range []string{
		"1d726d7b298e077e1b7a085b87837c1d", "6fcba25029c5bf84baee5c68b749594f", "77F03265C98C38AF16680A50B945FBAD",
		"e08457350d18c551c15502945863c745",
		"4ce210344b69386dba5a161fbc239b47", "0d9e8af1ffd7fa92a94647686a4f56ca", "30f58195f7ec704f6e6db7c17627f6bf",
		"961fe3a1c402556a6d3888a9ca0632f6", "b44a2ad16d4a5537bcd306042464786e",
	} {
		if _, err := jose.NewSecretKey("", []byte(secret), 0); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

func BenchmarkNewSecretKey(b *testing.B) {
	for name, secret := range map[string][]byte{
		"random":         randomBytes(64),
		"hex":            []byte(hex.EncodeToString(randomBytes(32))),
		"plain":          []byte(strings.Repeat("password", 8)),
		"long and plain": []byte(strings.Repeat("x", 1<<20-1) + "y"),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = jose.NewSecretKey("", secret, 0)
			}
		})
	}
}
