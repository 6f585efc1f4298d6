package diagnose

import "time"

// Level says how bad a finding is.
type Level string

// The levels, from harmless to bad.
const (
	OK      Level = "ok"      // of a whole report: neither warnings nor problems
	Note    Level = "note"    // worth knowing
	Warning Level = "warning" // works now, but perhaps not for long, or not for everybody
	Problem Level = "problem" // tokens are refused, or wrongly accepted
)

func (l Level) rank() int {
	switch l {
	case Problem:
		return 3
	case Warning:
		return 2
	case Note:
		return 1
	default:
		return 0
	}
}

// worst is the level of a report. Notes leave it at OK.
func worst(findings []Finding) Level {
	level := OK
	for _, f := range findings {
		if f.Level != Note && f.Level.rank() > level.rank() {
			level = f.Level
		}
	}
	return level
}

// Code is the stable name of what was found. Scripts may compare it.
type Code string

// What can be found. docs/errors.md has a row for each.
const (
	NotChecked Code = "not_checked"

	// On the way to a server.
	UnknownHost       Code = "unknown_host"
	ConnectionRefused Code = "connection_refused"
	Unreachable       Code = "unreachable"
	Timeout           Code = "timeout"
	ProxyFailed       Code = "proxy_failed"
	AddressNotAllowed Code = "address_not_allowed"
	PlainHTTP         Code = "plain_http"
	NotTLS            Code = "not_tls"
	TLSUntrusted      Code = "tls_untrusted"
	TLSWrongName      Code = "tls_wrong_name"
	TLSExpired        Code = "tls_expired"
	TLSPin            Code = "tls_pin"
	TLSRefused        Code = "tls_refused"
	TLSFailed         Code = "tls_failed"

	// About an answer.
	Redirected Code = "redirected"
	TooLarge   Code = "too_large"
	Status     Code = "status"
	Malformed  Code = "malformed"
	Failed     Code = "failed"

	// About metadata.
	IssuerDiffers      Code = "issuer_differs"
	IssuerTemplate     Code = "issuer_template"
	NoKeySetAddress    Code = "no_key_set_address"
	AlgorithmsExcluded Code = "algorithms_excluded"

	// About keys.
	NoKeys       Code = "no_keys"
	NoKeyFits    Code = "no_key_fits"
	KeysExcluded Code = "keys_excluded"
	KeysSkipped  Code = "keys_skipped"
	KeysLeftOut  Code = "keys_left_out"
	PrivateKeys  Code = "private_keys"

	// About introspection.
	EndpointMissing    Code = "endpoint_missing"
	EndpointNotAllowed Code = "endpoint_not_allowed"
	CredentialsRefused Code = "credentials_refused"
	AuthMethodMissing  Code = "auth_method_missing"
	MadeUpTokenActive  Code = "made_up_token_active"
	MadeUpTokenError   Code = "made_up_token_error"

	// About resources.
	MetadataNotServed Code = "metadata_not_served"

	// About time.
	ClockDiffers       Code = "clock_differs"
	CertificateExpires Code = "certificate_expires"
	CertificateExpired Code = "certificate_expired"
)

// Finding is one thing that was found.
type Finding struct {
	Level Level  `json:"level"`
	Code  Code   `json:"code"`
	Text  string `json:"text"` // what was found; the words may change
	Cure  string `json:"cure"` // what to do; empty when there is nothing to do
}

// Report is what the check of one issuer has found. All its texts are printable ASCII.
type Report struct {
	Issuer        string         `json:"issuer"`
	Gates         int            `json:"gates"` // how many gates have this issuer with these settings
	Result        Level          `json:"result"`
	KeysFrom      string         `json:"keys_from"`          // such as "discovery"
	Metadata      string         `json:"metadata,omitempty"` // where the metadata were found
	KeySet        string         `json:"key_set,omitempty"`  // where the keys were fetched
	Keys          []Key          `json:"keys"`
	Skipped       []Skipped      `json:"skipped"`
	Introspection *Introspection `json:"introspection,omitempty"`
	Servers       []Server       `json:"servers"`
	Findings      []Finding      `json:"findings"` // the worst first
}

// Key is a key of an issuer.
type Key struct {
	Name       string   `json:"name"` // key id, or the start of the thumbprint for a key without one
	Type       string   `json:"type"` // as in "kty"
	Algorithms []string `json:"algorithms"`
	Used       bool     `json:"used"` // false when the gate's algorithms exclude it
}

// Skipped counts keys that the gate cannot use.
type Skipped struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	// Names are the ids of the first of them, or their places in the key set, such as "#3".
	Names []string `json:"names"`
}

// Introspection is how a question about a made-up token went.
type Introspection struct {
	Endpoint string `json:"endpoint,omitempty"` // without its query
	Answer   string `json:"answer"`             // "inactive", "active", "error" or "not_asked"
}

// Server is a host that answered.
type Server struct {
	Host string `json:"host"`
	// ClockOffset is by how many seconds the server's clock is ahead of ours, after what the time of the answer leaves
	// open. It is absent when the server does not say the time.
	ClockOffset *float64 `json:"clock_offset_seconds,omitempty"`
	// CertificateExpires is when the first certificate of its chain expires; absent without TLS.
	CertificateExpires *time.Time `json:"certificate_expires,omitempty"`
}
