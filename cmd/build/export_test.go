package main

import (
	"context"
	"io"

	"github.com/caddyserver/xcaddy"
)

// The parts of the program that its tests look at.
var (
	ReadManifest = readManifest
	Run          = run

	ErrManifest  = errManifest
	ErrNotListed = errNotListed
	ErrReplaced  = errReplaced
	ErrPinned    = errPinned
)

// Plan is plan for a command line.
func Plan(ctx context.Context, args ...string) (xcaddy.Builder, string, error) {
	opts, err := parseOptions(args, io.Discard)
	if err != nil {
		return xcaddy.Builder{}, "", err
	}
	return plan(ctx, opts)
}
