package command

import (
	"bytes"
	"fmt"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/diagnose"
	"github.com/caddyjwt/gateway/internal/resource"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// resourceReport is whether clients can get the metadata of a resource.
type resourceReport struct {
	Resource string             `json:"resource"`
	Metadata string             `json:"metadata"` // the address of its metadata
	Gates    int                `json:"gates"`    // how many gates have this resource
	Server   string             `json:"server,omitempty"`
	Result   diagnose.Level     `json:"result"`
	Findings []diagnose.Finding `json:"findings"`
}

// checkResources looks at the routes of a configuration that loads. It sends no requests: the site need not run.
func checkResources(config []byte, handlers []*caddyjwt.Handler) ([]resourceReport, error) {
	var guarded []resource.Identifier
	gates := make(map[resource.Identifier]int)
	for _, h := range handlers {
		if h.Resource == nil {
			continue
		}
		text, _, err := words.NewSettings().Text("resource", h.Resource.URL)
		if err != nil {
			return nil, err
		}
		id, err := resource.Parse(text)
		if err != nil {
			return nil, err
		}
		if gates[id]++; gates[id] == 1 {
			guarded = append(guarded, id)
		}
	}
	found, err := protected.ServedIn(config, guarded)
	reports := []resourceReport{}
	for _, served := range found {
		report := resourceReport{
			Resource: served.Resource.String(), Metadata: served.Resource.MetadataURL(), Gates: gates[served.Resource],
			Server: served.Server, Result: diagnose.OK, Findings: []diagnose.Finding{},
		}
		if served.Server == "" {
			report.Result = diagnose.Warning
			report.Findings = append(report.Findings, notServed(served))
		}
		reports = append(reports, report)
	}
	return reports, err
}

func notServed(s protected.Served) diagnose.Finding {
	text := "nothing serves the metadata of this resource, so clients cannot find out where to get a token"
	if s.By != "" {
		text += "; the handler " + s.By + " answers such requests"
	}
	return diagnose.Finding{
		Level: diagnose.Warning, Code: diagnose.MetadataNotServed, Text: terminal.Printable(text),
		Cure: fmt.Sprintf("write \"protected_resource %s\" directly in the site, beside handle and route", s.Resource),
	}
}

// writeResources lists the resources, and where clients find their metadata.
func writeResources(out *bytes.Buffer, resources []resourceReport) {
	for _, r := range resources {
		fmt.Fprintf(out, "\nresource %s\n", r.Resource)
		if r.Server != "" {
			fmt.Fprintf(out, "  metadata %s, served by %s\n", r.Metadata, terminal.Printable(r.Server))
		}
		writeFindings(out, r.Findings)
	}
}
