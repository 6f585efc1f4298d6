// Command asdocker reads files as Docker does, with Docker's own code, and without a daemon. It is a module of its own,
// so that the gateway's go.mod knows nothing of Docker.
//
//	asdocker lint ../../Dockerfile                       # the build checks; no base image is fetched
//	asdocker compose ../../examples/compose/compose.yaml # the model, in JSON, with values of the environment
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/opencontainers/go-digest"
)

func main() {
	log.SetFlags(0)
	commands := map[string]func(path string) error{"lint": lint, "compose": compose}
	if len(os.Args) != 3 || commands[os.Args[1]] == nil {
		log.Fatal("usage: asdocker lint DOCKERFILE, or asdocker compose FILE")
	}
	if err := commands[os.Args[1]](os.Args[2]); err != nil {
		log.Fatalf("%s: %v", os.Args[2], err)
	}
}

func lint(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	source := llb.NewSourceMap(nil, path, "Dockerfile", text)
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text,
		dockerfile2llb.ConvertOpt{SourceMap: source, MetaResolver: anyImage{}})
	if err != nil {
		return err
	}
	if results.Error != nil {
		return errors.New(results.Error.Message)
	}
	for _, w := range results.Warnings {
		fmt.Printf("%s:%d: %s: %s\n", path, w.Location.Ranges[0].Start.Line, w.RuleName, w.Detail)
	}
	if len(results.Warnings) > 0 {
		return fmt.Errorf("%d warnings", len(results.Warnings))
	}
	return nil
}

// anyImage stands for every base image: no check is about what is in one.
type anyImage struct{}

// ResolveImageConfig makes it an llb.ImageMetaResolver.
func (anyImage) ResolveImageConfig(
	_ context.Context, ref string, _ sourceresolver.Opt,
) (string, digest.Digest, []byte, error) {
	config := fmt.Appendf(nil, `{"os": %q, "architecture": %q}`, runtime.GOOS, runtime.GOARCH)
	return ref, digest.FromBytes(config), config, nil
}

func compose(path string) error {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithOsEnv)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(project)
}
