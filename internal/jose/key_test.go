package jose_test

import (
	"crypto"
	"crypto/dsa"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

func TestPublicKeyAlgorithms(t *testing.T) {
	set := jose.MakeAlgorithms
	rsaAlgs := set(jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512)
	for _, test := range []struct {
		name   string
		of     jose.Algorithm
		wanted jose.Algorithms
		want   jose.Algorithms
		err    error
	}{
		{"RSA, anything", jose.RS256, 0, rsaAlgs, nil},
		{"RSA, one", jose.RS256, set(jose.PS384), set(jose.PS384), nil},
		{"RSA, what fits of all", jose.RS256, jose.AsymmetricAlgorithms(), rsaAlgs, nil},
		{"RSA, what fits of some", jose.RS256, set(jose.ES256, jose.RS512, jose.HS256), set(jose.RS512), nil},
		{"RSA for HMAC", jose.RS256, jose.HMACAlgorithms(), 0, jose.ErrKeyAlgorithm},
		{"RSA for EC", jose.RS256, set(jose.ES256), 0, jose.ErrKeyAlgorithm},
		{"P-256, anything", jose.ES256, 0, set(jose.ES256), nil},
		{"P-384, anything", jose.ES384, 0, set(jose.ES384), nil},
		{"P-521, anything", jose.ES512, 0, set(jose.ES512), nil},
		{"P-256 for another curve", jose.ES256, set(jose.ES384, jose.ES512), 0, jose.ErrKeyAlgorithm},
		{"P-256 for Ed25519", jose.ES256, set(jose.Ed25519), 0, jose.ErrKeyAlgorithm},
		{"Ed25519, anything", jose.EdDSA, 0, set(jose.EdDSA, jose.Ed25519), nil},
		{"Ed25519, one name", jose.EdDSA, set(jose.Ed25519), set(jose.Ed25519), nil},
		{"Ed25519 for EC", jose.EdDSA, set(jose.ES256), 0, jose.ErrKeyAlgorithm},
		{"no algorithm that exists", jose.RS256, 1 << 31, 0, jose.ErrKeyAlgorithm},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := jose.NewPublicKey("id", signers()[test.of].public(), test.wanted)
			requireErr(t, err, test.err)
			if err != nil {
				if key != nil {
					t.Error("error and key")
				}
				return
			}
			if key.Algorithms() != test.want || key.Family() != test.of.Family() || key.ID != "id" || key.PublicKey() == nil {
				t.Errorf("got %v", key)
			}
		})
	}
}

func TestPublicKeyRefusesUnusableKeys(t *testing.T) {
	rsaPrivate := signers()[jose.RS256].private.(*rsa.PrivateKey)
	ecPrivate := signers()[jose.ES256].private.(*ecdsa.PrivateKey)
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	for name, test := range map[string]struct {
		key  crypto.PublicKey
		want error
	}{
		"nothing":             {nil, jose.ErrKey},
		"nil RSA":             {(*rsa.PublicKey)(nil), jose.ErrKey},
		"nil EC":              {(*ecdsa.PublicKey)(nil), jose.ErrKey},
		"nil Ed25519":         {ed25519.PublicKey(nil), jose.ErrKey},
		"RSA private":         {rsaPrivate, jose.ErrPrivateKey},
		"EC private":          {ecPrivate, jose.ErrPrivateKey},
		"Ed25519 private":     {signers()[jose.EdDSA].private, jose.ErrPrivateKey},
		"X25519 private":      {x25519, jose.ErrPrivateKey},
		"X25519":              {x25519.PublicKey(), jose.ErrKey},
		"ECDH on P-256":       {must(ecPrivate.PublicKey.ECDH()), jose.ErrKey},
		"DSA":                 {&dsa.PublicKey{}, jose.ErrKey},
		"RSA by value":        {rsaPrivate.PublicKey, jose.ErrKey},
		"bytes":               {randomBytes(32), jose.ErrKey},
		"text":                {"key", jose.ErrKey},
		"Ed25519 too short":   {ed25519.PublicKey(randomBytes(31)), jose.ErrKey},
		"Ed25519 too long":    {ed25519.PublicKey(randomBytes(33)), jose.ErrKey},
		"P-224":               {&must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)).PublicKey, jose.ErrKey},
		"EC without curve":    {&ecdsa.PublicKey{X: big.NewInt(1), Y: big.NewInt(1)}, jose.ErrKey},
		"EC without point":    {&ecdsa.PublicKey{Curve: elliptic.P256()}, jose.ErrKey},
		"EC at infinity":      {&ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}, jose.ErrKey},
		"EC off its curve":    {&ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, jose.ErrKey},
		"EC on another curve": {&ecdsa.PublicKey{Curve: elliptic.P384(), X: ecPrivate.X, Y: ecPrivate.Y}, jose.ErrKey},
		"EC negative": {&ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).Neg(ecPrivate.X), Y: ecPrivate.Y},
			jose.ErrKey},
		"EC not reduced": {&ecdsa.PublicKey{Curve: elliptic.P256(),
			X: new(big.Int).Add(ecPrivate.X, elliptic.P256().Params().P), Y: ecPrivate.Y}, jose.ErrKey},
		"EC huge": {&ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).Lsh(big.NewInt(1), 9999), Y: ecPrivate.Y},
			jose.ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jose.NewPublicKey("", test.key, 0)
			requireErr(t, err, test.want)
			requireErr(t, err, jose.ErrKey)
		})
	}
}

