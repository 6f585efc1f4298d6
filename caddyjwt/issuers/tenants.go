package issuers

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/internal/tenantkeys"
)

// Tenants says which tenants of an issuer with "*" are accepted.
type Tenants struct {
	tenant.Tenants
	File string // that has the list; empty for a list in the configuration
}

// TenantHeader is an output: a header field that tells the backend the tenant. It is not there for other callers.
type TenantHeader string

// Names implements gate.Output.
func (name TenantHeader) Names() []string { return []string{string(name)} }

// Write implements gate.Output. A tenant has no character that a header field cannot have.
func (name TenantHeader) Write(h http.Header, id *gate.Identity) error {
	if of := id.Tenant(); of != "" {
		h.Set(string(name), of)
	}
	return nil
}

// wildcardInIssuer recognizes a "*" that does not stand for a tenant.
func wildcardInIssuer(value string) string {
	if !strings.Contains(value, "*") {
		return ""
	}
	_, err := tenant.Parse(value)
	if err == nil {
		return ""
	}
	return "\"*\" stands for one tenant in the path, as in https://login.example.com/*/v2.0: " + err.Error() +
		"; for other issuers, write an issuer block for each one (for a literal \"*\", use JSON or a placeholder such as " +
		"{env.NAME})"
}

// readTenants reads "any", "file" and a path, or the tenants themselves.
func readTenants(b *words.Block, issuer *Issuer) error {
	args, err := b.Many()
	if err != nil {
		return err
	}
	switch {
	case args[0] == "any" && len(args) == 1:
		issuer.AnyTenant = true
		return nil
	case args[0] == "any":
		return b.Errf("tenants \"any\" cannot be combined with values: remove one of the two")
	case args[0] == "file" && len(args) == 2:
		issuer.TenantsFile = args[1]
		return nil
	case args[0] == "file":
		return b.WrongUsage("")
	}
	issuer.Tenants = args
	return b.Check("tenants", []words.Mistake{words.SingleQuotes, words.CommaList, words.ShellVariable, words.Unfilled},
		args...)
}

func (i *Issuer) saysTenants() bool { return i.Tenants != nil || i.AnyTenant || i.TenantsFile != "" }

// compileTenants handles "*" in the issuer's name. known is false while nobody knows the name.
func (i *Issuer) compileTenants(s *words.Settings, plan *Plan, known bool) error {
	name := plan.Issuer.Name
	switch {
	case !known:
		return nil
	case !i.saysTenants() && tenant.Is(name):
		return setting.Errorf("Issuer", "\"*\" stands for the tenant, so say which tenants are accepted: "+
			"\"tenants <value...>\", \"tenants file <path>\" or \"tenants any\"")
	case !i.saysTenants():
		return nil
	case !strings.Contains(name, "*"):
		return setting.In(i.tenantsField(), errors.New("tenants is for an issuer with \"*\" in place of the tenant, such as "+
			"https://login.example.com/*/v2.0: write one, or remove tenants"))
	}
	pattern, err := tenant.Parse(name)
	if err != nil {
		return setting.In("Issuer", err)
	}
	listed, file, err := i.listTenants(s)
	if err != nil {
		return setting.In(i.tenantsField(), err)
	}
	tenants := &Tenants{tenant.Tenants{Pattern: pattern, Listed: listed}, file}
	plan.Server.Tenants, plan.Issuer.Tenants = tenants, &tenants.Tenants
	return nil
}

// tenantsField is the field that says which tenants there are.
func (i *Issuer) tenantsField() string {
	return firstThere(field{"Tenants", i.Tenants != nil}, field{"AnyTenant", i.AnyTenant}, field{"TenantsFile", true})
}

// listTenants makes the list. While it is not known, any tenant stands in for it.
func (i *Issuer) listTenants(s *words.Settings) (list tenant.List, file string, err error) {
	ways := 0
	for _, way := range []bool{i.Tenants != nil, i.AnyTenant, i.TenantsFile != ""} {
		if way {
			ways++
		}
	}
	if ways > 1 {
		return nil, "", errors.New("tenants, any_tenant and tenants_file exclude each other: leave one of them")
	}
	switch {
	case i.AnyTenant:
		return tenant.Any{}, "", nil
	case i.TenantsFile != "":
		path, known, err := s.Text("tenants file", i.TenantsFile)
		if err != nil || !known {
			return unlisted{}, "", err
		}
		content, known, err := s.ReadFile("tenants file", path)
		if err != nil || !known {
			return unlisted{}, path, err
		}
		set, err := tenant.ParseSet(content)
		return set, path, setting.Wrap("tenants file "+path, err)
	}
	names, known, err := s.Texts("tenants", i.Tenants)
	if err != nil || !known {
		return unlisted{}, "", err
	}
	set, err := tenant.NewSet(names...)
	return set, "", setting.Wrap("tenants", err)
}

// unlisted stands in for a list that is not known yet. It has no tenant.
type unlisted struct{}

func (unlisted) Has(string) bool    { return false }
func (unlisted) Len() int           { return 0 }
func (unlisted) First(int) []string { return nil }

// each reports whether each tenant has its own metadata, by which its keys are found.
func (p *Server) each() bool { return p.Tenants != nil && p.Metadata == "" }

