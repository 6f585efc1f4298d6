package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/internal/diagnose"
)

// checkOptions are the flags of the command.
type checkOptions struct {
	config       configFile
	timeout      lifetimeFlag
	json, strict bool
}

// defaultCheckTimeout bounds the whole check. It is enough for 40 servers that do not answer.
const defaultCheckTimeout = time.Minute

// Exit statuses of the command.
const (
	exitFound   = 1 // something was found
	exitNoCheck = 2 // there was no check: a mistake in the command line or in the configuration
)

func checkCommand() *cobra.Command {
	o := checkOptions{timeout: lifetimeFlag(defaultCheckTimeout)}
	cmd := &cobra.Command{
		Use:   "check --config <file>",
		Short: "Asks the servers of a configuration whether the gates can work with them",
		Long: `
Fetches metadata and keys of each issuer in the config file, asks the introspection endpoints about a made-up token, and
reports what is wrong and how to mend it: hosts that cannot be reached, another issuer in the metadata, keys that the
gate cannot use, refused credentials, clocks that differ, and certificates that expire soon.

It uses the addresses, TLS settings, header fields and credentials of the config, and the same rules as a running gate.
Run it where Caddy will run: another machine may see other addresses and trust other authorities. It needs the files and
environment variables of the config, and sends its client credentials to the configured servers. It prints no secrets,
and addresses only without their queries.

A problem means that the gate refuses good tokens, or accepts bad ones. A warning means that something will fail soon,
or fails for some tokens.

Exit status:
  0  there is no problem
  1  there is a problem or, with --strict, a warning
  2  nothing was checked: the command line or the configuration has a mistake`,
		Example: `  caddy bearer-auth check --config Caddyfile
  caddy bearer-auth check --config Caddyfile --timeout 10s --strict
  caddy bearer-auth check --config caddy.json --json | jq -r '.issuers[] | select(.result != "ok") | .issuer'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return notChecked(cmd, err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	cmd.SetFlagErrorFunc(notChecked)
	o.config.addTo(cmd)
	flags := cmd.Flags()
	flags.Var(&o.timeout, "timeout", "How long the whole check may take")
	flags.BoolVar(&o.json, "json", false, "Print one JSON object; docs/tools.md describes it")
	flags.BoolVar(&o.strict, "strict", false, "Exit with status 1 for warnings, too")
	return cmd
}

// notChecked ends the command with the status for mistakes.
func notChecked(cmd *cobra.Command, err error) error {
	return exit(cmd, exitNoCheck, err)
}

// errFound ends the command with status 1. The findings have been printed by then.
var errFound = errors.New("the check has found something")

// checked is the result of the command. --json prints it as it is.
type checked struct {
	OK           bool              `json:"ok"` // nothing counts as a problem
	Gates        int               `json:"gates"`
	Problems     int               `json:"problems"`
	Warnings     int               `json:"warnings"`
	Issuers      []diagnose.Report `json:"issuers"`
	Certificates []diagnose.Local  `json:"certificates"` // of consumers' credentials
	Resources    []resourceReport  `json:"resources"`

	UncheckedTenants int `json:"unchecked_tenants,omitempty"`
}

func (o *checkOptions) run(cmd *cobra.Command) error {
	if o.timeout <= 0 {
		return notChecked(cmd, errors.New("--timeout must be more than 0s"))
	}
	text, err := o.config.json()
	if err != nil {
		return notChecked(cmd, err)
	}
	handlers, err := o.config.handlersIn(text)
	if err == nil && len(handlers) == 0 {
		err = fmt.Errorf("%s has no bearer_auth", o.config.path)
	}
	if err != nil {
		return notChecked(cmd, err)
	}
	probe, err := caddyjwt.NewProbe(handlers)
	if err != nil {
		return notChecked(cmd, fmt.Errorf("this configuration would not load: %w", err))
	}
	resources, err := checkResources(text, handlers)
	if err != nil {
		return notChecked(cmd, errors.Join(fmt.Errorf("this configuration would not load: %w", err), probe.Close()))
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.timeout))
	defer cancel()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	progress := progressOn(cmd.ErrOrStderr(), len(probe.Issuers))
	result := checked{Gates: len(handlers), Issuers: diagnose.Run(ctx, probe.Issuers, progress.Show)}
	progress.End()
	result.Resources, result.UncheckedTenants = resources, probe.UncheckedTenants
	result.Certificates = diagnose.CheckLocal(probe.Certificates, time.Now())
	result.count(o.strict)
	err = errors.Join(o.print(cmd.OutOrStdout(), &result), probe.Close())
	if err == nil && !result.OK {
		err, cmd.SilenceErrors = errFound, true
	}
	return err
}

// count sums up the levels of all findings.
func (c *checked) count(strict bool) {
	add := func(findings []diagnose.Finding) {
		for _, f := range findings {
			switch f.Level {
			case diagnose.Problem:
				c.Problems++
			case diagnose.Warning:
				c.Warnings++
			}
		}
	}
	for _, report := range c.Issuers {
		add(report.Findings)
	}
	for _, local := range c.Certificates {
		add(local.Findings)
	}
	for _, r := range c.Resources {
		add(r.Findings)
	}
	c.OK = c.Problems == 0 && (!strict || c.Warnings == 0)
}

func (o *checkOptions) print(to io.Writer, result *checked) error {
	if !o.json {
		return printTable(to, result)
	}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // it is no HTML, and "<" is easier to read
	return encoder.Encode(result)
}
