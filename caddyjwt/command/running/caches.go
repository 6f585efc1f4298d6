package running

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/operator"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// CacheCommand is the command "cache".
func CacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache list|flush",
		Short: "Shows what the running Caddy remembers about tokens, and has it forget that",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(cacheListCommand(), cacheFlushCommand())
	return cmd
}

func cacheListCommand() *cobra.Command {
	var o asking
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the caches",
		Long: `
Asks the running Caddy how much its caches have: those of verified tokens, and those of the answers of authorization
servers about tokens.`,
		Example: "  caddy bearer-auth cache list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer operator.Caches
			return o.get(cmd, operator.CachesPath, &answer, func(to io.Writer) error { return printCaches(to, &answer) })
		},
	}
	o.addTo(cmd)
	return cmd
}

func cacheFlushCommand() *cobra.Command {
	var o asking
	var order operator.Flush
	cmd := &cobra.Command{
		Use:   "flush",
		Short: "Forgets what is remembered about tokens",
		Long: `
Has the running Caddy forget which tokens it has verified, and what authorization servers have said about tokens. The
next request with each token has its signature verified again, or the server asked again. Do so when tokens were revoked
at a server that is asked, and must be refused before cache_ttl has passed.

Which tokens were revoked at this Caddy is kept: see "caddy bearer-auth revoke".`,
		Example: `  caddy bearer-auth cache flush
  caddy bearer-auth cache flush --cache introspection --issuer https://auth.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkGiven(cmd, "issuer", "cache"); err != nil {
				return err
			}
			var answer operator.Flushed
			return o.ask(cmd, http.MethodPost, operator.FlushPath, &order, &answer, func(to io.Writer) error {
				_, err := fmt.Fprintf(to, "forgotten: %s, %s\n", terminal.Counted(answer.Tokens, "verified token"),
					terminal.Counted(answer.Answers, "answer"))
				return err
			})
		},
	}
	o.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVar(&order.Cache, "cache", "", "\"tokens\" or \"introspection\" (default: both)")
	flags.StringVar(&order.Issuer, "issuer", "", "Issuer about whose tokens answers are forgotten (default: all)")
	return cmd
}

func printCaches(to io.Writer, c *operator.Caches) error {
	const size = "SIZE\tUSED\tTOKENS\tHITS\tMISSES"
	err := printTable(to, size, len(c.Tokens), len(c.Tokens), "token cache", func(i int) string {
		t := &c.Tokens[i]
		return fmt.Sprintf("%d\t%d\t%d\t%d\t%d", t.MaxBytes, t.Bytes, t.Tokens, t.Hits, t.Misses)
	})
	if err != nil {
		return err
	}
	const issuer = "ISSUER\tACTIVE\tINACTIVE\tBYTES\tIN FLIGHT\tBREAKER"
	return printTable(to, issuer, len(c.Introspection), len(c.Introspection), "answer cache", func(i int) string {
		a := &c.Introspection[i]
		return row(a.Issuer, strconv.Itoa(a.Active), strconv.Itoa(a.Inactive), strconv.Itoa(a.Bytes),
			strconv.Itoa(a.InFlight), a.Breaker)
	})
}
