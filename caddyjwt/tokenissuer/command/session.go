package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// sessionOptions are the flags of "session list" and "session end".
type sessionOptions struct {
	asking
	sid, user, app string
}

func sessionCommand() *cobra.Command {
	return group("session list|end", "Lists and ends sessions", `
Lists and ends sessions of users. A session begins when a user signs in.`, sessionListCommand(), sessionEndCommand())
}

func (o *sessionOptions) addTo(cmd *cobra.Command) {
	o.asking.addTo(cmd)
	cmd.Flags().StringVar(&o.user, "user", "", "Name of the user")
	cmd.Flags().StringVar(&o.app, "app", "", "Path of an application (default: all applications)")
}

func sessionListCommand() *cobra.Command {
	o := new(sessionOptions)
	cmd := &cobra.Command{
		Use:   "list [--user <name>] [--app <path>]",
		Short: "Lists sessions: all, or those of a user",
		Long: `
Lists the sessions that are alive, and changes nothing. ENDS is when a session ends if it is not refreshed. Without a
user, it lists those of all users; sessions that begin meanwhile may be missing.`,
		Example: `  caddy token-issuer session list
  caddy token-issuer session list --user alice --json | jq -r '.sessions[].sid'`,
		Args: takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.list(cmd) },
	}
	o.addTo(cmd)
	return cmd
}

func (o *sessionOptions) list(cmd *cobra.Command) error {
	if err := notEmpty(cmd, "user", "app"); err != nil {
		return err
	}
	all, err := o.all()
	if err != nil {
		return err
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return o.print(cmd, text, all, func() string { return describeSessions(all) })
}

// all asks for one part after the other, and sorts the sessions.
func (o *sessionOptions) all() (*orders.Sessions, error) {
	all := &orders.Sessions{Sessions: []orders.Session{}}
	for part, more := 0, true; more; {
		path := query(orders.SessionsPath, "issuer", o.issuer, "user", o.user, "app", o.app)
		if part > 0 {
			path = query(orders.SessionsPath, "issuer", o.issuer, "app", o.app, "part", strconv.Itoa(part))
		}
		text, err := o.ask(http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		var answer orders.Sessions
		if err := endpoint.Read(text, &answer); err != nil {
			return nil, err
		}
		all.Issuer, all.Sessions = answer.Issuer, append(all.Sessions, answer.Sessions...)
		all.Unreadable += answer.Unreadable
		part, more = answer.Next, answer.Next > part
	}
	slices.SortStableFunc(all.Sessions, func(a, b orders.Session) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.App, b.App), a.Created.Compare(b.Created))
	})
	return all, nil
}

func describeSessions(all *orders.Sessions) string {
	count := terminal.Counted(len(all.Sessions), "session") + "\n"
	if all.Unreadable > 0 {
		count += fmt.Sprintf("sessions of %s cannot be read in the store: they are damaged, or of another version\n",
			terminal.Counted(all.Unreadable, "user"))
	}
	if len(all.Sessions) == 0 {
		return count
	}
	rows := [][]string{{"USER", "SID", "APP", "CREATED", "REFRESHED", "ENDS"}}
	for _, s := range all.Sessions {
		rows = append(rows, []string{s.Subject, s.SID, s.App, when(s.Created), when(s.Refreshed), when(s.Ends)})
	}
	return table(rows) + count
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func sessionEndCommand() *cobra.Command {
	o := new(sessionOptions)
	cmd := &cobra.Command{
		Use:   "end --sid <sid> | --user <name> [--app <path>]",
		Short: "Ends one session, or all of a user",
		Long: `
Ends one session, or all sessions of a user, as a logout does: the refresh token is dead, and access tokens are refused
at once. When the command ends with status 0, that is so at this Caddy, and at others with the same store within a
second. The user can sign in again. To end what has ended is no error.`,
		Example: `  caddy token-issuer session end --user alice
  caddy token-issuer session end --sid 1Zb0Lk5tQ8hVY3mXo2eRj7Wc`,
		Args: takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.end(cmd) },
	}
	o.addTo(cmd)
	cmd.Flags().StringVar(&o.sid, "sid", "", "The session with this id, as \"session list\" and the claim sid have it")
	return cmd
}

func (o *sessionOptions) end(cmd *cobra.Command) error {
	if err := notEmpty(cmd, "sid", "user", "app"); err != nil {
		return err
	}
	switch {
	case o.sid == "" && o.user == "":
		return errors.New("whose sessions are to end? Name a --sid or a --user")
	case o.sid != "" && (o.user != "" || o.app != ""):
		return errors.New("--sid means one session: leave --user and --app out")
	}
	body, err := json.Marshal(&orders.End{Issuer: o.issuer, SID: o.sid, User: o.user, App: o.app})
	if err != nil {
		return err
	}
	text, err := o.ask(http.MethodDelete, orders.SessionsPath, body)
	if err != nil {
		return err
	}
	var answer orders.Ended
	return o.print(cmd, text, &answer, func() string {
		switch answer.Ended {
		case 0:
			return "no session was alive\n"
		case 1:
			return "1 session has ended\n"
		}
		return terminal.Counted(answer.Ended, "session") + " have ended\n"
	})
}
