package privatekey_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.step.sm/crypto/pemutil"

	"github.com/caddyjwt/gateway/internal/privatekey"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const password = "correct horse, battery staple"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// pbes2 is what an encrypted key asks for.
type pbes2 struct {
	kdf, prf, cipher asn1.ObjectIdentifier // prf may be nil
	hash             func() hash.Hash
	rounds           int
	used             int // rounds that really are made; 0: as many as it asks for
	iv               int // length
	cut              int // bytes that are missing at the end
}

var (
	pbkdf2ID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	scryptID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	sha1ID   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	sha256ID = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	sha512ID = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	aes256ID = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	aesGCMID = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}
	pbes2ID  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	good     = pbes2{kdf: pbkdf2ID, prf: sha256ID, cipher: aes256ID, hash: sha256.New, rounds: 2048, iv: 16}
)

func (p pbes2) but(change func(*pbes2)) pbes2 { change(&p); return p }

// encrypt makes an EncryptedPrivateKeyInfo in PEM.
func (p pbes2) encrypt(tb testing.TB, der []byte) string {
	tb.Helper()
	salt, used := []byte("saltsalt"), p.used
	if used == 0 {
		used = p.rounds
	}
	iv := make([]byte, aes.BlockSize)
	block := must(aes.NewCipher(must(pbkdf2.Key(p.hash, password, salt, used, 32))))
	pad := aes.BlockSize - len(der)%aes.BlockSize
	data := append(append([]byte{}, der...), []byte(strings.Repeat(string(rune(pad)), pad))...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	type algorithm struct {
		ID         asn1.ObjectIdentifier
		Parameters any
	}
	type function struct {
		ID   asn1.ObjectIdentifier
		Null asn1.RawValue
	}
	var derivation any = struct {
		Salt   []byte
		Rounds int
	}{salt, p.rounds}
	if p.prf != nil {
		derivation = struct {
			Salt     []byte
			Rounds   int
			Function function
		}{salt, p.rounds, function{p.prf, asn1.NullRawValue}}
	}
	return pemOf("ENCRYPTED PRIVATE KEY", must(asn1.Marshal(struct {
		Algorithm algorithm
		Data      []byte
	}{
		algorithm{pbes2ID, struct{ Derivation, Encryption algorithm }{
			algorithm{p.kdf, derivation}, algorithm{p.cipher, iv[:p.iv]},
		}},
		data[:len(data)-p.cut],
	})))
}

func isSame(a crypto.Signer, b any) bool {
	public, ok := a.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.(crypto.Signer).Public())
}

