package keyset

import (
	"hash/maphash"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// DefaultMaxAsked is how many questions are remembered, at sixteen bytes each.
const DefaultMaxAsked = 2048

// asked remembers what was asked for in vain: tokens and key ids, by their hashes. When it is full it forgets
// everything. That costs good tokens nothing, because a token that is not remembered is never refused for it.
//
// An answer is remembered for a token, not for its key id. Otherwise strangers who guess the id of the next key could
// have it refused in advance.
type asked struct {
	begun  map[uint64]uint64 // by question: the number of the last fetch that had begun when it was asked
	forgot uint64            // that number when everything was last forgotten
	most   int               // how many are remembered
}

// note remembers a question, unless it was asked earlier and is still waiting for an answer.
func (a *asked) note(question, begun, lastGood uint64) {
	if at, known := a.begun[question]; known && at >= lastGood {
		return
	}
	if len(a.begun) >= a.most {
		clear(a.begun)
		a.forgot = begun
	}
	a.begun[question] = begun
}

// waiting reports whether a question may have been asked since the last good fetch began: either it was, or questions
// have been forgotten since then.
func (a *asked) waiting(question, lastGood uint64) bool {
	begun, known := a.begun[question]
	return max(begun, a.forgot) >= lastGood && (known || a.forgot > 0)
}

// answered reports whether the last good fetch began after the question was asked. If so, that fetch has not brought
// the key: the question would not be asked again.
func (a *asked) answered(question, lastGood uint64) bool {
	begun, known := a.begun[question]
	return known && begun < lastGood
}

// demand is a request for a key, and what may be remembered about it.
type demand struct {
	alg     jose.Algorithm
	kid     string
	id      uint64 // stands for the key id
	token   uint64 // stands for the token
	arrived time.Time
	begun   uint64 // number of the last fetch that had begun when it arrived
}

func (s *fetched) demand(token Signed) demand {
	d := demand{alg: token.Algorithm, kid: token.KeyID, id: hashID(token.KeyID), arrived: time.Now()}
	doc := s.doc.Lock()
	d.begun = doc.Begun()
	doc.Unlock()
	var h maphash.Hash
	h.SetSeed(seed)
	_ = h.WriteByte(byte(token.Algorithm))
	_, _ = h.WriteString(token.KeyID)
	_ = h.WriteByte(0) // a token without a signature must not have the hash of its key id
	_, _ = h.Write(token.Signature)
	d.token = h.Sum64()
	return d
}

var seed = maphash.MakeSeed()

// hashID is all that is remembered about a key id, however long it is.
func hashID(kid string) uint64 { return maphash.String(seed, kid) }
