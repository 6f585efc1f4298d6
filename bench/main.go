// Command bench compares whole gateways, as processes, doing the same work for the same tokens in front of the same
// backend: this gateway, Caddy without any check, HAProxy's jwt_verify when it is installed, and any other gateway that
// the environment names.
//
//	cd bench && go run .
//
// What it measures and how is in docs/benchmarks.md. It needs Linux.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	duration    time.Duration
	rounds      int
	conns       int
	algs        []string
	work        []string
	only        string
	json        string
	caddy       string
	memory      bool
	description string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags() options {
	var o options
	var algs, work string
	flag.DurationVar(&o.duration, "duration", 500*time.Millisecond, "how long each gateway does each work in each round")
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured")
	flag.IntVar(&o.conns, "conns", 16, "connections of the load; each has one request under way")
	flag.StringVar(&algs, "algs", "HS256,RS256,ES256,EdDSA", "algorithms")
	flag.StringVar(&work, "work", strings.Join(allWorkloads, ","), "kinds of work")
	flag.StringVar(&o.only, "only", "", "only the contenders whose name contains this, and what they are compared with")
	flag.StringVar(&o.json, "json", "", "file for all figures of all rounds")
	flag.StringVar(&o.caddy, "caddy", "", "program built from ./caddybench (default: it is built now)")
	flag.BoolVar(&o.memory, "memory", true, "measure the memory of a full token cache, too")
	flag.StringVar(&o.description, "machine", "", "what to call this machine in the report")
	flag.Parse()
	o.algs, o.work = strings.Split(algs, ","), strings.Split(work, ",")
	return o
}

func run() error {
	began := time.Now()
	o := parseFlags()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.caddy == "" {
		o.caddy = filepath.Join(dir, "caddybench")
		progress("building Caddy …")
		build := exec.Command("go", "build", "-o", o.caddy, "./caddybench")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building caddybench (run this in the directory bench): %w", err)
		}
	}
	c, err := newComparison(o, dir)
	if err != nil {
		return err
	}
	if err := c.measure(); err != nil {
		return err
	}
	c.report.Took = time.Since(began).Round(time.Second).String()
	if o.json != "" {
		if err := c.report.writeJSON(o.json); err != nil {
			return err
		}
	}
	return c.report.writeMarkdown(os.Stdout)
}

// progress writes what is going on, apart from the report.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// lookHAProxy finds HAProxy; it is in /usr/sbin, which is not in everybody's path.
func lookHAProxy() string {
	first, _ := exec.LookPath("haproxy")
	second, _ := exec.LookPath("/usr/sbin/haproxy")
	return cmp.Or(first, second)
}
