package resource

import (
	"bytes"
	"slices"
)

// Binding is what clients must know about tokens that are bound to a key (RFC 9728 section 2). The zero value says
// nothing about them.
type Binding struct {
	// DPoP lists the algorithms that DPoP proofs may be signed with. Nil means that no proofs are taken.
	DPoP []string
	// DPoPRequired says that every token must be bound to a key for DPoP.
	DPoPRequired bool
	// Certificates says that tokens may be bound to a client certificate (RFC 8705 section 3).
	Certificates bool
}

// and is what suits both gates. A client makes all its proofs with one algorithm, so both must take it. Only what both
// require is required always.
func (b Binding) and(other Binding) Binding {
	both := Binding{
		DPoP: b.DPoP, DPoPRequired: b.DPoPRequired && other.DPoPRequired, Certificates: b.Certificates || other.Certificates,
	}
	switch {
	case b.DPoP == nil:
		both.DPoP = other.DPoP
	case other.DPoP != nil:
		both.DPoP = slices.DeleteFunc(slices.Clone(b.DPoP), func(s string) bool { return !slices.Contains(other.DPoP, s) })
	}
	return both
}

// write writes the members of the document. One that is false is left out, which means the same.
func (b Binding) write(out *bytes.Buffer) {
	if b.Certificates {
		write(out, "tls_client_certificate_bound_access_tokens", true)
	}
	if len(b.DPoP) > 0 {
		write(out, "dpop_signing_alg_values_supported", b.DPoP)
	}
	if b.DPoPRequired {
		write(out, "dpop_bound_access_tokens_required", true)
	}
}
