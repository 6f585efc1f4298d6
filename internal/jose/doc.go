// Package jose verifies signatures. It has the compact form of RFC 7515, a fixed table of algorithms, keys that know
// which algorithms they are for, and one method that checks a signature.
//
// It reads what strangers send, so it refuses whatever does not follow the standards exactly. It trusts nothing that a
// token says about itself. The caller chooses the key, and the algorithm in the header must be one that the key was
// made for. This package never uses keys in the header and addresses of keys ("jwk", "jku", "x5c", "x5u").
//
// A signature cannot be skipped. There is no algorithm "none", no encryption (RFC 7516), and no detached or unencoded
// payload (RFC 7797).
package jose
