package command

import (
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"
)

// headerFlags are the flags about the JOSE header of the signed token.
type headerFlags struct {
	keyID   string
	members []string
}

func (h *headerFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&h.keyID, "kid", "", "The kid of the JOSE header (default: that of the key)")
	flags.StringArrayVar(&h.members, "header", nil,
		"A member of the JOSE header as name=value; a value that is valid JSON is used as JSON. Repeatable")
}

// Why a member of the header cannot be given with --header.
const (
	ofSigner    = "it follows from the key that signs"
	ofType      = "it follows from the handler: \"types\" and \"profile rfc9068\" of an issuer set it"
	ofSealing   = "it belongs to an encrypted token: use --encrypt-to, --encrypt-alg and --encrypt-enc"
	ofContent   = "it follows from what the token contains: with --encrypt-to, it is JWT"
	ofNoJWT     = "no JWT may have it (RFC 7797 section 7)"
	ofExtension = "it names extensions that every reader must know (RFC 7515 section 4.1.11), and the gate knows none"
	ofNoGate    = "it names or contains a key, and no gate takes its keys from a token: use --kid"
)

// registered are the members that mint sets itself, or that no token needs: those of RFC 7515 section 4.1, RFC 7516
// section 4.1, RFC 7518 sections 4.6.1, 4.7.1 and 4.8.1, and RFC 7797 section 3.
var registered = map[string]string{
	"alg": ofSigner, "kid": "use --kid", "typ": ofType, "cty": ofContent, "crit": ofExtension, "b64": ofNoJWT,
	"jku": ofNoGate, "jwk": ofNoGate, "x5u": ofNoGate, "x5c": ofNoGate, "x5t": ofNoGate, "x5t#S256": ofNoGate,
	"enc": ofSealing, "zip": ofSealing, "epk": ofSealing, "apu": ofSealing, "apv": ofSealing, "iv": ofSealing,
	"tag": ofSealing, "p2s": ofSealing, "p2c": ofSealing,
}

// check refuses what is wrong with every token.
func (h *headerFlags) check() error {
	for _, text := range h.members {
		name, _, err := member("--header", text)
		if err != nil {
			return err
		}
		if why, has := registered[name]; has {
			return fmt.Errorf("--header %s: this member cannot be given here: %s", name, why)
		}
	}
	return nil
}

// sameKeyID refuses another key id than that of the consumer's credential, by which the gate finds the credential.
func (h *headerFlags) sameKeyID(key string) error {
	if h.keyID != "" && h.keyID != key {
		return fmt.Errorf("--kid %q: this gate finds the credential by its kid, which is %q; leave out --kid, or choose "+
			"another credential with --credential", h.keyID, key)
	}
	return nil
}

// addMembers adds those of the command line. fixed is the member that they must not add, because it selects the
// credential.
func (h *headerFlags) addMembers(token *jwt.Token, fixed string) error {
	for _, text := range h.members {
		name, value, err := member("--header", text)
		if err != nil {
			return err
		}
		if name == fixed {
			return fmt.Errorf("--header %s: this member selects the credential; use --credential instead", name)
		}
		token.Header[name] = value
	}
	if h.keyID != "" {
		token.Header["kid"] = h.keyID
	}
	return nil
}
