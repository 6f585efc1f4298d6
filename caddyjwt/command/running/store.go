package running

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// storeOptions are the flags of the commands "store init" and "store status".
type storeOptions struct {
	admin adminFlags
	json  bool
}

// StoreCommand is the command "store".
func StoreCommand(read Reader) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store init|status",
		Short: "Initialises the store of revoked tokens, and says how it is",
		Long: `
Is about the store that the global option bearer_auth of a configuration names. With --address, or without a flag, the
Caddy that runs is asked at its admin endpoint. With --config, the command opens the store of that configuration itself,
whether a Caddy runs or not; it needs the files and environment variables of the configuration.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		storeCommand(read, "init", "Initialises a store that several Caddys share", `
Gives a store that several Caddys share its beginning, unless it has one. Do so once, before the first Caddy starts or
after that: until then no Caddy believes that the store has all revocations, and tokens get 503. Do it again only when
the server was emptied, and you know why: the Caddys that run write back what they know, and what no Caddy knows any
more is not revoked any more.`, (*storeOptions).init),
		storeCommand(read, "status", "Says how the store is", `
Says which store there is, whether it is known now which tokens are revoked, and if not, why.`, (*storeOptions).status))
	return cmd
}

func storeCommand(read Reader, name, short, long string, run func(*storeOptions, *cobra.Command) error) *cobra.Command {
	o := &storeOptions{admin: adminFlags{read: read}}
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long,
		Example: "  caddy bearer-auth store " + name + "\n" +
			"  caddy bearer-auth store " + name + " --config /etc/caddy/Caddyfile",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(o, cmd) },
	}
	o.admin.addTo(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "Print the JSON of the admin API")
	return cmd
}

// ask asks the Caddy at an address, or the store of a configuration.
func (o *storeOptions) ask(cmd *cobra.Command, method, path string) ([]byte, error) {
	if o.admin.Address != "" && o.admin.Config != "" {
		return nil, errors.New("--address asks the Caddy that runs, and --config opens the store itself: leave one out")
	}
	if o.admin.Config == "" {
		return o.admin.ask(cmd, method, path, nil)
	}
	config, err := o.admin.Load()
	if err != nil {
		return nil, err
	}
	return o.admin.openStore(cmd, config, method, path, nil)
}

func (o *storeOptions) init(cmd *cobra.Command) error {
	text, err := o.ask(cmd, http.MethodPost, "/bearer_auth/store/init")
	if err != nil {
		return err
	}
	var answer revocations.Initialised
	return o.print(cmd.OutOrStdout(), text, &answer, func() string {
		if answer.Made {
			return "the store is initialised\n"
		}
		return "the store was initialised before: nothing has changed\n"
	})
}

func (o *storeOptions) status(cmd *cobra.Command) error {
	text, err := o.ask(cmd, http.MethodGet, "/bearer_auth/store")
	if err != nil {
		return err
	}
	var answer revocations.Status
	return o.print(cmd.OutOrStdout(), text, &answer, func() string { return describeStatus(&answer) })
}

// print prints an answer as JSON, or as a text that is made after answer was read.
func (o *storeOptions) print(to io.Writer, text []byte, answer any, describe func() string) error {
	if o.json {
		return endpoint.PrintJSON(to, text)
	}
	if err := endpoint.Read(text, answer); err != nil {
		return err
	}
	_, err := io.WriteString(to, describe())
	return err
}

// describeStatus says in a few lines how a store is.
func describeStatus(s *revocations.Status) string {
	var b strings.Builder
	shared := "used by one Caddy"
	if s.Shared {
		shared = "shared by several Caddys"
	}
	fmt.Fprintf(&b, "store %s, %s\n", terminal.Printable(s.Store), shared)
	fmt.Fprintln(&b, terminal.Counted(s.Revocations, "revocation"))
	switch {
	case s.InSync:
		b.WriteString("in sync\n")
	case s.SyncedAt == nil:
		fmt.Fprintf(&b, "not in sync, and never was: %s\n", terminal.Printable(s.Trouble))
	default:
		fmt.Fprintf(&b, "not in sync since %s: %s\n", s.SyncedAt.Format(time.RFC3339), terminal.Printable(s.Trouble))
	}
	return b.String()
}
