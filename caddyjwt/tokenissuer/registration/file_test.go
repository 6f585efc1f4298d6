package registration_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
)

// A file that two readers could understand in two ways is refused, and no error repeats what is in it.
func TestFilesWithClientsAreReadStrictly(t *testing.T) {
	for _, of := range []struct{ content, says string }{
		{``, "not one JSON object"},
		{`[]`, "not one JSON object"},
		{`{"clients": []} {}`, "not one JSON object"},
		{`{"clients": [], "clients": []}`, "not one JSON object"},
		{`{"clients": [{"id": "swordfish", "id": "b"}]}`, "not one JSON object"},
		{`{"clients": [{"id": "swordfish", "ID": "b"}]}`, "small letters"},
		{`{"clients": [{"id": "a", "\u017fcopes": ["swordfish"]}]}`, "small letters"},
		{`{"clients": [], "Clients": [{"id": "swordfish"}]}`, "small letters"},
		{`{"clients": [{"tls_client_auth": {"san_dns": "swordfish", "SAN_DNS": "b"}}]}`, "small letters"},
		{`{"clients": [{"id": "a", "secret": "swordfish"}]}`, "unknown field"},
		{`{"clients": [{"id": "a", "secret_hash": "swordfish"}]}`, "wrong type"},
		{`{"clients": {"swordfish": 1}}`, "wrong type"},
		{`{"clients": [{"id": "a", "access_lifetime": "swordfish"}]}`, "no duration"},
		{`{"clients": [{"id": "a", "access_lifetime": {"swordfish": 1}}]}`, "wrong type"},
		{`{"clients": [{"id": "a", "access_lifetime": 1e99}]}`, "wrong type"},
	} {
		_, err := registration.ReadFile([]byte(of.content))
		if err == nil || !strings.Contains(err.Error(), of.says) || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: %v, want %q", of.content, err, of.says)
		}
	}
}
