package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/internal/paste"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// The exit statuses of explain. They are part of its documentation.
const (
	exitRefused   = 1
	exitMistake   = 2
	exitUndecided = 3
)

// fetchTimeout bounds what a gate waits for servers, with --fetch.
const fetchTimeout = 30 * time.Second

// explainOptions are the flags of the command.
type explainOptions struct {
	config      configFile
	site, route string
	fetch, json bool
}

func explainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain --config <file> [--site <host>] [--route <path or number>] [--fetch] [--json] <token>|-",
		Short: "Says why the configured gate refuses a token",
		Long: `
Applies the rules of a bearer_auth handler in the config file to a token, one by one, and prints for each what the
token has and what the gate expects. It goes on after the first rule that fails. At the end it says what the client
would see, what the backend would get, and which line of the configuration would change the answer.

The input is an argument, or standard input for "-":

  - a token;
  - a header line, such as "Authorization: Bearer eyJ..." or "Cookie: session=eyJ...";
  - a curl command, as one text, or as words after "--";
  - an HTTP request;
  - the JSON answer of a token endpoint.

A token alone is tried in the first place of token_from. The command never prints the token or its signature. It does
print claims.

Other users of the machine can see arguments, and the shell keeps them in its history. For tokens that matter, use
standard input.

Without --fetch it uses no network. Keys in the configuration or in files verify the signature. Rules that need a
server are "not checked". With --fetch it fetches keys, and asks introspection endpoints about the token, as the gate
would.

If the config has several gates, --site selects those of a host, and --route those of a path, or one by its number in
the output. The address of a curl command or HTTP request selects as well. The command compares the path with the
matchers as you wrote them. It does not run handlers that change the path before the gate, such as handle_path.

Exit status:
  0  at least one of the gates shown lets the request pass
  1  they refuse it
  2  the input, the flags or the configuration are wrong
  3  nothing refuses it, but something could not be checked (try --fetch)`,
		Example: `  caddy bearer-auth explain --config Caddyfile "$TOKEN"
  pbpaste | caddy bearer-auth explain --config Caddyfile --fetch -
  caddy bearer-auth explain -c Caddyfile -- curl -H "Authorization: Bearer $TOKEN" https://api.example.com/orders
  caddy bearer-auth explain -c Caddyfile --site api.example.com --route /orders --json - < token`,
		RunE: func(cmd *cobra.Command, args []string) error {
			status, err := o.run(cmd, args)
			if err != nil {
				return exit(cmd, exitMistake, err)
			}
			return exit(cmd, status, nil)
		},
	}
	o.config.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.site, "site", "", "Host of the site (default: all)")
	flags.StringVar(&o.route, "route", "", "Path of a request, or the number of a gate (default: all)")
	flags.BoolVar(&o.fetch, "fetch", false, "Fetch keys and ask servers, as the gate would")
	flags.BoolVar(&o.json, "json", false, "Print JSON")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit(cmd, exitMistake, harmlessFlagError(err))
	})
	return cmd
}

// harmlessFlagError is the error of the flags, and prints no token.
func harmlessFlagError(err error) error {
	if terminal.MayHoldToken(err) {
		return errors.New("unknown flag; put \"--\" before a curl command, and before a token that begins with a hyphen")
	}
	if strings.HasPrefix(err.Error(), "unknown") {
		return fmt.Errorf("%w; put \"--\" before a curl command", err)
	}
	return err
}

// exit ends the command with a status that is not 0. It prints the error itself: Caddy would print it as a log line.
func exit(cmd *cobra.Command, status int, err error) error {
	if status == 0 {
		return nil
	}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err != nil {
		for line := range strings.SplitSeq("Error: "+err.Error(), "\n") {
			cmd.PrintErrln(terminal.Printable(line))
		}
	}
	if status == exitRefused {
		return errors.New("refused")
	}
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
}

// run explains the input, and returns the exit status.
func (o *explainOptions) run(cmd *cobra.Command, args []string) (int, error) {
	in, err := readInput(cmd.InOrStdin(), args)
	if err != nil {
		return 0, err
	}
	gates, err := o.gates(in.Request)
	if err != nil {
		return 0, err
	}
	var report report
	for _, g := range gates {
		judged, err := o.judge(cmd.Context(), g, in)
		if err != nil {
			return 0, fmt.Errorf("%s: this gate would not load: %w", g.title(), err)
		}
		report.Gates = append(report.Gates, judged)
	}
	report.sum()
	if o.json {
		return report.status(), report.writeJSON(cmd.OutOrStdout())
	}
	return report.status(), report.write(cmd.OutOrStdout())
}

// readInput reads what is to be explained.
func readInput(stdin io.Reader, args []string) (paste.Input, error) {
	switch {
	case len(args) == 0:
		return paste.Input{}, errors.New("no token: give it as an argument, or \"-\" to read it from standard input")
	case len(args) == 1 && args[0] == "-":
		text, err := io.ReadAll(io.LimitReader(stdin, paste.MaxInput+1))
		if err != nil {
			return paste.Input{}, fmt.Errorf("reading standard input: %w", err)
		}
		return paste.Read(string(text))
	case len(args) == 1:
		return paste.Read(args[0])
	case args[0] == "curl":
		return paste.Command(args)
	default:
		return paste.Read(strings.Join(args, " ")) // Authorization: Bearer … without quotes
	}
}

// judge explains the input for one gate.
func (o *explainOptions) judge(ctx context.Context, g *siteGate, in paste.Input) (*judged, error) {
	x, err := g.handler.Explainer(o.fetch)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := requestFor(ctx, x, in)
	if err != nil {
		return nil, err
	}
	e, answer := x.Explain(r)
	j := newJudged(g, e, answer)
	j.MCP = x.Permissions(e)
	if e.Failure != nil {
		j.Change = advise(x.Config(), e, r)
	}
	return j, nil
}

// requestFor is a request of its own for each gate: reading a form consumes the body.
func requestFor(ctx context.Context, x *caddyjwt.Explainer, in paste.Input) (*http.Request, error) {
	if in.Request == nil {
		return x.Request(in.Token).WithContext(ctx), nil
	}
	r := in.Request.Clone(ctx)
	body, err := io.ReadAll(in.Request.Body)
	if err != nil {
		return nil, err
	}
	in.Request.Body, r.Body = newBody(body), newBody(body)
	return r, nil
}

func newBody(body []byte) io.ReadCloser {
	if len(body) == 0 {
		return http.NoBody
	}
	return io.NopCloser(strings.NewReader(string(body)))
}
