// Command build makes the custom Caddy that xcaddy.json describes: the Caddy
// version named there, the standard modules, and the plugins listed.
//
//	go run ./cmd/build                        # this working tree, into ./caddy
//	go run ./cmd/build -version v1.2.3        # a published version instead
//	go run ./cmd/build -os linux -arch arm64  # for another machine
//
// The manifest is the JSON form of xcaddy's own Builder. It may have every field of that type; an unknown field is an
// error. The result does not depend on what the go.mod of a working tree resolves to: xcaddy makes a module of its own
// in a temporary directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddyserver/xcaddy"
)

func main() {
	// The go commands that xcaddy starts get the terminal's signals too. The context makes xcaddy wait for them and remove
	// its temporary directory.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "build:", err)
		stop()
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	config  string // path of the manifest
	output  string // path of the binary
	version string // of our own module; empty builds the working tree
	os      string // target system; empty means the manifest's, GOOS, this one
	arch    string // target processor; empty means the manifest's, GOARCH, this one
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&opts.config, "config", "xcaddy.json", "the manifest, in the JSON form of xcaddy's Builder")
	flags.StringVar(&opts.output, "output", "./caddy", "where the binary goes")
	flags.StringVar(&opts.version, "version", "", "build this version of the plugin (v1.2.3) instead of the working tree")
	// These are flags, not only environment variables, because "GOOS=… go run" would build this program for the other
	// system, and then fail to start it.
	flags.StringVar(&opts.os, "os", "", "target system (default: the manifest's, then $GOOS)")
	flags.StringVar(&opts.arch, "arch", "", "target processor (default: the manifest's, then $GOARCH)")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return opts, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	builder, origin, err := plan(ctx, opts)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := builder.Build(ctx, opts.output); err != nil {
		return err
	}
	info, err := os.Stat(opts.output)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "built %s: Caddy %s, %s, %d MiB, %s\n",
		opts.output, builder.CaddyVersion, origin, info.Size()>>20, time.Since(start).Round(time.Second))
	return nil
}

// plan turns the manifest and the command line into the Builder to run. The text says where the plugin's own code comes
// from.
func plan(ctx context.Context, opts options) (xcaddy.Builder, string, error) {
	builder, err := readManifest(opts.config)
	if err != nil {
		return xcaddy.Builder{}, "", err
	}
	own, err := mainModule(ctx, filepath.Dir(opts.config))
	if err != nil {
		return xcaddy.Builder{}, "", err
	}
	if opts.os != "" {
		builder.OS = opts.os
	}
	if opts.arch != "" {
		builder.Arch = opts.arch
	}
	if opts.version != "" {
		if err := pin(&builder, own, opts.version); err != nil {
			return xcaddy.Builder{}, "", err
		}
		return builder, own.Path + "@" + opts.version, nil
	}
	if err := useWorkingTree(&builder, own); err != nil {
		return xcaddy.Builder{}, "", err
	}
	return builder, own.Path + " from " + own.Dir, nil
}
