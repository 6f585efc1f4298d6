package explain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
)

func (s *subject) unknownIssuer() *advice {
	for _, came := range s.Came {
		iss, ok := strings.CutPrefix(came, "iss ")
		if !ok {
			continue
		}
		if a := s.unlistedTenant(iss); a != nil {
			return a
		}
		a := &advice{Line: line("issuer", iss), Where: inGate,
			Note: "Add it only if you trust this server. It needs an audience, too."}
		var names []string
		for _, known := range s.config.Issuers {
			if known.Tenants == nil {
				names = append(names, known.Name)
			}
		}
		if near, found := causes.NewIssuers(names).Near(iss); found {
			a.Note = fmt.Sprintf("If it is the server that is configured as %s, write it as the token does, in place of "+
				"that name.", strconv.Quote(near))
		}
		return a
	}
	return &advice{Note: "Leave the configuration as it is: the token says neither who issued it (iss), nor which " +
		"credential it belongs to."}
}

// unlistedTenant is the advice for an iss that only a tenant of a configured server can have; nil for any other. Nobody
// should write such an iss in place of the name with "*": at most servers, everybody can become a tenant.
func (s *subject) unlistedTenant(iss string) *advice {
	for _, known := range s.config.Issuers {
		if known.Tenants == nil {
			continue
		}
		where := "in the block of issuer " + strconv.Quote(known.Name)
		if iss == known.Name {
			return &advice{Note: "Leave the configuration as it is: the \"*\" in it stands for a tenant, and the token must " +
				"name one in its iss."}
		}
		if name, matches := known.Tenants.Pattern.Tenant(iss); matches {
			return &advice{Line: line("tenants", name), Where: where,
				Note: "Add the name to the tenants there, or to their file, only if you know this tenant and trust it: it " +
					"decides about its users, their scopes and their groups."}
		}
	}
	return nil
}

func (s *subject) invalidIssuer() *advice {
	if s.Rule == "tenant" {
		return &advice{Note: "Leave the configuration as it is: the token names one tenant in iss, and another in tid. If " +
			"tid is something else at this server, write an issuer block for each tenant, without \"*\"."}
	}
	return &advice{Note: "The introspection endpoint belongs to another issuer, or serves several: check \"endpoint\" " +
		"in the introspect block."}
}

func (s *subject) unknownKey() *advice {
	if s.Rule == "certificate" {
		return &advice{Note: "Have the consumer use another credential: this one has ended, by \"expires\" or by its " +
			"certificate. A new date in \"expires\" opens it again for everybody who has its key."}
	}
	return &advice{Note: "Get a new token: the server that signed this one has published no such key. If all tokens are " +
		"refused so, run \"caddy bearer-auth check\"."}
}
