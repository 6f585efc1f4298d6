package words

import (
	"errors"

	"github.com/caddyjwt/gateway/internal/privatekey"
	"github.com/caddyjwt/gateway/internal/setting"
)

// PasswordMistake is an error about the password of a private key, with its setting and what to do. The word is that of
// the key, and the fields are those of the key and of the password. Any other error stays as it is.
func PasswordMistake(err error, word, keyField, passwordField string) error {
	switch {
	case errors.Is(err, privatekey.ErrEncrypted):
		return setting.Errorf(keyField, "%w: add its password: %s … { password {env.NAME} }", err, word)
	case errors.Is(err, privatekey.ErrNotEncrypted):
		return setting.Errorf(passwordField, "%w: remove it, or give the key that is encrypted", err)
	case errors.Is(err, privatekey.ErrPassword):
		return setting.Errorf(passwordField, "%w", err)
	}
	return err
}
