package monitortest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/monitortest"
)

// Alerts are in one place, the rules file. The page has the same ones as a table.
func TestTheAlertsAreThoseOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	const head = "\n| Alert | Severity | Meaning | First step |\n| --- | --- | --- | --- |\n"
	_, table, found := strings.Cut(string(page), head)
	table, _, _ = strings.Cut(table, "\n\n")
	if !found {
		t.Fatalf("docs/metrics.md has no table with the heading %s", head)
	}
	var want []string
	for _, alert := range monitortest.Alerts(t, root) {
		want = append(want, "| "+strings.Join([]string{alert.Name, alert.Labels["severity"],
			alert.Annotations["summary"], alert.Annotations["runbook"]}, " | ")+" |")
	}
	rows := strings.Split(strings.TrimSpace(table), "\n")
	for i, row := range rows {
		rows[i] = plain(row)
	}
	for _, row := range rows {
		if !slices.Contains(want, row) {
			t.Errorf("docs/metrics.md has this row, and the rules file says something else:\n%s", row)
		}
	}
	for _, row := range want {
		if !slices.Contains(rows, row) {
			t.Errorf("docs/metrics.md lacks this row of the rules file:\n%s", row)
		}
	}
}

func TestNoPageHasARuleOfItsOwn(t *testing.T) {
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, name := range pages {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "- alert:") {
			t.Errorf("%s has a rule: those are in examples/monitoring", name)
		}
	}
}

var link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// plain is the text of Markdown. Commands are code there, and in quotes in a rule.
func plain(row string) string {
	row = link.ReplaceAllString(row, "$1")
	row = regexp.MustCompile("`([a-z]+ [^`]*)`").ReplaceAllString(row, `"$1"`)
	return strings.ReplaceAll(row, "`", "")
}

// Who is woken by an alert learns what it means and what to do first.
func TestAlertsSayWhatToDo(t *testing.T) {
	const repository = "https://github.com/caddyjwt/gateway/blob/HEAD/"
	seen := make(map[string]bool)
	for _, alert := range monitortest.Alerts(t, root) {
		if seen[alert.Name] {
			t.Errorf("%s is there twice", alert.Name)
		}
		seen[alert.Name] = true
		if severity := alert.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", alert.Name, severity)
		}
		for _, name := range []string{"summary", "description", "runbook"} {
			if text := alert.Annotations[name]; !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s is %q, want sentences", alert.Name, name, text)
			}
		}
		page, local := strings.CutPrefix(alert.Annotations["runbook_url"], repository)
		page, heading, _ := strings.Cut(page, "#")
		text, err := os.ReadFile(root + "/" + page)
		if !local || err != nil || !strings.Contains(strings.ToLower(string(text)), "\n## "+heading+"\n") {
			t.Errorf("%s: runbook_url %q leads nowhere: %v", alert.Name, alert.Annotations["runbook_url"], err)
		}
	}
}

// Every reason that is trouble makes one critical alert fire, but for what strangers can cause.
func TestEveryTroubleHasOneAlert(t *testing.T) {
	pattern := regexp.MustCompile(`caddy_bearer_auth_requests_total\{reason=~?"([^"]*)"\}`)
	for _, reason := range gate.Reasons() {
		var alerts []string
		for _, alert := range monitortest.Alerts(t, root) {
			for _, found := range pattern.FindAllStringSubmatch(alert.Expr, -1) {
				if alert.Labels["severity"] == "critical" && regexp.MustCompile("^(?:"+found[1]+")$").MatchString(string(reason)) {
					alerts = append(alerts, alert.Name)
				}
			}
		}
		want := 0
		if reason.IsTrouble() && reason != gate.Overloaded {
			want = 1
		}
		if len(alerts) != want {
			t.Errorf("%s makes %q fire, want %d critical alerts", reason, alerts, want)
		}
	}
	panels := 0
	for _, query := range monitortest.ReadDashboard(t, root).Queries() {
		_, pattern, found := strings.Cut(query.Expr, `,reason=~"`)
		if !found {
			continue
		}
		panels++
		pattern, _, _ = strings.Cut(pattern, `"`)
		for _, reason := range gate.Reasons() {
			shown := regexp.MustCompile("^(?:" + pattern + ")$").MatchString(string(reason))
			if shown != (reason.IsTrouble() && reason != gate.Overloaded) {
				t.Errorf("%s: %s is shown: %t", query.Where, reason, shown)
			}
		}
	}
	if panels == 0 {
		t.Error("no panel shows the refusals for a fault on our side")
	}
}

// promtool runs bearer_auth.rules.test.yml. There, every alert fires once, and is silent once.
func TestEveryAlertIsTestedBothWays(t *testing.T) {
	var file struct {
		Tests []struct {
			Exprs []struct {
				Expr    string
				Samples []any `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	monitortest.ReadYAML(t, root, "bearer_auth.rules.test.yml", &file)
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range file.Tests {
		for _, expr := range test.Exprs {
			if len(expr.Samples) > 0 {
				fires[expr.Expr] = true
			} else {
				silent[expr.Expr] = true
			}
		}
	}
	for _, alert := range monitortest.Alerts(t, root) {
		expr := `ALERTS{alertname="` + alert.Name + `", alertstate="firing"}`
		if !fires[expr] || !silent[expr] {
			t.Errorf("%s fires in a test: %t, and is silent in one: %t", alert.Name, fires[expr], silent[expr])
		}
		delete(fires, expr)
		delete(silent, expr)
	}
	for expr := range fires {
		t.Errorf("%s is no alert of the rules file", expr)
	}
	for expr := range silent {
		t.Errorf("%s is no alert of the rules file", expr)
	}
}
