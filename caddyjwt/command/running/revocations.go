package running

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
)

const revocationsPath = "/bearer_auth/revocations"

// defaultLimit is how many revocations are listed.
const defaultLimit = 1000

// listOptions are the flags of the command "revocations".
type listOptions struct {
	admin adminFlags
	limit int
	json  bool
}

// RevocationsCommand is the command "revocations".
func RevocationsCommand(read Reader) *cobra.Command {
	o := listOptions{admin: adminFlags{read: read}}
	cmd := &cobra.Command{
		Use:   "revocations",
		Short: "Lists what the running Caddy has revoked",
		Long: `
Asks the running Caddy which tokens it refuses although they have not expired, and prints a table, in the order in which
they were revoked. An entry goes when all its tokens have expired. If no Caddy answers where --config says, the command
opens the store of that configuration itself.`,
		Example: `  caddy bearer-auth revocations
  caddy bearer-auth revocations --json | jq -r '.entries[] | select(.by == "sub") | .value'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.admin.addTo(cmd)
	flags := cmd.Flags()
	flags.IntVar(&o.limit, "limit", defaultLimit, "How many to list, at most 100000")
	flags.BoolVar(&o.json, "json", false, "Print the JSON of the admin API")
	return cmd
}

func (o *listOptions) run(cmd *cobra.Command) error {
	text, err := o.admin.ask(cmd, http.MethodGet, revocationsPath+"?limit="+strconv.Itoa(o.limit), nil)
	if err != nil {
		return err
	}
	if o.json {
		return endpoint.PrintJSON(cmd.OutOrStdout(), text)
	}
	var list revocations.Listing
	if err := endpoint.Read(text, &list); err != nil {
		return err
	}
	return printList(cmd.OutOrStdout(), &list)
}

// printList prints a table with a line for each revocation.
func printList(to io.Writer, list *revocations.Listing) error {
	const head = "WHOSE\tWHICH\tISSUED UNTIL\tKEPT UNTIL\tAUTHOR\tREASON"
	return printTable(to, head, len(list.Entries), list.Total, "revocation", func(i int) string {
		s := &list.Entries[i]
		return row(whoseCell(s), whichCell(s), untilCell(s), s.Expires.Format(time.RFC3339), s.Author, s.Reason)
	})
}

func whoseCell(s *revocations.Shown) string {
	if s.Consumer != "" {
		return "consumer " + s.Consumer
	}
	return s.Issuer
}

func whichCell(s *revocations.Shown) string {
	switch s.By {
	case "all":
		return "all"
	case "claim":
		return s.Claim + " " + s.Value
	default:
		return s.By + " " + s.Value
	}
}

func untilCell(s *revocations.Shown) string {
	if s.NotAfter == nil {
		return ""
	}
	return s.NotAfter.Format(time.RFC3339)
}
