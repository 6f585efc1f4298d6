package users_test

import (
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

const argonSalt = "MDEyMzQ1Njc4OWFiY2RlZg"

// argonHash is the hash of a password by argon2id.
func argonHash(password string, memory, passes uint32, threads uint8) string {
	key := argon2.IDKey([]byte(password), []byte("0123456789abcdef"), passes, memory, threads, 32)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, threads, argonSalt,
		base64.RawStdEncoding.EncodeToString(key))
}

func argonParts(hash string) (memory, passes uint32, threads uint8, err error) {
	_, err = fmt.Sscanf(hash, "$argon2id$v=19$m=%d,t=%d,p=%d$", &memory, &passes, &threads)
	return memory, passes, threads, err
}
