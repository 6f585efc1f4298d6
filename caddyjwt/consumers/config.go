// Package consumers has what a configuration says about consumers: the JSON and the Caddyfile, and their checks.
package consumers

// From says where further consumers come from.
type From struct {
	// Path of a file with a list of consumers, in JSON as in "consumers" or in YAML of the same shape. Values in it are
	// taken as they are: no placeholders, and public keys as PEM text. The file is read again when it changes, and used as
	// a whole or not at all: if it has a mistake when the configuration loads, that is an error; later, the consumers from
	// before stay. At most 256 MiB and 1000000 consumers. Placeholders are resolved in the path.
	File string `json:"file"`
}

// Consumer is an application or person known by name, as in InterSystems API Manager and Kong.
type Consumer struct {
	// Unique name. The backend gets it as X-Consumer-Username. Placeholders are resolved.
	Username string `json:"username"`
	// Identifier. The backend gets it as X-Consumer-ID. Default: none. Placeholders are resolved.
	ID string `json:"id,omitempty"`
	// The consumer's name in another system. The backend gets it as X-Consumer-Custom-ID. Default: none. Placeholders are
	// resolved.
	CustomID string `json:"custom_id,omitempty"`
	// Groups, for the handler's require. The backend gets them as X-Consumer-Groups, joined by commas, so a group cannot
	// contain a comma. Default: none. Placeholders are resolved.
	Groups []string `json:"groups,omitempty"`
	// Shapes of claims that break the specifications and are accepted in this consumer's tokens all the same: the words of
	// an issuer's tolerate, except "never_expires". "missing_exp" needs expires in each credential, or max_lifetime of the
	// handler. Default: none; a token with such a claim is refused.
	Tolerate []string `json:"tolerate,omitempty"`
	// What verifies the consumer's tokens. Default: none; such a consumer can only be anonymous, or be named by the
	// consumer_claim of an issuer.
	Credentials []Credential `json:"credentials,omitempty"`
}

// Credential verifies the tokens of a consumer.
type Credential struct {
	// Value of the key claim that selects this credential; unique among all credentials and issuers of the handler.
	// Placeholders are resolved.
	Key string `json:"key"`
	// The one algorithm that tokens may use: with a public key one of the asymmetric algorithms of an issuer, with a
	// secret HS256, HS384 or HS512.
	Algorithm string `json:"algorithm"`
	// PEM public key or X.509 certificate, or the path of a file that has one, for RS, PS, ES and EdDSA algorithms. Read
	// once, when the configuration loads. Once the certificate has expired, tokens are refused. Placeholders are resolved.
	PublicKey string `json:"public_key,omitempty"`
	// Secret, for HS algorithms, at least as long as their hash: 32, 48 or 64 bytes. It must be random, as from "openssl
	// rand -hex 32"; one that plainly is not is refused. Placeholders are resolved. Prefer one such as {env.SECRET}:
	// whoever can read the configuration can read a secret written here.
	Secret string `json:"secret,omitempty"`
	// The secret is base64 or base64url; its decoded bytes are the key. Default: its text is the key, without line ends
	// behind it.
	Base64 bool `json:"base64,omitempty"`
	// When the credential ends: from then on its tokens are refused, whatever they say, and without leeway. A time such as
	// 2027-01-31T12:00:00Z, or a date, which means its beginning in UTC (RFC 3339). Default: never. Placeholders are
	// resolved.
	Expires string `json:"expires,omitempty"`
}
