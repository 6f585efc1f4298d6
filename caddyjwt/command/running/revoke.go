package running

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/paste"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// revokeOptions are the flags of the command.
type revokeOptions struct {
	admin      adminFlags
	order      revocations.Order
	token      string // where it is
	notAfter   string
	all        bool
	undo, json bool
}

// RevokeCommand is the command "revoke".
func RevokeCommand(read Reader) *cobra.Command {
	o := revokeOptions{admin: adminFlags{read: read}}
	cmd := &cobra.Command{
		Use: "revoke --issuer <iss>|--consumer <name> --jti|--sub|--sid|--client-id <value> | --token -|<file> | " +
			"--claim <path> --value <value> | --all",
		Short: "Has the running Caddy refuse tokens that have not expired",
		Long: `
Asks the running Caddy to refuse tokens from now on, although they have not expired. When the command ends with status
0, the revocation is kept in the store, and the next request with such a token is refused.

--issuer or --consumer says whose tokens are meant. One more flag says which of them:

  --jti                the token with this id
  --token              this very token; if it says who issued it, --issuer may be left out
  --sub                all tokens of a user
  --sid                all tokens of a session
  --client-id          all tokens that a client was given
  --claim and --value  all tokens with this value of a claim; "revocation claim" in the issuer names such claims
  --all                all of them; of a consumer, also without this flag

All but the first two mean the tokens that were issued until --not-after, which is now by default. Tokens that are
issued later pass. --dry-run only says how many tokens and responses it would hit. --undo takes a revocation back: give
the flags with which it was made.

The token itself is never an argument: other users of the machine can see arguments, and the shell keeps them in its
history. --token names a file, or "-" for standard input.

The Caddy is asked at its admin endpoint, as by "caddy reload": at --address, or where --config says, or at the default
address. Its configuration needs a store: the global option "bearer_auth { store file }".

If no Caddy answers where --config says, the command opens the store of that configuration itself, with the same checks.
It needs the files and environment variables of the configuration, and the rights to the store.`,
		Example: `  caddy bearer-auth revoke --issuer https://auth.example.com --sub alice --reason "laptop stolen"
  pbpaste | caddy bearer-auth revoke --token -
  caddy bearer-auth revoke --consumer partner --dry-run
  caddy bearer-auth revoke --issuer https://auth.example.com --sub alice --undo`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // it may be a token, so it is not repeated
				return errors.New("revoke takes flags only; a token is read from standard input with \"--token -\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.admin.addTo(cmd)
	o.addTo(cmd)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return withoutToken(err) })
	return cmd
}

// withoutToken is an error of the flags that repeats no token.
func withoutToken(err error) error {
	if terminal.MayHoldToken(err) {
		return errors.New("a flag is unknown, or has a value that it cannot have")
	}
	return err
}

func (o *revokeOptions) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.order.Issuer, "issuer", "", "Issuer of the tokens, as they name it")
	flags.StringVar(&o.order.Consumer, "consumer", "", "Username of the consumer whose tokens are meant")
	flags.StringVar(&o.order.ID, "jti", "", "The token with this id")
	flags.StringVar(&o.order.Subject, "sub", "", "All tokens of this user")
	flags.StringVar(&o.order.Session, "sid", "", "All tokens of this session")
	flags.StringVar(&o.order.Client, "client-id", "", "All tokens of this client")
	flags.StringVar(&o.order.Claim, "claim", "", "All tokens with --value in this claim, which is a path")
	flags.StringVar(&o.order.Value, "value", "", "The value of --claim")
	flags.BoolVar(&o.all, "all", false, "All tokens of the issuer or consumer")
	flags.StringVar(&o.token, "token", "", "File with the token, or \"-\" for standard input; never the token itself")
	flags.StringVar(&o.notAfter, "not-after", "", "Until when they were issued, as 2026-01-31T12:00:00Z (default: now)")
	flags.StringVar(&o.order.Reason, "reason", "", "Why, for the log and the list")
	flags.StringVar(&o.order.Author, "author", loginName(), "Who says so, for the log and the list")
	flags.BoolVar(&o.order.DryRun, "dry-run", false, "Revoke nothing, and say what it would hit")
	flags.BoolVar(&o.undo, "undo", false, "Take a revocation back")
	flags.BoolVar(&o.json, "json", false, "Print the JSON of the admin API")
}