func TestPublicKeyRefusesBadRSA(t *testing.T) {
	modulus := func(bits int) *big.Int { // not a product of two primes, but the constructor cannot know that
		n := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits))))
		return n.SetBit(n.SetBit(n, bits-1, 1), 0, 1)
	}
	even := modulus(2048)
	even.SetBit(even, 0, 0)
	for name, test := range map[string]struct {
		n    *big.Int
		e    int
		want error
	}{
		"2048 bits":         {modulus(2048), 65537, nil},
		"exponent three":    {modulus(2048), 3, nil},
		"largest exponent":  {modulus(2048), 1<<31 - 1, nil},
		"16384 bits":        {modulus(16384), 65537, nil},
		"2047 bits":         {modulus(2047), 65537, jose.ErrWeakKey},
		"1024 bits":         {modulus(1024), 65537, jose.ErrWeakKey},
		"512 bits":          {modulus(512), 65537, jose.ErrWeakKey},
		"16385 bits":        {modulus(16385), 65537, jose.ErrKey},
		"a million bits":    {modulus(1 << 20), 65537, jose.ErrKey},
		"no modulus":        {nil, 65537, jose.ErrKey},
		"modulus zero":      {new(big.Int), 65537, jose.ErrKey},
		"modulus negative":  {new(big.Int).Neg(modulus(2048)), 65537, jose.ErrKey},
		"modulus even":      {even, 65537, jose.ErrWeakKey},
		"exponent zero":     {modulus(2048), 0, jose.ErrWeakKey},
		"exponent one":      {modulus(2048), 1, jose.ErrWeakKey},
		"exponent two":      {modulus(2048), 2, jose.ErrWeakKey},
		"exponent even":     {modulus(2048), 65536, jose.ErrWeakKey},
		"exponent negative": {modulus(2048), -65537, jose.ErrWeakKey},
		"exponent too long": {modulus(2048), 1<<32 + 1, jose.ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jose.NewPublicKey("", &rsa.PublicKey{N: test.n, E: test.e}, 0)
			requireErr(t, err, test.want)
		})
	}
}

// A modulus of the faulty generator is a product of primes that are powers of 65537 modulo all small primes.
func TestPublicKeyRefusesROCA(t *testing.T) {
	product := big.NewInt(1)
	for p := int64(2); p < 701; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(p))
		}
	}
	power := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), product)
	power.Add(power, new(big.Int).Mul(product, new(big.Int).Lsh(big.NewInt(1), uint(2047-product.BitLen()))))
	for power.BitLen() < 2048 {
		power.Add(power, new(big.Int).Mul(product, new(big.Int).Lsh(big.NewInt(1), uint(2047-product.BitLen()))))
	}
	_, err := jose.NewPublicKey("", &rsa.PublicKey{N: power, E: 65537}, 0)
	requireErr(t, err, jose.ErrWeakKey)
	if jose.HasROCA(signers()[jose.RS256].public().(*rsa.PublicKey).N) {
		t.Error("a sound modulus counts as faulty")
	}
}

// The encodings of the eight points of small order, canonical or not, and other bad encodings.
func TestPublicKeyRefusesBadEd25519(t *testing.T) {
	for _, encoded := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, not reduced
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p + 1
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0200000000000000000000000000000000000000000000000000000000000000", // off the curve
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		_, err := jose.NewPublicKey("", ed25519.PublicKey(must(hex.DecodeString(encoded))), 0)
		if !is(err, jose.ErrKey) {
			t.Errorf("point %s: got %v", encoded, err)
		}
	}
	for range 100 {
		public, _, _ := ed25519.GenerateKey(rand.Reader)
		if _, err := jose.NewPublicKey("", public, 0); err != nil {
			t.Errorf("point %x: %v", public, err)
		}
	}
}

func TestPublicKeyIsCopied(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		s := signers()[alg]
		var given crypto.PublicKey
		switch public := s.public().(type) {
		case *rsa.PublicKey:
			given = &rsa.PublicKey{N: new(big.Int).Set(public.N), E: public.E}
		case *ecdsa.PublicKey:
			given = must(ecdsa.ParseUncompressedPublicKey(public.Curve, must(public.Bytes())))
		case ed25519.PublicKey:
			given = append(ed25519.PublicKey(nil), public...)
		}
		key := must(jose.NewPublicKey("", given, 0))
		switch given := given.(type) {
		case *rsa.PublicKey:
			given.N.SetInt64(0)
		case *ecdsa.PublicKey:
			given.X.SetInt64(0)
		case ed25519.PublicKey:
			clear(given)
		}
		requireErr(t, accepts(key, s.token(100)), nil)
	}
}

func TestPublicKeyThumbprints(t *testing.T) {
	seen := map[[32]byte]jose.Algorithm{}
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA} {
		s := signers()[alg]
		sum := must(s.newKey("a", 0)).Thumbprint()
		if sum != must(s.newKey("b", jose.MakeAlgorithms(alg))).Thumbprint() {
			t.Errorf("%v: the same key has two thumbprints", alg)
		}
		if other, ok := seen[sum]; ok {
			t.Errorf("%v and %v have the same thumbprint", alg, other)
		}
		seen[sum] = alg
	}
}
