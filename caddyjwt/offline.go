package caddyjwt

import (
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// stub puts something that cannot be asked in the place of all that would be opened.
func (c *compiled) stub() {
	for i, plan := range c.plans {
		issuer := &c.config.Issuers[i]
		if plan.source.kind.verifies() {
			issuer.Keys = unopened{}
		}
		if plan.introspect != nil {
			issuer.Asking = &gate.Asking{
				Mode: plan.introspect.mode, Prefix: plan.introspect.prefix, Client: new(introspect.Client),
			}
		}
	}
}

// check is everything that can be checked without the network, and without the variables and files that are not here:
// they may be where the configuration will load. An error names the field of the handler.
func (h *Handler) check() error {
	_, err := h.lacks()
	return err
}

// lacks gives what check has left out: the errors that loading the configuration here would give.
func (h *Handler) lacks() ([]error, error) {
	s := words.NewDeferringSettings()
	built, err := h.compile(s)
	if err != nil {
		return nil, err
	}
	built.stub()
	if !built.anonymousKnown {
		built.config.Anonymous = ""
	}
	if err := built.config.Validate(); err != nil {
		return nil, &setting.Error{Field: ourField(setting.Field(err)), Err: err}
	}
	return s.Missing(), nil
}

// gateFields are names of fields in gate.Config that have another name in Handler. Those without a name of ours are
// parts of the field before them.
var gateFields = map[string]string{
	"Extractor": "TokenFrom", "Name": "Issuer", "Asking": "Introspect", "AccessTokenProfile": "Profile",
	"Path": "Claim", "Cache": "CacheSize", "Any": "", "Accepted": "", "Client": "", "Verifier": "", "NotAfter": "",
	"KeysID": "",
}

// ourField is the path in Handler for one in gate.Config.
func ourField(path string) string {
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
