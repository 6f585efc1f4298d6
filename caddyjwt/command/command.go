// Package command is the command "caddy bearer-auth": tools that look at a configuration with bearer_auth handlers, and
// run none. Import it for its side effect, which adds the command to Caddy's.
//
// A tool is one more file here: a function that makes its cobra.Command, and configFile to read the configuration that
// it is about. What it wants to know of a handler, package caddyjwt exports.
package command

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "bearer-auth",
		Usage: "mint --config <file> --consumer <name> [--claim k=v ...] [--lifetime 5m] [--private-key file]",
		Short: "Tools for the bearer_auth handler",
		Long: `
Tools for trying out and testing what the bearer_auth handler guards.`,
		CobraFunc: func(cmd *cobra.Command) { cmd.AddCommand(mintCommand()) },
	})
}
