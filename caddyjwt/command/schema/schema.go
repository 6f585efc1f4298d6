// Package schema is the command "caddy bearer-auth schema", which prints the JSON Schema of our modules for editors. A
// test makes the schema of the structs of the configuration, with their comments.
package schema

import (
	_ "embed" // the schema

	"github.com/spf13/cobra"
)

// text is the schema, as the test writes it with -update.
//
//go:embed bearer_auth.schema.json
var text []byte

// Command is the command.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Prints a JSON Schema for editors",
		Long: `
Prints the JSON Schema (2020-12) of a Caddy configuration in JSON, as far as it is about bearer_auth and what belongs to
it. It has the members, their types, their values where there is a choice, and the manual of each. All other parts of a
configuration are accepted as they are.

    caddy bearer-auth schema > bearer_auth.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
