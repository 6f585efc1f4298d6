// Command hydra is Ory Hydra, for "make e2e-all". It is a module of its own, because "go install" refuses modules that
// have replace directives, as Hydra's has, and so that the gateway's go.mod knows nothing of it.
//
// It has Hydra's command line, and ends when its standard input is closed, so that it cannot outlive the test that
// started it.
package main

import (
	"io"
	"os"

	"github.com/ory/hydra/v2/cmd"
)

func main() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	cmd.Execute()
}
