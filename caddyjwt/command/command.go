// Package command is the command "caddy bearer-auth": tools that look at a configuration with bearer_auth handlers
// without running it, and tools that ask the running Caddy. Import it for its side effect, which adds the command to
// Caddy.
//
// A new tool is one more file here: a function that makes its cobra.Command, with configFile to read the configuration.
// What it needs to know of a handler is exported by package caddyjwt.
package command

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/running"
	"github.com/caddyjwt/gateway/caddyjwt/command/schema"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "bearer-auth",
		Usage: "mint|explain|check|convert|schema|gates|keys|cache|consumers|revoke|revocations|store ...",
		Short: "Tools for the bearer_auth handler",
		Long: `
Tools for trying out, testing and running a site that the bearer_auth handler guards.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(mintCommand(), explainCommand(), checkCommand(), schema.Command(), convertCommand())
			cmd.AddCommand(running.GatesCommand(), running.KeysCommand(), running.CacheCommand(), running.ConsumersCommand())
			cmd.AddCommand(running.RevokeCommand(readWritten), running.RevocationsCommand(readWritten),
				running.StoreCommand(readWritten))
		},
	})
}
