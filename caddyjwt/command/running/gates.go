package running

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/operator"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// GatesCommand is the command "gates".
func GatesCommand() *cobra.Command {
	var o asking
	cmd := &cobra.Command{
		Use:   "gates",
		Short: "Lists the gates of the running Caddy",
		Long: `
Asks the running Caddy which gates it has: the number and the name of each, by which "explain" finds it, the label that
it has in metrics, and the routes that lead to it.`,
		Example: "  caddy bearer-auth gates",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer operator.Gates
			return o.get(cmd, operator.GatesPath, &answer, func(to io.Writer) error {
				const head = "GATE\tSERVER\tHOSTS\tPATHS\tMATCHERS"
				return printTable(to, head, len(answer.Gates), len(answer.Gates), "gate", func(i int) string {
					g := &answer.Gates[i]
					return row(
						g.Label, g.Server, terminal.Some(g.Hosts), terminal.Some(g.Paths), terminal.Some(g.Matchers),
					)
				})
			})
		},
	}
	o.addTo(cmd)
	return cmd
}

// consumersOptions are the flags of the command "consumers".
type consumersOptions struct {
	asking
	username string
	limit    int
}

// ConsumersCommand is the command "consumers".
func ConsumersCommand() *cobra.Command {
	var o consumersOptions
	cmd := &cobra.Command{
		Use:   "consumers",
		Short: "Lists the consumers that the running Caddy knows",
		Long: `
Asks the running Caddy which consumers its gates know, from the configuration and from files, with their groups and the
keys by which tokens name their credentials. No secret is shown.`,
		Example: `  caddy bearer-auth consumers
  caddy bearer-auth consumers --username alice --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addTo(cmd)
	cmd.Flags().StringVar(&o.username, "username", "", "Only the consumer with this username")
	cmd.Flags().IntVar(&o.limit, "limit", defaultLimit, "How many to list, at most 100000")
	return cmd
}

func (o *consumersOptions) run(cmd *cobra.Command) error {
	if err := checkGiven(cmd, "username"); err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(o.limit)}}
	if o.username != "" {
		query.Set("username", o.username)
	}
	var answer operator.Consumers
	return o.get(cmd, operator.ConsumersPath+"?"+query.Encode(), &answer, func(to io.Writer) error {
		for i := range answer.Lists {
			if err := printConsumers(to, &answer.Lists[i]); err != nil {
				return err
			}
		}
		if len(answer.Lists) == 0 {
			_, err := io.WriteString(to, "no gate has consumers\n")
			return err
		}
		return nil
	})
}

func printConsumers(to io.Writer, list *operator.ConsumerList) error {
	from := "the configuration"
	if list.File != "" {
		from = list.File
	}
	var gates []string
	for _, g := range list.Gates {
		gates = append(gates, g.Gate)
	}
	fmt.Fprintf(to, "from %s, known at gate %s\n", terminal.Printable(from), terminal.Printable(terminal.Some(gates)))
	if list.LastError != "" {
		fmt.Fprintf(to, "the file cannot be used as it is now: %s\n", terminal.Printable(list.LastError))
	}
	const head = "USERNAME\tCUSTOM ID\tGROUPS\tCREDENTIALS"
	return printTable(to, head, len(list.Consumers), list.Total, "consumer", func(i int) string {
		c := &list.Consumers[i]
		var keys []string
		for _, credential := range c.Credentials {
			keys = append(keys, credential.Key+" ("+credential.Algorithm+")")
		}
		return row(
			c.Username, c.CustomID, strings.Join(c.Groups, " "), terminal.Some(keys),
		)
	})
}
