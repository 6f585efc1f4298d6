// Package monitortest reads what examples/monitoring has for Prometheus and Grafana, for the tests that compare it with
// the documentation and with the metrics that there are.
package monitortest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Read returns the text of a file of examples/monitoring. root is the way to the repository's root.
func Read(tb testing.TB, root, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(root, "examples", "monitoring", filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// ReadYAML reads a YAML file of examples/monitoring.
func ReadYAML(tb testing.TB, root, name string, into any) {
	tb.Helper()
	if err := yaml.Unmarshal(Read(tb, root, name), into); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
}

// RulesFile is the file of the alert rules.
const RulesFile = "bearer_auth.rules.yml"

// Alert is a rule that can fire.
type Alert struct {
	Name                string `yaml:"alert"`
	Expr                string
	Labels, Annotations map[string]string
}

// Alerts returns the alerts of the rules file.
func Alerts(tb testing.TB, root string) (alerts []Alert) {
	tb.Helper()
	var file struct{ Groups []struct{ Rules []Alert } }
	ReadYAML(tb, root, RulesFile, &file)
	for _, group := range file.Groups {
		alerts = append(alerts, group.Rules...)
	}
	if len(alerts) == 0 {
		tb.Fatalf("%s has no alerts", RulesFile)
	}
	return alerts
}

// Dashboard is what the tests need of dashboard.json.
type Dashboard struct {
	UID, Title    string
	ID            *int
	SchemaVersion int
	Panels        []Panel
	Templating    struct{ List []Variable }
	Annotations   struct{ List []Annotation }
}

// Datasource says where the answers to a query come from.
type Datasource struct{ Type, UID string }

// Panel is a panel or a row.
type Panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               Datasource
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []Target
	Panels                   []json.RawMessage // of a row that is collapsed
}

// Target is a query of a panel.
type Target struct {
	RefID      string
	Datasource Datasource
	Expr       string
	Instant    bool
	Range      bool
}

// Variable is what the reader of the dashboard can choose.
type Variable struct {
	Name, Type, Label, Definition, AllValue string
	Datasource                              Datasource
	Query                                   any // a text, or an object with the text in its member query
	Multi, IncludeAll                       bool
}

// Annotation is a query for moments to be marked in all panels.
type Annotation struct {
	Name       string
	Datasource Datasource
	Expr       string
}

// ReadDashboard reads dashboard.json.
func ReadDashboard(tb testing.TB, root string) *Dashboard {
	tb.Helper()
	d := new(Dashboard)
	if err := json.NewDecoder(bytes.NewReader(Read(tb, root, "dashboard.json"))).Decode(d); err != nil {
		tb.Fatalf("dashboard.json: %v", err)
	}
	if len(d.Panels) == 0 {
		tb.Fatal("dashboard.json has no panels")
	}
	return d
}

// Query is an expression of the dashboard, as Grafana has it: with variables.
type Query struct {
	Where   string
	Expr    string
	Instant bool // asked about one moment, not a range of time
}

// Queries returns all queries of panels and annotations.
func (d *Dashboard) Queries() (queries []Query) {
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, Query{panel.Title + " " + target.RefID, target.Expr, target.Instant})
		}
	}
	for _, annotation := range d.Annotations.List {
		queries = append(queries, Query{"annotation " + annotation.Name, annotation.Expr, false})
	}
	return queries
}
