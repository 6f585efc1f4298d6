package integration

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
)

// Verifiers that parse the decrypted PKCS #1 block leniently accept forgeries: CVE-2006-4339, CVE-2021-30246. Each
// block here is "signed" with the real private key, so that only its form is wrong.
func TestAttackSignaturePKCS1Padding(t *testing.T) {
	s, issuer, keys := signedSite(t)
	key := keys["RS256"]
	private := key.Private().(*rsa.PrivateKey)
	size := private.Size()
	input, good := splitToken(t, key.Sign(t, issuedBy(issuer)))
	digest := sha256.Sum256([]byte(input))
	prefix, _ := hex.DecodeString("3031300d060960864801650304020105000420")
	noNull, _ := hex.DecodeString("302f300b0609608648016503040201" + "0420")
	sha1OID, _ := hex.DecodeString("3021300906052b0e03021a05000414")
	longLength, _ := hex.DecodeString("308131300d060960864801650304020105000420")
	block := func(kind byte, pad byte, info ...[]byte) []byte {
		t := slices.Concat(info...)
		em := append([]byte{0, kind}, bytes.Repeat([]byte{pad}, size-len(t)-3)...)
		return slices.Concat(em, []byte{0}, t)
	}
	sign := func(em []byte) []byte {
		return new(big.Int).Exp(new(big.Int).SetBytes(em), private.D, private.N).FillBytes(make([]byte, size))
	}
	if !bytes.Equal(sign(block(1, 0xff, prefix, digest[:])), good) {
		t.Fatal("the test does not sign as PKCS #1 does")
	}
	garbage := block(1, 0xff, prefix, digest[:])
	// then 0xff to the end
	copy(garbage[3:], slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, prefix, digest[:]))
	for name, signature := range map[string][]byte{
		"without NULL":                sign(block(1, 0xff, noNull, digest[:])),
		"with a length in long form":  sign(block(1, 0xff, longLength, digest[:])),
		"with the name of SHA-1":      sign(block(1, 0xff, sha1OID, digest[:20])),
		"without the hash's name":     sign(block(1, 0xff, digest[:])),
		"with a byte after the hash":  sign(block(1, 0xff, prefix, digest[:], []byte{0})),
		"with garbage after the hash": sign(garbage),
		"of block type 2":             sign(block(2, 0xff, prefix, digest[:])),
		"of block type 0":             sign(block(0, 0, prefix, digest[:])),
		"padded with another byte":    sign(block(1, 0xfe, prefix, digest[:])),
		"with the hash shortened":     sign(block(1, 0xff, prefix, digest[:31])),
		"zero":                        make([]byte, size),
		"one":                         append(make([]byte, size-1), 1),
		"the modulus":                 private.N.Bytes(),
		"the modulus minus one":       new(big.Int).Sub(private.N, big.NewInt(1)).Bytes(),
		"with the modulus added":      new(big.Int).Add(new(big.Int).SetBytes(good), private.N).Bytes(),
		"after a zero byte":           append([]byte{0}, good...),
		"before a zero byte":          append(slices.Clone(good), 0),
		"the negative of the good one": new(big.Int).Sub(private.N,
			new(big.Int).SetBytes(good)).FillBytes(make([]byte, size)),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(input+"."+b64(string(signature))), "invalid_signature")
		})
	}
}

// PSS allows salts of any length, while RFC 7518 section 3.5 fixes the length to that of the hash. PSS also allows
// different hashes for text and mask. Only the one form that the algorithm's name stands for is accepted.
func TestAttackSignaturePSSParameters(t *testing.T) {
	s, issuer, keys := signedSite(t)
	key := keys["PS256"]
	input, good := splitToken(t, key.Sign(t, issuedBy(issuer)))
	digest := sha256.Sum256([]byte(input))
	for name, salt := range map[string]int{"no salt": 0, "a short salt": 20, "the longest salt": rsa.PSSSaltLengthAuto,
		"a salt of one": 1} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			signature, err := signPSS(key.Private().(*rsa.PrivateKey), digest[:], salt)
			if err != nil {
				t.Fatal(err)
			}
			a.refusedFor(a.send(input+"."+b64(string(signature))), "invalid_signature")
		})
	}
	pkcs1, err := rsa.SignPKCS1v15(rand.Reader, key.Private().(*rsa.PrivateKey), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	for name, signature := range map[string][]byte{"PKCS #1 v1.5": pkcs1,
		"a zero byte more": append(slices.Clone(good), 0), "a byte less": good[1:]} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(input+"."+b64(string(signature))), "invalid_signature")
		})
	}
}

// signPSS signs with a salt of any length, which the standard library does for lengths above zero only.
func signPSS(key *rsa.PrivateKey, digest []byte, salt int) ([]byte, error) {
	if salt != 0 {
		return rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: salt})
	}
	bits := key.N.BitLen() - 1
	size := (bits + 7) / 8
	h := sha256.Sum256(slices.Concat(make([]byte, 8), digest))
	db := append(make([]byte, size-len(h)-2), 1)
	for i, counter := 0, byte(0); i < len(db); counter++ { // MGF1
		mask := sha256.Sum256(append(h[:], 0, 0, 0, counter))
		for _, m := range mask {
			if i < len(db) {
				db[i] ^= m
				i++
			}
		}
	}
	db[0] &= 0xff >> (8*size - bits)
	em := slices.Concat(db, h[:], []byte{0xbc})
	if err := rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest,
		new(big.Int).Exp(new(big.Int).SetBytes(em), key.D, key.N).FillBytes(make([]byte, key.Size())),
		&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}); err != nil {
		return nil, err
	}
	return new(big.Int).Exp(new(big.Int).SetBytes(em), key.D, key.N).FillBytes(make([]byte, key.Size())), nil
}
