package jose

// Constructors without the refusal of published keys, for test vectors: their keys are published.
var (
	NewExamplePublicKey = newPublicKey
	NewExampleSecretKey = newSecretKey
)

// Decode is the decoder of base64url with a buffer of the right size.
func Decode(text string) ([]byte, bool) {
	buf := make([]byte, decodedLen(len(text)))
	n, ok := decode(buf, text)
	return buf[:n], ok
}

// HasROCA is the fingerprint check on an RSA modulus.
var HasROCA = hasROCA
