// Package jose is the closed world of signatures: the compact form of RFC 7515, a fixed table of algorithms, keys that
// know what they are for, and the one call that checks a signature.
//
// It reads what a stranger sent, so it refuses whatever is not exactly as the standards write it. Nothing that a token
// says about itself is trusted: the algorithm in its header only has to be one that the key, chosen by the caller, was
// made for; keys and addresses of keys inside the header ("jwk", "jku", "x5c", "x5u") are never looked at.
//
// There is no way to have a signature skipped, no algorithm "none", no encryption (RFC 7516) and no detached or
// unencoded payload (RFC 7797).
package jose
