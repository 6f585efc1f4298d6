package doubts

import (
	"slices"
	"strings"

	"go.uber.org/zap"
)

// OfResource gives the doubts about the resource of a gate to warn. The gate must have one.
func OfResource(g *Gate, warn Warn) {
	if len(g.AuthServers) == 0 {
		warn("clients cannot find out where to get a token for this resource: no issuer of the gate is an https URL, " +
			"so the metadata names no authorization server")
	}
	if doubt := g.slash(); doubt != "" {
		warn(doubt, zap.String("resource", g.Resource.String()))
	}
}

// slash is the doubt about a resource that is right, and that many clients spell in another way: they have a slash
// directly after the host, and none at the end of a path. It is "" if all is well.
func (g *Gate) slash() string {
	id, path := g.Resource.String(), g.Resource.Path()
	if path != "" {
		if path != "/" && strings.HasSuffix(path, "/") {
			return "many clients leave out the slash at the end of the resource when they look for its metadata, and find " +
				"none: leave it out, too"
		}
		return ""
	}
	lacksSlash := func(audiences []string) bool {
		return slices.Contains(audiences, id) && !slices.Contains(audiences, id+"/")
	}
	lacks := lacksSlash(g.Config.Audience.Accepted)
	for i := range g.Config.Issuers {
		lacks = lacks || lacksSlash(g.Config.Issuers[i].Audience.Accepted)
	}
	if !lacks {
		return ""
	}
	return "many clients ask for a token with a slash after the host of the resource, and the gate refuses its " +
		"audience: write that slash, or both forms as audiences"
}
