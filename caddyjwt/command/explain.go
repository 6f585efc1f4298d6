package command

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
	"github.com/caddyjwt/gateway/caddyjwt/explain"
	"github.com/caddyjwt/gateway/caddyjwt/operator"
	"github.com/caddyjwt/gateway/caddyjwt/routes"
	"github.com/caddyjwt/gateway/internal/paste"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// The exit statuses of explain. They are part of its documentation.
const (
	exitRefused   = 1
	exitMistake   = 2
	exitUndecided = 3
)

// explainOptions are the flags of the command.
type explainOptions struct {
	config      configFile
	site, route string
	address     string // of the admin endpoint of the Caddy that judges; empty for this process
	certificate string // file with the client's
	fetch, json bool
}

func explainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use: "explain --config <file>|--address <admin> [--site <host>] [--route <path, number or name>] [--fetch] " +
			"[--client-cert <file>] [--json] <token>|-",
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

A token alone is tried in the first place of token_from. To have a DPoP proof judged, give the request or the curl
command, or at least both header lines: Authorization and DPoP. No proof is used up. --client-cert names the certificate
that the client shows. The command never prints the token or its signature. It does
print claims.

Other users of the machine can see arguments, and the shell keeps them in its history. For tokens that matter, use
standard input.

Without --fetch it uses no network. Keys in the configuration or in files verify the signature. Rules that need a
server are "not checked". With --fetch it fetches keys, and asks introspection endpoints about the token, as the gate
would.

With --address, the Caddy that runs judges, as its gates would: it has the keys and answers that they have, and knows
what is revoked. Its admin endpoint gets the token in the body of a request.

If the config has several gates, --site selects those of a host, and --route those of a path, or one by its number in
the output or by its name. The address of a curl command or HTTP request selects as well. The command compares the path
with the matchers as you wrote them. It does not run handlers that change the path before the gate, such as handle_path.

Exit status:
  0  at least one of the gates shown lets the request pass
  1  they refuse it
  2  the input, the flags or the configuration are wrong
  3  nothing refuses it, but something could not be checked (try --fetch)`,
		Example: `  caddy bearer-auth explain --config Caddyfile "$TOKEN"
  pbpaste | caddy bearer-auth explain --config Caddyfile --fetch -
  caddy bearer-auth explain --address localhost:2019 - < token
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
	flags.StringVar(&o.route, "route", "", "Path of a request, or the number or name of a gate (default: all)")
	flags.StringVar(&o.address, "address", "", "Admin endpoint of the running Caddy that is to judge")
	flags.StringVar(&o.certificate, "client-cert", "", "PEM file of the certificate that the client shows (mutual TLS)")
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
	text, err := readInput(cmd.InOrStdin(), args)
	if err != nil {
		return 0, err
	}
	report, err := o.explained(cmd, text)
	if err != nil {
		return 0, err
	}
	if o.json {
		return statusOf(report), report.WriteJSON(cmd.OutOrStdout())
	}
	return statusOf(report), report.Write(cmd.OutOrStdout())
}

// statusOf is the exit status of a report.
func statusOf(report *explain.Report) int {
	switch {
	case report.Passes():
		return 0
	case report.Undecided():
		return exitUndecided
	default:
		return exitRefused
	}
}

// explained is what the gates of the configuration, or of the running Caddy, make of the input.
func (o *explainOptions) explained(cmd *cobra.Command, input string) (*explain.Report, error) {
	certificate, err := o.clientCertificate()
	if err != nil {
		return nil, err
	}
	if o.address != "" {
		return o.askRunning(cmd, operator.Question{
			Input: input, Site: o.site, Route: o.route, ClientCertificate: certificatePEM(certificate),
		})
	}
	in, err := paste.Read(input)
	if err != nil {
		return nil, err
	}
	gates, err := o.gates()
	if err != nil {
		return nil, err
	}
	ctx := cmp.Or(cmd.Context(), context.Background()) // tests have none
	return explain.Explain(ctx, gates, explain.Order{
		Input: in, Site: o.site, Route: o.route, Certificate: certificate,
	})
}

// clientCertificate is the certificate that the client shows; nil for none.
func (o *explainOptions) clientCertificate() (*x509.Certificate, error) {
	if o.certificate == "" {
		return nil, nil
	}
	certificate, err := readCertificate(o.certificate)
	if err != nil {
		return nil, fmt.Errorf("--client-cert %s: %w", o.certificate, err)
	}
	return certificate, nil
}

// certificatePEM is a certificate as PEM; empty for none. What else is in its file, such as a key, stays there.
func certificatePEM(certificate *x509.Certificate) string {
	if certificate == nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// askRunning has the running Caddy judge.
func (o *explainOptions) askRunning(cmd *cobra.Command, question operator.Question) (*explain.Report, error) {
	if cmd.Flags().Changed("config") || o.fetch {
		return nil, errors.New("--address asks the Caddy that runs, which has a configuration, and fetches what it lacks: " +
			"leave --config and --fetch out")
	}
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	answer, err := endpoint.Ask(o.address, http.MethodPost, operator.ExplainPath, body)
	if err != nil {
		return nil, err
	}
	report := new(explain.Report)
	return report, endpoint.Read(answer, report)
}

// gates are those of the configuration.
func (o *explainOptions) gates() ([]*explain.Gate, error) {
	text, err := o.config.json()
	if err != nil {
		return nil, err
	}
	found, err := routes.InConfig(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.config.path, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no bearer_auth", o.config.path)
	}
	var unknown map[string]string
	if hasStore(text) {
		unknown = map[string]string{"revocation": "only the running Caddy knows what is revoked: ask it with --address"}
	}
	var gates []*explain.Gate
	for _, g := range found {
		h := new(caddyjwt.Handler)
		if err := json.Unmarshal(g.JSON, h); err != nil {
			return nil, fmt.Errorf("reading %s: a bearer_auth handler: %w", o.config.path, err)
		}
		gates = append(gates, &explain.Gate{Way: g.Way, Name: h.Name, Unknown: unknown, Open: func() (explain.Judge, error) {
			x, err := h.Explainer(o.fetch)
			if err != nil { // not a Judge that is no nil
				return nil, err
			}
			return x, nil
		}})
	}
	return gates, nil
}

// hasStore reports whether a configuration has a store, so that tokens can be revoked.
func hasStore(config []byte) bool {
	var of struct {
		Apps map[string]struct{ Store any } `json:"apps"`
	}
	return json.Unmarshal(config, &of) == nil && of.Apps["bearer_auth"].Store != nil
}

// readInput reads what is to be explained.
func readInput(stdin io.Reader, args []string) (string, error) {
	switch {
	case len(args) == 0:
		return "", errors.New("no token: give it as an argument, or \"-\" to read it from standard input")
	case len(args) == 1 && args[0] == "-":
		text, err := io.ReadAll(io.LimitReader(stdin, paste.MaxInput+1))
		if err != nil {
			return "", fmt.Errorf("reading standard input: %w", err)
		}
		return string(text), nil
	case args[0] == "curl" && len(args) > 1:
		return paste.Quote(args), nil
	default:
		return strings.Join(args, " "), nil // Authorization: Bearer … without quotes
	}
}
