package running

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/operator"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// KeysCommand is the command "keys".
func KeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys list|refresh",
		Short: "Shows the keys of issuers that the running Caddy has, and has it fetch them now",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(keysListCommand(), keysRefreshCommand())
	return cmd
}

func keysListCommand() *cobra.Command {
	var o asking
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the key sources in use",
		Long: `
Asks the running Caddy which keys it has from servers and files, how old they are, when they are fetched next, and why
they could not be read. Keys in the configuration itself are not listed.`,
		Example: "  caddy bearer-auth keys list\n  caddy bearer-auth keys list --address unix//run/caddy/admin.sock --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer operator.Keys
			return o.get(cmd, operator.KeysPath, &answer, func(to io.Writer) error { return printKeys(to, answer.Sources) })
		},
	}
	o.addTo(cmd)
	return cmd
}

// errRefresh says that some keys were not fetched. The table has said which.
var errRefresh = errors.New("not all keys were fetched")

func keysRefreshCommand() *cobra.Command {
	var o asking
	var order operator.Refresh
	cmd := &cobra.Command{
		Use:   "refresh",
		Short: "Fetches keys now",
		Long: `
Has the running Caddy fetch the keys of all issuers, or of one, and waits for the end. Tokens of a key that is gone are
refused from then on. Do so when a key has been replaced in a hurry: Caddy would notice in its next fetch. It asks each
server once, whatever that has said about waiting.

The status is 1 if keys could not be fetched. What Caddy had before stays in use then.`,
		Example: "  caddy bearer-auth keys refresh\n  caddy bearer-auth keys refresh --issuer https://auth.example.com",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkGiven(cmd, "issuer"); err != nil {
				return err
			}
			var answer operator.Refreshed
			err := o.ask(cmd, http.MethodPost, operator.RefreshPath, &order, &answer,
				func(to io.Writer) error { return printRefreshed(to, answer.Sources) })
			if err == nil && !answer.Complete() {
				cmd.SilenceUsage = true
				return errRefresh
			}
			return err
		},
	}
	o.addTo(cmd)
	cmd.Flags().StringVar(&order.Issuer, "issuer", "", "Issuer whose keys to fetch (default: all)")
	return cmd
}

// printKeys prints a table with a line for each source.
func printKeys(to io.Writer, sources []operator.Source) error {
	const head = "ISSUERS\tKIND\tKEYS\tAGE\tNEXT FETCH\tTROUBLE"
	return printTable(to, head, len(sources), len(sources), "key source", func(i int) string {
		s := &sources[i]
		var age, next string
		if s.Age != nil {
			age = (time.Duration(*s.Age) * time.Second).String()
		}
		if s.NextFetch != nil {
			next = s.NextFetch.Format(time.RFC3339)
		}
		return row(
			strings.Join(s.Issuers, " "), s.Kind, keyNames(s), age, next, s.LastError,
		)
	})
}

// keyNames are the key ids, or the number of keys where each tenant has its own.
func keyNames(s *operator.Source) string {
	if len(s.KeyIDs) == 0 && s.Keys > 0 {
		return terminal.Counted(s.Keys, "key")
	}
	return strings.Join(s.KeyIDs, " ")
}

func printRefreshed(to io.Writer, sources []operator.RefreshedSource) error {
	const head = "ISSUERS\tRESULT\tKEYS\tADDED\tREMOVED\tTROUBLE"
	return printTable(to, head, len(sources), len(sources), "key source", func(i int) string {
		s := &sources[i]
		return row(
			strings.Join(s.Issuers, " "), s.Result, keyNames(&s.Source), strings.Join(s.Added, " "),
			strings.Join(s.Removed, " "), s.Error,
		)
	})
}
