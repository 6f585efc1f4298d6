package caddyjwt

import (
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// stub puts stubs, which cannot be asked, in place of everything that would be opened.
func (c *compiled) stub() {
	for i, plan := range c.plans {
		issuer := &c.config.Issuers[i]
		if plan.Verifies() {
			issuer.Keys = issuers.Unopened()
		}
		issuer.Asking = plan.AskingOf(new(introspect.Client))
	}
}

// check checks everything that it can without the network, and without the variables and files that are missing here:
// they may exist where the configuration will load. An error names the handler's field.
func (h *Handler) check() error {
	_, err := h.missing()
	return err
}

// missing is check, and returns what check leaves out: the errors about missing variables and files that loading the
// configuration here would give.
func (h *Handler) missing() ([]error, error) {
	s := words.NewDeferringSettings()
	built, err := h.compile(s)
	if err != nil {
		return nil, err
	}
	built.stub()
	if err := h.readRoster(s, built); err != nil {
		return nil, err
	}
	if !built.anonymousKnown {
		built.config.Anonymous = ""
	}
	if err := built.config.Validate(); err != nil {
		return nil, &setting.Error{Field: handlerField(setting.Field(err)), Err: err}
	}
	return s.Missing(), nil
}

// readRoster reads the consumers of the file, if there is one and it is there.
func (h *Handler) readRoster(s *words.Settings, built *compiled) error {
	if built.roster == "" {
		return nil
	}
	set, err := h.ConsumersFrom.Read(s, built.roster)
	if set != nil {
		built.config.Roster = set
	}
	return setting.In("ConsumersFrom", err)
}

// gateFields are fields of gate.Config with the names that they have in Handler. Those without a name are parts of the
// field before them.
var gateFields = map[string]string{
	"Extractor": "TokenFrom", "Name": "Issuer", "Asking": "Introspect", "AccessTokenProfile": "Profile",
	"Path": "Claim", "Cache": "CacheSize", "Any": "", "Accepted": "", "Client": "", "Verifier": "", "NotAfter": "",
	"KeysID": "", "Outputs": "ForwardTenant", "AnyOrigin": "OriginCheck", "TrustedOrigins": "CORS",
	"ResourceMetadata": "Resource", "Roster": "ConsumersFrom",
}

// handlerField is the path in Handler for a path in gate.Config.
func handlerField(path string) string {
	var ours strings.Builder
	for part := range strings.SplitSeq(path, ".") {
		name, index, indexed := strings.Cut(part, "[")
		if renamed, ok := gateFields[name]; ok {
			name = renamed
		}
		if name != "" && ours.Len() > 0 {
			ours.WriteString(".")
		}
		if ours.WriteString(name); indexed {
			ours.WriteString("[" + index)
		}
	}
	return ours.String()
}
