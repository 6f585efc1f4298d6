package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong"
)

// largestKongFile is how large a file of decK may be, in bytes.
const largestKongFile = 64 << 20

// convertCommand is "caddy bearer-auth convert".
func convertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "convert",
		Short: "Makes a Caddyfile of another gateway's configuration",
		Long: `
Makes a Caddyfile of the configuration of another gateway. What it cannot convert stays closed, and is listed.`,
	}
	cmd.AddCommand(convertKongCommand())
	return cmd
}

func convertKongCommand() *cobra.Command {
	var site, flavor, output string
	cmd := &cobra.Command{
		Use:   "kong <deck.yaml>",
		Short: "Makes a Caddyfile of a file of decK, for Kong 3 or InterSystems API Manager",
		Long: `
Makes a Caddyfile of a file of decK, or of Kong 3.3 and later without a database: services, routes, upstreams, the
plugins jwt and acl, and consumers with their jwt_secrets and acls. "-" reads the standard input.

    deck gateway dump -o kong.yaml
    caddy bearer-auth convert kong kong.yaml --output Caddyfile

A route that has something that cannot be converted answers 501. The reason stands there as a comment, once more at the
end of the Caddyfile, and on the standard error. The Caddyfile has the secrets of the file.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readKongFile(cmd, args[0])
			if err != nil {
				return err
			}
			result, err := kong.Convert(text, kong.Options{Source: filepath.Base(args[0]), Site: site, Flavor: flavor})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, note := range result.Notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "not converted:", note)
			}
			if output == "" {
				_, err := io.WriteString(cmd.OutOrStdout(), result.Caddyfile)
				return err
			}
			return writeNew(output, result.Caddyfile)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&site, "site", ":8000", "Address of the site, such as api.example.com")
	flags.StringVar(&flavor, "router-flavor", "traditional_compatible",
		"Kong's router_flavor: traditional_compatible or traditional")
	flags.StringVarP(&output, "output", "o", "", "File to write, which must not exist (default: the standard output)")
	return cmd
}

// readKongFile reads a file or the standard input.
func readKongFile(cmd *cobra.Command, path string) ([]byte, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, largestKongFile+1))
	if err == nil && len(text) > largestKongFile {
		err = fmt.Errorf("%s is larger than %d MiB", path, largestKongFile>>20)
	}
	return text, err
}

// writeNew writes a file that nobody else may read.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if _, err := io.WriteString(file, text); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return file.Close()
}
