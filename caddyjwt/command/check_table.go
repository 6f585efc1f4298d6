package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/caddyjwt/gateway/internal/diagnose"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// printTable writes the result for people: a table with a line for each issuer, then what is worth saying about each.
func printTable(to io.Writer, c *checked) error {
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	if len(c.Issuers) > 0 {
		fmt.Fprintln(table, "RESULT\tISSUER\tKEYS FROM\tKEYS\tMADE-UP TOKEN\tGATES")
	}
	for i := range c.Issuers {
		r := &c.Issuers[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\n", r.Result, r.Issuer, r.KeysFrom, keysCell(r), answerCell(r), r.Gates)
	}
	_ = table.Flush() // a Buffer takes everything
	for i := range c.Issuers {
		writeDetails(&out, &c.Issuers[i])
	}
	writeCertificates(&out, c.Certificates)
	writeResources(&out, c.Resources)
	if out.Len() > 0 {
		fmt.Fprintln(&out)
	}
	if c.UncheckedTenants > 0 {
		fmt.Fprintf(&out, "%s not checked: only the first ones of each issuer are\n",
			terminal.Counted(c.UncheckedTenants, "tenant"))
	}
	fmt.Fprintf(&out, "%s, %s: %s, %s\n", terminal.Counted(c.Gates, "gate"), terminal.Counted(len(c.Issuers), "issuer"),
		terminal.Counted(c.Problems, "problem"), terminal.Counted(c.Warnings, "warning"))
	_, err := to.Write(out.Bytes())
	return err
}

// keysCell is how many keys can be used, and of how many.
func keysCell(r *diagnose.Report) string {
	used, all := 0, len(r.Keys)
	for _, key := range r.Keys {
		if key.Used {
			used++
		}
	}
	for _, skipped := range r.Skipped {
		all += skipped.Count
	}
	switch {
	case all == 0:
		return "-"
	case used == all:
		return fmt.Sprint(all)
	default:
		return fmt.Sprintf("%d of %d", used, all)
	}
}

func answerCell(r *diagnose.Report) string {
	if r.Introspection == nil {
		return "-"
	}
	return strings.ReplaceAll(r.Introspection.Answer, "_", " ")
}

// mostKeys is how many keys of an issuer are listed. --json has them all.
const mostKeys = 20

func writeDetails(out *bytes.Buffer, r *diagnose.Report) {
	if len(r.Keys) == 0 && len(r.Findings) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", r.Issuer)
	for i, key := range r.Keys {
		if i == mostKeys {
			fmt.Fprintf(out, "  and %s more\n", terminal.Counted(len(r.Keys)-mostKeys, "key"))
			break
		}
		fmt.Fprintf(out, "  key %s: %s for %s", key.Name, key.Type, strings.Join(key.Algorithms, " "))
		if !key.Used {
			fmt.Fprint(out, ", not used")
		}
		fmt.Fprintln(out)
	}
	writeFindings(out, r.Findings)
}

// writeCertificates lists the certificates about which there is something to say.
func writeCertificates(out *bytes.Buffer, certificates []diagnose.Local) {
	for _, local := range certificates {
		if len(local.Findings) > 0 {
			fmt.Fprintf(out, "\n%s\n", local.What)
			writeFindings(out, local.Findings)
		}
	}
}

func writeFindings(out *bytes.Buffer, findings []diagnose.Finding) {
	for _, f := range findings {
		fmt.Fprintf(out, "  %s (%s): %s\n", f.Level, f.Code, f.Text)
		if f.Cure != "" {
			fmt.Fprintf(out, "    %s\n", f.Cure)
		}
	}
}

// progressOn makes a progress for a terminal if there are more issuers than are checked at a time. Otherwise it is nil.
// Other devices, such as /dev/null, count as terminals. That does no harm.
func progressOn(to io.Writer, total int) *diagnose.Progress {
	file, is := to.(*os.File)
	if !is || total <= diagnose.AtOnce {
		return nil
	}
	if stat, err := file.Stat(); err != nil || stat.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &diagnose.Progress{To: to, Total: total}
}
