package sealed

import (
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/internal/causes"
	ours "github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// repeatable are claims that only repeat what is inside when they are in the header of an encrypted token. The content
// must have them then.
var repeatable = map[string]bool{
	"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true, "jti": true,
}

// ErrRepeated: the header repeats a claim, and it differs from the one inside.
var ErrRepeated = errors.New("the header of the encrypted token repeats a claim, and it differs from the one inside")

// CheckRepeated makes sure that claims in the header of an encrypted token are those of its content (RFC 7519 section
// 5.3). Others may have acted on them before. claim finds a claim of the content. The error is ErrRepeated.
func CheckRepeated(t *ours.Encrypted, claim func(name string) (strictjson.Value, bool)) error {
	for name, outer := range t.Repeated {
		inner, has := claim(name)
		if has && !strictjson.Same(inner, outer) || !has && repeatable[name] {
			return fmt.Errorf("%w: %s", ErrRepeated, causes.Quote(name))
		}
	}
	return nil
}