// eachHasKeys reports whether each tenant has its own keys.
func (p *Plan) eachHasKeys() bool {
	discovers := func(s Source) bool { return s.kind.name == "discovery" }
	return p.Server.each() && slices.ContainsFunc(p.Sources, discovers)
}

// checkTenants refuses what cannot be combined with tenants, before their keys are looked at.
func (i *Issuer) checkTenants(plan *Plan) error {
	if plan.Server.Tenants == nil {
		return nil
	}
	if _, err := plan.Server.Fetch.Plain.CheckURL(plan.Server.Tenants.Pattern.Issuer("tenant")); err != nil {
		return setting.In("Issuer", err)
	}
	shared := func(s Source) bool { return s.kind.shared }
	switch {
	case i.Introspect != nil:
		return setting.Errorf("Introspect", "introspect does not go with \"*\": an opaque token does not say whose it is, "+
			"and the answer of one tenant must not vouch for another; give that tenant an issuer block of its own")
	case slices.ContainsFunc(plan.Sources, shared):
		return setting.Errorf("Keys", "keys secret does not go with \"*\": whoever knows the secret could sign for every "+
			"tenant; give each tenant an issuer block with its own secret")
	case !plan.eachHasKeys():
		return nil
	case slices.ContainsFunc(i.Keys, func(k Keys) bool { return k.CA != nil }):
		return setting.Errorf("Keys", "ca does not go with the keys of each tenant by discovery: name one set of keys for "+
			"all tenants, with \"keys discovery <url>\" or \"keys jwks <url>\"; or give each tenant an issuer block of its own")
	case i.AnyTenant:
		return setting.Errorf("AnyTenant", "tenants any needs one set of keys for all: with the keys of each tenant by "+
			"discovery, every issuer that a stranger invents would be a fetch. Write \"keys discovery <url>\" with the address "+
			"of metadata that is common to all tenants, or \"keys jwks <url>\"; or list the tenants")
	case len(plan.Sources) > 1:
		return setting.Errorf("Keys", "keys of each tenant by discovery do not go with other keys: write one set of "+
			"keys for all tenants, or \"keys discovery\" alone")
	case i.Prefetch:
		return setting.Errorf("Prefetch", "prefetch does not go with the keys of each tenant by discovery, which are "+
			"fetched when the first token of the tenant arrives: remove it, or name one set of keys for all")
	}
	return nil
}

// issuerInMetadata is the issuer that the metadata must name.
func (p *Server) issuerInMetadata() string {
	if p.Tenants != nil {
		return p.Tenants.Pattern.Template()
	}
	return p.Issuer
}

// perTenant makes a plan for each of the first tenants, n at most.
func (p *Plan) perTenant(n int) (all []Plan) {
	for _, name := range p.Server.Tenants.Listed.First(n) {
		one := *p
		one.Issuer.Name, one.Issuer.Tenants = p.Server.Tenants.Pattern.Issuer(name), nil
		one.Server.Issuer, one.Server.Tenants = one.Issuer.Name, nil
		all = append(all, one)
	}
	return all
}

// TenantsBehind is how many tenants with keys of their own there are behind the first n, which Split has.
func (p *Plan) TenantsBehind(n int) int {
	if !p.eachHasKeys() {
		return 0
	}
	return max(0, p.Server.Tenants.Listed.Len()-n)
}

// openTenants gives the issuer its list, if that is in a file.
func (o Opener) openTenants(l *pool.Lease, plan *Server, issuer *gate.Issuer) error {
	if plan.Tenants == nil || plan.Tenants.File == "" {
		return nil
	}
	list, err := o.listOf(l, plan.Tenants)
	if err != nil {
		return err
	}
	tenants := plan.Tenants.Tenants
	tenants.Listed = list
	issuer.Tenants = &tenants
	return nil
}

// listOf takes a list of tenants from the pool, or opens it. A late request goes by the list of its configuration when
// the file cannot be read any more.
func (o Opener) listOf(l *pool.Lease, of *Tenants) (tenant.List, error) {
	if of.File == "" {
		return of.Listed, nil
	}
	list, err := pool.Take(l, "tenants", of.File, func() (*tenant.File, error) {
		return tenant.OpenFile(of.File, o.Shared.Log.Keys)
	})
	if err != nil && l.Late() {
		return of.Listed, nil
	}
	return list, err
}

// openEach opens the keys of many tenants, each of which has its own.
func (o Opener) openEach(
	l *pool.Lease, server *Server, plan *Source, options keyset.DiscoveryOptions,
) (keyset.Source, [32]byte, error) {
	list, err := o.listOf(l, server.Tenants)
	if err != nil {
		return nil, [32]byte{}, err
	}
	listed := struct {
		Settings [32]byte
		File     string
		Names    []string
	}{options.Fingerprint(), server.Tenants.File, nil}
	if set, ok := list.(*tenant.Set); ok && listed.File == "" {
		listed.Names = set.All()
	}
	return pooledSource(l, server, plan, hashing.Fingerprint(listed), func() (keyset.Source, error) {
		return tenantkeys.New(tenantkeys.Options{Pattern: server.Tenants.Pattern, Listed: list, Discovery: options})
	})
}
