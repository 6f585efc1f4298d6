package monitortest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/monitortest"
)

const root = "../.."

// oldestSchema is that of the first Grafana whose form the dashboard has: 11.0.
const oldestSchema = 39

func TestTheDashboardIsAsGrafanaNeedsIt(t *testing.T) {
	d := monitortest.ReadDashboard(t, root)
	// With an id, provisioning would replace another dashboard. With another uid, links to this one would break.
	if d.ID != nil || d.UID != "caddy-bearer-auth" || d.Title == "" || d.SchemaVersion != oldestSchema {
		t.Errorf("id %v, uid %q, title %q, schemaVersion %d", d.ID, d.UID, d.Title, d.SchemaVersion)
	}
	ids, titles := make(map[int]bool), make(map[string]bool)
	for _, panel := range d.Panels {
		if panel.ID < 1 || ids[panel.ID] || panel.Title == "" || titles[panel.Title] {
			t.Errorf("panel %d %q: the id or the title is missing, or there twice", panel.ID, panel.Title)
		}
		ids[panel.ID], titles[panel.Title] = true, true
		if panel.Type == "row" {
			if len(panel.Targets)+len(panel.Panels) > 0 {
				t.Errorf("row %q has something inside", panel.Title)
			}
			continue
		}
		checkPanel(t, panel)
	}
	for _, annotation := range d.Annotations.List {
		if !chosen(annotation.Datasource) || annotation.Expr == "" {
			t.Errorf("annotation %q has no expr, or data source %+v", annotation.Name, annotation.Datasource)
		}
	}
}

// chosen reports whether a data source is the one that the reader chooses.
func chosen(source monitortest.Datasource) bool {
	return source == monitortest.Datasource{Type: "prometheus", UID: "${datasource}"}
}

func checkPanel(t *testing.T, panel monitortest.Panel) {
	t.Helper()
	known := []string{"stat", "timeseries", "state-timeline"}
	switch {
	case !slices.Contains(known, panel.Type):
		t.Errorf("panel %q has the type %q, want one of %q", panel.Title, panel.Type, known)
	case panel.Description == "", panel.FieldConfig.Defaults.Unit == "":
		t.Errorf("panel %q has no description, or no unit", panel.Title)
	case !chosen(panel.Datasource), len(panel.Targets) == 0:
		t.Errorf("panel %q has no targets, or the data source %+v", panel.Title, panel.Datasource)
	}
	refs := make(map[string]bool)
	for _, target := range panel.Targets {
		switch {
		case target.RefID == "", refs[target.RefID], target.Expr == "", !chosen(target.Datasource):
			t.Errorf("panel %q: target %+v lacks something, or has a refId for the second time", panel.Title, target)
		case target.Instant == target.Range:
			t.Errorf("panel %q: target %s must ask either about a moment or about a range", panel.Title, target.RefID)
		}
		refs[target.RefID] = true
	}
}

func TestPanelsLieOnTheGridAndNotOnEachOther(t *testing.T) {
	const columns = 24
	d := monitortest.ReadDashboard(t, root)
	taken := make(map[[2]int]string)
	for _, panel := range d.Panels {
		at := panel.GridPos
		if at.W < 1 || at.H < 1 || at.X < 0 || at.Y < 0 || at.X+at.W > columns {
			t.Errorf("panel %q is at %+v", panel.Title, at)
			continue
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other, there := taken[[2]int{x, y}]; there {
					t.Fatalf("panel %q lies on %q", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
}

// The first variable is the data source. All others can be left at "All", and every variable of a query is one that
// there is.
func TestTheVariablesOfTheDashboard(t *testing.T) {
	d := monitortest.ReadDashboard(t, root)
	known := []string{"__rate_interval", "__range"} // Grafana's own
	for i, v := range d.Templating.List {
		if i == 0 {
			if v.Name != "datasource" || v.Type != "datasource" || v.Query != "prometheus" {
				t.Errorf("the first variable is %+v, want the data source", v)
			}
			known = append(known, v.Name)
			continue
		}
		selector, _ := v.Values(t)
		for _, used := range monitortest.Variables(selector) {
			if !slices.Contains(known, used) {
				t.Errorf("variable %s depends on %s, which does not come before it", v.Name, used)
			}
		}
		if v.Type != "query" || !chosen(v.Datasource) || !v.Multi || !v.IncludeAll || v.AllValue != ".*" {
			t.Errorf("variable %+v: want a query with All, of the chosen data source", v)
		}
		known = append(known, v.Name)
	}
	for _, want := range []string{"instance", "server", "gate"} {
		if !slices.Contains(known, want) {
			t.Errorf("there is no variable %s", want)
		}
	}
	for _, query := range d.Queries() {
		used := monitortest.Variables(query.Expr)
		for _, name := range used {
			if !slices.Contains(known, name) {
				t.Errorf("%s has the variable %s, which is not there", query.Where, name)
			}
		}
		if !slices.Contains(used, "instance") {
			t.Errorf("%s does not depend on the chosen Caddy", query.Where)
		}
		// Several values are joined to a regular expression.
		if bytes.Contains([]byte(query.Expr), []byte(`="$`)) || strings.Contains(query.Expr, "\n") {
			t.Errorf("%s: %s\ncompares a variable with =, or has several lines", query.Where, query.Expr)
		}
	}
}

// Provisioning gives Grafana the data source, and the place of dashboard.json.
func TestTheProvisioningOfGrafana(t *testing.T) {
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			JSONData                     struct {
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	monitortest.ReadYAML(t, root, "grafana/provisioning/datasources/prometheus.yml", &sources)
	var prometheus struct {
		Global struct {
			ScrapeInterval string `yaml:"scrape_interval"`
		}
	}
	monitortest.ReadYAML(t, root, "prometheus.yml", &prometheus)
	if len(sources.Datasources) != 1 || sources.APIVersion != 1 {
		t.Fatalf("%+v", sources)
	}
	source := sources.Datasources[0]
	if source.Type != "prometheus" || source.Access != "proxy" || source.Name == "" || source.UID == "" ||
		source.URL == "" || source.JSONData.TimeInterval != prometheus.Global.ScrapeInterval {
		t.Errorf("%+v, and Prometheus scrapes every %s", source, prometheus.Global.ScrapeInterval)
	}
	var boards struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	monitortest.ReadYAML(t, root, "grafana/provisioning/dashboards/bearer_auth.yml", &boards)
	if len(boards.Providers) != 1 || boards.APIVersion != 1 || boards.Providers[0].Type != "file" ||
		boards.Providers[0].Name == "" || boards.Providers[0].Options.Path == "" {
		t.Errorf("%+v", boards)
	}
	readme := string(monitortest.Read(t, root, "README.md"))
	if path := boards.Providers[0].Options.Path; !strings.Contains(readme, path) {
		t.Errorf("README.md does not say that the dashboard goes to %s", path)
	}
}
