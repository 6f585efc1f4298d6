package command

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/internal/sealing"
)

// encryptFlags are the flags about encrypting the signed token.
type encryptFlags struct {
	file                         string
	algorithm, encryption, keyID string

	recipient sealing.Recipient // what the file and the flags say, after read
}

func (e *encryptFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&e.file, "encrypt-to", "",
		"File of the key for which the signed token is encrypted, RSA or EC: PEM (public key, certificate or private key), "+
			"a JWK or a JWK set")
	flags.StringVar(&e.algorithm, "encrypt-alg", "",
		"The alg of the encrypted token: RSA-OAEP-256 or RSA-OAEP; ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW (default: "+
			"that of the JWK, or the first that fits the key)")
	flags.StringVar(&e.encryption, "encrypt-enc", "",
		"The enc of the encrypted token: A256GCM, A128GCM, A128CBC-HS256 or A256CBC-HS512 (default: A256GCM)")
	flags.StringVar(&e.keyID, "encrypt-kid", "",
		"The kid of the encrypted token; it also chooses among several keys of a JWK set (default: that of the JWK)")
}

// read reads the recipient's key. It tries the flags, so that their mistakes are found before anything is signed.
func (e *encryptFlags) read() error {
	if e.file == "" {
		if e.algorithm != "" || e.encryption != "" || e.keyID != "" {
			return errors.New("--encrypt-alg, --encrypt-enc and --encrypt-kid need --encrypt-to: name the file of the key")
		}
		return nil
	}
	text, err := os.ReadFile(e.file)
	if err != nil {
		return fmt.Errorf("--encrypt-to: %w", err)
	}
	to, err := sealing.Read(text, e.keyID)
	if err != nil {
		return fmt.Errorf("--encrypt-to %s: %w", e.file, err)
	}
	to.Algorithm, to.KeyID = cmp.Or(e.algorithm, to.Algorithm), cmp.Or(e.keyID, to.KeyID)
	to.Encryption = e.encryption
	e.recipient = to
	_, err = e.seal("")
	return err
}

// seal encrypts a signed token, if that is wanted.
func (e *encryptFlags) seal(token string) (string, error) {
	if e.file == "" {
		return token, nil
	}
	sealed, err := sealing.Seal(token, e.recipient)
	if err != nil {
		return "", fmt.Errorf("--encrypt-to %s: %w; see --encrypt-alg and --encrypt-enc", e.file, err)
	}
	return sealed, nil
}