// loginName is the name of the user who runs the command, or of the one who runs it by sudo.
func loginName() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if me, err := user.Current(); err == nil {
		return me.Username
	}
	return ""
}

func (o *revokeOptions) run(cmd *cobra.Command) error {
	if err := o.complete(cmd); err != nil {
		return err
	}
	body, err := json.Marshal(&o.order)
	if err != nil {
		return err
	}
	method := http.MethodPost
	if o.undo {
		method = http.MethodDelete
	}
	text, err := o.admin.ask(cmd, method, revocationsPath, body)
	if err != nil {
		return err
	}
	if o.json {
		return endpoint.PrintJSON(cmd.OutOrStdout(), text)
	}
	var answer revocations.Answer
	if err := endpoint.Read(text, &answer); err != nil {
		return err
	}
	_, err = io.WriteString(cmd.OutOrStdout(), describe(&answer))
	return err
}

// narrowing are the flags that select tokens. An empty one is a mistake, such as a variable that is not set: without
// it, the order would mean all tokens.
var narrowing = []string{"issuer", "consumer", "jti", "sub", "sid", "client-id", "claim", "value", "token", "not-after"}

// complete checks the flags, and reads what they only name.
func (o *revokeOptions) complete(cmd *cobra.Command) error {
	if err := checkGiven(cmd, narrowing...); err != nil {
		return err
	}
	if o.notAfter != "" {
		notAfter, err := time.Parse(time.RFC3339, o.notAfter)
		if err != nil {
			return fmt.Errorf("--not-after: expected a time such as %s, or with a zone", time.RFC3339[:19]+"Z")
		}
		o.order.NotAfter = &notAfter
	}
	if err := o.checkAll(); err != nil {
		return err
	}
	if o.token == "" {
		return nil
	}
	token, err := readToken(cmd.InOrStdin(), o.token)
	o.order.Token = token
	return err
}

// checkAll has whoever means all tokens of an issuer say so: with a forgotten --sub, everybody would be signed out.
func (o *revokeOptions) checkAll() error {
	narrow := o.token != ""
	for _, value := range []string{
		o.order.ID, o.order.Subject, o.order.Session, o.order.Client, o.order.Claim, o.order.Value,
	} {
		narrow = narrow || value != ""
	}
	switch {
	case o.all && narrow:
		return errors.New("--all means all tokens, and another flag some of them: leave one of the two out")
	case !o.all && !narrow && o.order.Issuer != "":
		return errors.New("this would mean all tokens of the issuer, and sign out everybody: name a --sub, --sid, --jti, " +
			"--client-id, --claim or --token, or write --all if it is meant")
	}
	return nil
}

// errTokenItself does not repeat what was given: it may be a token.
var errTokenItself = errors.New("--token takes \"-\" for standard input, or the name of a file that can be read. It " +
	"never takes the token itself: other users of the machine see arguments, and the shell keeps them in its history")

// readToken reads a token from a file, or from standard input. It may be a header line or a curl command, too.
func readToken(stdin io.Reader, from string) (string, error) {
	if from != "-" {
		file, err := os.Open(from)
		if err != nil {
			return "", errTokenItself
		}
		defer file.Close()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, paste.MaxInput+1))
	if err != nil {
		return "", errors.New("--token: what it names cannot be read")
	}
	in, err := paste.Read(string(text))
	if err != nil {
		return "", fmt.Errorf("--token: %w", err)
	}
	if in.Token == "" {
		in.Token = bearerTokenOf(in.Request)
	}
	if in.Token == "" {
		return "", errors.New("--token: this is a request without \"Authorization: Bearer\": give the token alone")
	}
	return in.Token, nil
}

// bearerTokenOf is the token in the Authorization field of a request; "" if there is none.
func bearerTokenOf(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
