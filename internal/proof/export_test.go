package proof

// What tests need beside the public names.
var (
	NewSmallVerifier = newVerifier
	ReadPayload      = readPayload
	AppendURI        = appendURI
	AppendRequest    = appendRequest
)

// MaxSegment is the longest header that is remembered.
const MaxSegment = maxSegment

// Keys is how many keys are remembered, and their weight in bytes, once the store has done its work.
func (v *Verifier) Keys() (count int, weight uint64) {
	v.keys.store.CleanUp()
	return v.keys.store.EstimatedSize(), v.keys.store.WeightedSize()
}

// Remembers reports whether a proof needs no parsing of its header.
func (v *Verifier) Remembers(text, thumbprint string) bool {
	bound, ok := decodeThumbprint(thumbprint)
	return ok && v.keys.find(bound, text) != nil
}
