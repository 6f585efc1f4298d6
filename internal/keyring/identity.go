package keyring

import (
	"crypto/rand"
	"strings"
)

// Identity tells rings of one issuer apart that have different vaults. It is random, no secret, and has 26 capital
// letters and digits. The first document gets it, and Rotate and Reset leave it as it is. It is empty after Close, and
// for a document of version 1 until that changes.
func (r *Ring) Identity() string {
	if s := r.state.Load(); s != nil {
		return s.doc.ring
	}
	return ""
}

// identityLength is that of rand.Text.
const identityLength = 26

func newIdentity() string { return rand.Text() }

// isIdentity reports whether a text looks like an identity. Only such a text gets into a log.
func isIdentity(text string) bool {
	return len(text) == identityLength && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
