package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// failingApp is an app that does something when its configuration starts, and then fails: gate_failing.
type failingApp struct{}

// beforeFailing is what failingApps do.
var beforeFailing func()

func init() { caddy.RegisterModule(failingApp{}) }

func (failingApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gate_failing", New: func() caddy.Module { return new(failingApp) }}
}

func (*failingApp) Start() error {
	beforeFailing()
	return errors.New("this app always fails")
}

func (*failingApp) Stop() error { return nil }

// An order comes while a configuration with another store starts, which then fails. The order must be in force in the
// configuration that goes on, or it would be acknowledged and lost.
func TestRevokedWhileAConfigurationFailsToStart(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer)
	var revoked []string
	beforeFailing = func() {
		jti := fmt.Sprint("number-", len(revoked))
		if o.acknowledges(orderOf("issuer", keptIssuer, "jti", jti)) {
			revoked = append(revoked, key.Sign(t, issuedBy(keptIssuer, "jti", jti)))
		}
	}
	first := o.store
	for i := range 16 { // Caddy starts apps in no fixed order
		o.store = []string{"file " + storeFile(t), "memory"}[i%2]
		config, err := adapt(o.kept(o.caddyfile(revocableGate(issuer))))
		if err != nil {
			t.Fatal(err)
		}
		config = []byte(strings.Replace(string(config), `"apps":{`, `"apps":{"gate_failing":{},`, 1))
		before := len(revoked)
		// Where another app has started before one fails, Caddy does not open its Unix listener again: it fails earlier then.
		eventually(t, "the app starts and fails", func() bool {
			if err := caddy.Load(config, true); err == nil {
				t.Fatal("a configuration with an app that fails was loaded")
			}
			return len(revoked) > before
		})
	}
	o.store = first
	o.allOut(revoked...)
	o.good(key.Sign(t, issuedBy(keptIssuer)))
	if n := len(o.listed("")); n != len(revoked) {
		t.Errorf("%d are listed, %d were acknowledged", n, len(revoked))
	}
}
