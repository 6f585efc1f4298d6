package jose

// Constructors that accept published keys, which test vectors have.
var (
	NewExamplePublicKey = newPublicKey
	NewExampleSecretKey = newSecretKey
)

// Decode decodes base64url into a buffer of the right size.
func Decode(text string) ([]byte, bool) {
	buf := make([]byte, decodedLen(len(text)))
	n, ok := decode(buf, text)
	return buf[:n], ok
}

// HasROCA checks an RSA modulus for CVE-2017-15361.
var HasROCA = hasROCA
