package command

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// What the two verbs do, in one sentence each.
const (
	rotates = "Another key signs from now on, and no token is refused."
	resets  = "All keys are thrown away, so all tokens are refused at once, and all users must sign in again."
)

func keysCommand() *cobra.Command {
	return group("keys list|rotate|reset", "Lists and changes the keys that sign", `
Is about the keys that sign access tokens.

  list    Shows the keys, and changes nothing.
  rotate  `+rotates+`
  reset   `+resets,
		keysListCommand(), keysRotateCommand(), keysResetCommand())
}

// keysOptions are the flags of the commands about keys.
type keysOptions struct {
	asking
	yes bool
}

func keysListCommand() *cobra.Command {
	o := new(keysOptions)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Shows the keys",
		Long: `
Shows the keys that verify access tokens, and changes nothing: the one that signs, the one that signs next, which is
published already, and former ones, which verify until their last token has expired.`,
		Example: `  caddy token-issuer keys list`,
		Args:    takesFlagsOnly,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.list(cmd) },
	}
	o.addTo(cmd)
	return cmd
}

func keysRotateCommand() *cobra.Command {
	o := new(keysOptions)
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: rotates,
		Long: "\n" + rotates + `

The next key signs, the one until now verifies until its last token has expired, and a new next key is published. That
happens every 30 days by itself. Two rotations shortly after each other leave other verifiers no time to fetch the key.

If a key has leaked, this is not enough: use "reset".`,
		Example: `  caddy token-issuer keys rotate`,
		Args:    takesFlagsOnly,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.change(cmd, orders.Rotate) },
	}
	o.addTo(cmd)
	return cmd
}

func keysResetCommand() *cobra.Command {
	o := new(keysOptions)
	cmd := &cobra.Command{
		Use:   "reset",
		Short: resets,
		Long: "\n" + resets + `

Use it when a key has leaked. When the command ends with status 0, that is so at this Caddy, and at others with the same
storage and store within a second. Other verifiers refuse the tokens when they fetch the keys the next time.

On a terminal it asks first. Elsewhere it needs --yes.

To change the key without signing out anybody, use "rotate".`,
		Example: `  caddy token-issuer keys reset
  caddy token-issuer keys reset --issuer https://api.example.com --yes`,
		Args: takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.change(cmd, orders.Reset) },
	}
	o.addTo(cmd)
	cmd.Flags().BoolVar(&o.yes, "yes", false, "Do not ask: all users are to be signed out")
	return cmd
}

func (o *keysOptions) list(cmd *cobra.Command) error {
	if err := notEmpty(cmd); err != nil {
		return err
	}
	text, err := o.ask(http.MethodGet, query(orders.KeysPath, "issuer", o.issuer), nil)
	if err != nil {
		return err
	}
	var answer orders.Keys
	return o.print(cmd, text, &answer, func() string { return describeKeys(answer.Keys) })
}

func (o *keysOptions) change(cmd *cobra.Command, action orders.Action) error {
	if err := notEmpty(cmd); err != nil {
		return err
	}
	issuer, err := o.named()
	if err != nil {
		return err
	}
	if action == orders.Reset && !o.yes {
		if err := confirm(cmd, issuer); err != nil {
			return err
		}
	}
	body, err := json.Marshal(&orders.Change{Issuer: issuer, Action: action})
	if err != nil {
		return err
	}
	text, err := o.ask(http.MethodPost, orders.KeysPath, body)
	if err != nil {
		return err
	}
	var answer orders.Keys
	return o.print(cmd, text, &answer, func() string {
		done := "rotated: another key signs, and no token is refused\n"
		if action == orders.Reset {
			done = "reset: all tokens are refused, and all users must sign in again\n"
		}
		return done + describeKeys(answer.Keys)
	})
}

// confirm asks on a terminal whether all users are to be signed out.
func confirm(cmd *cobra.Command, issuer string) error {
	if _, is := terminalOf(cmd.InOrStdin()); !is {
		return errors.New("this would sign out everybody: write --yes if it is meant. \"rotate\" changes the key without " +
			"that")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Issuer %s. %s\n\"rotate\" would change the key without that. "+
		"Write reset to go on: ", strconv.Quote(issuer), resets)
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != string(orders.Reset) {
		return errors.New("nothing has changed")
	}
	return nil
}

func describeKeys(keys []orders.Key) string {
	rows := [][]string{{"KID", "ALGORITHM", "STATE", "SINCE", "UNTIL"}}
	for _, key := range keys {
		rows = append(rows, []string{key.KeyID, key.Algorithm, key.State, when(key.Since), when(key.Until)})
	}
	return table(rows) + terminal.Counted(len(keys), "key") + "\n"
}