func TestParse(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ec := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	rsaKey := tokentest.NewKey(t, "RS256", "").Private().(*rsa.PrivateKey)
	pkcs8 := must(x509.MarshalPKCS8PrivateKey(ec))
	plain := pemOf("PRIVATE KEY", pkcs8)
	legacy := func(kind string, der []byte) string { // in this form, other programs still write keys
		return string(pem.EncodeToMemory(must(x509.EncryptPEMBlock(rand.Reader, kind, der, []byte(password),
			x509.PEMCipherAES256))))
	}
	steps := func(der []byte, alg x509.PEMCipher) string {
		return string(pem.EncodeToMemory(must(pemutil.EncryptPKCS8PrivateKey(rand.Reader, der, []byte(password), alg))))
	}
	x25519 := pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(must(ecdh.X25519().GenerateKey(rand.Reader)))))
	many := ""
	if !testing.Short() {
		many = good.but(func(p *pbes2) { p.rounds = privatekey.MaxIterations }).encrypt(t, pkcs8)
	}
	for _, test := range []struct {
		name, text, password string
		key                  any   // nil: an error
		is                   error // that the error must be; nil for any
		says                 string
	}{
		{"PKCS#8", plain, "", ec, nil, ""},
		{"PKCS#1", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "", rsaKey, nil, ""},
		{"SEC 1", pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec))), "", ec, nil, ""},
		{"with CRLF and a byte order mark", "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n"), "", ec, nil, ""},
		{"encrypted as by OpenSSL", good.encrypt(t, pkcs8), password, ec, nil, ""},
		{"with HMAC-SHA-1", good.but(func(p *pbes2) { p.prf, p.hash = sha1ID, sha1.New }).encrypt(t, pkcs8),
			password, ec, nil, ""},
		{"with HMAC-SHA-1, unnamed", good.but(func(p *pbes2) { p.prf, p.hash = nil, sha1.New }).encrypt(t, pkcs8),
			password, ec, nil, ""},
		{"with CRLF, encrypted", strings.ReplaceAll(good.encrypt(t, pkcs8), "\n", "\r\n"), password, ec, nil, ""},
		{"Ed25519, AES-256", steps(must(x509.MarshalPKCS8PrivateKey(ed)), x509.PEMCipherAES256), password, ed, nil, ""},
		{"RSA", good.encrypt(t, must(x509.MarshalPKCS8PrivateKey(rsaKey))), password, rsaKey, nil, ""},
		{"RFC 1421, PKCS#1", legacy("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), password, rsaKey, nil, ""},
		{"RFC 1421, SEC 1", legacy("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec))), password, ec, nil, ""},
		{"the most rounds", many, password, ec, nil, ""},

		{"a wrong password", good.encrypt(t, pkcs8), "wrong", nil, privatekey.ErrPassword, "password"},
		{"a password with a blank behind it", good.encrypt(t, pkcs8), password + " ", nil, privatekey.ErrPassword, ""},
		{"a wrong password, RFC 1421", legacy("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec))), "wrong", nil,
			privatekey.ErrPassword, ""},
		{"no password", good.encrypt(t, pkcs8), "", nil, privatekey.ErrEncrypted, "encrypted"},
		{"no password, RFC 1421", legacy("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec))), "", nil,
			privatekey.ErrEncrypted, ""},
		{"a password for a key without", plain, password, nil, privatekey.ErrNotEncrypted, ""},
		{"a round too many", good.but(func(p *pbes2) { p.rounds, p.used = privatekey.MaxIterations+1, 1 }).encrypt(t, pkcs8),
			password, nil, nil, "2000001 rounds"},
		{"rounds for a year", good.but(func(p *pbes2) { p.rounds, p.used = 1<<60, 1 }).encrypt(t, pkcs8), password, nil, nil,
			"rounds"},
		{"no round", good.but(func(p *pbes2) { p.rounds, p.used = 0, 1 }).encrypt(t, pkcs8), password, nil, nil, "0 rounds"},
		{"rounds below zero", good.but(func(p *pbes2) { p.rounds, p.used = -1, 1 }).encrypt(t, pkcs8), password, nil, nil,
			"-1 rounds"},
		{"with HMAC-SHA-512", good.but(func(p *pbes2) { p.prf, p.hash = sha512ID, sha512.New }).encrypt(t, pkcs8), password,
			nil, nil, "openssl pkcs8"},
		{"with scrypt", good.but(func(p *pbes2) { p.kdf = scryptID }).encrypt(t, pkcs8), password, nil, nil, "openssl pkcs8"},
		{"with AES-GCM", good.but(func(p *pbes2) { p.cipher = aesGCMID }).encrypt(t, pkcs8), password, nil, nil,
			"openssl pkcs8"},
		{"with a short IV", good.but(func(p *pbes2) { p.iv = 8 }).encrypt(t, pkcs8), password, nil, nil, "cannot be read"},
		{"cut short", good.but(func(p *pbes2) { p.cut = 3 }).encrypt(t, pkcs8), password, nil, nil, "cannot be read"},
		{"a block short", good.but(func(p *pbes2) { p.cut = 16 }).encrypt(t, pkcs8), password, nil,
			privatekey.ErrPassword, ""},
		{"not ASN.1", pemOf("ENCRYPTED PRIVATE KEY", []byte(password)), password, nil, nil, "openssl pkcs8"},
		{"nothing in it", pemOf("ENCRYPTED PRIVATE KEY", nil), password, nil, nil, "openssl pkcs8"},
		{"something else in it", good.encrypt(t, []byte("this is not a key")), password, nil, privatekey.ErrPassword, ""},
		{"words", "these are words", "", nil, nil, "no PEM block"},
		{"nothing", "", "", nil, nil, "no PEM block"},
		{"a public key", tokentest.NewKey(t, "ES256", "").PublicPEM(), "", nil, nil, "not a private key"},
		{"a public key and a password", tokentest.NewKey(t, "ES256", "").PublicPEM(), password, nil,
			privatekey.ErrNotEncrypted, ""},
		{"damaged", pemOf("PRIVATE KEY", pkcs8[:40]), "", nil, nil, "cannot be read"},
		{"X25519", x25519, "", nil, nil, "cannot sign"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && test.name == "the most rounds" {
				t.Skip("it takes a second")
			}
			key, err := privatekey.Parse([]byte(test.text), []byte(test.password))
			if test.key != nil {
				if err != nil || !isSame(key, test.key) {
					t.Errorf("key %T, error %v", key, err)
				}
				return
			}
			if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("error %v, want %v with %q", err, test.is, test.says)
			}
			for _, secret := range []string{password, "wrong", "MIG", "not a key"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error quotes %q: %v", secret, err)
				}
			}
		})
	}
}

// Keys that OpenSSL itself has made.
func TestParseReadsWhatOpenSSLWrites(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	dir := t.TempDir()
	plain, out := filepath.Join(dir, "plain"), filepath.Join(dir, "out")
	key := tokentest.NewKey(t, "RS256", "")
	if err := os.WriteFile(plain, []byte(key.PrivatePEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"pkcs8 -topk8", "pkcs8 -topk8 -v2 aes-128-cbc", "pkcs8 -topk8 -v2 des3", "rsa -aes256 -traditional",
		"pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 600000", // the cure
	} {
		command := append(strings.Fields(args), "-in", plain, "-out", out, "-passout", "pass:"+password)
		if text, err := exec.Command(openssl, command...).CombinedOutput(); err != nil {
			t.Logf("%s: %v, %s", args, err, text) // an old one, or one that does without some ciphers
			continue
		}
		text := must(os.ReadFile(out))
		if got, err := privatekey.Parse(text, []byte(password)); err != nil || !isSame(got, key.Private()) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// Nobody's key makes the reader panic, and no error tells the password.
func FuzzParse(f *testing.F) {
	der := must(x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	cheap := good.but(func(p *pbes2) { p.rounds = 1 })
	for _, text := range []string{
		cheap.encrypt(f, der), cheap.but(func(p *pbes2) { p.cut = 1 }).encrypt(f, der), pemOf("PRIVATE KEY", der),
		cheap.but(func(p *pbes2) { p.iv = 0 }).encrypt(f, der),
		"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAA==\n" +
			"-----END EC PRIVATE KEY-----\n",
	} {
		f.Add(text, password)
	}
	f.Fuzz(func(t *testing.T, text, password string) {
		if len(text) > 4096 {
			return
		}
		key, err := privatekey.Parse([]byte(text), []byte(password))
		if (key == nil) != (err != nil) {
			t.Errorf("key %v, error %v", key, err)
		}
		if err != nil && len(password) > 12 && strings.Contains(err.Error(), password) {
			t.Errorf("the error has the password: %v", err)
		}
	})
}
