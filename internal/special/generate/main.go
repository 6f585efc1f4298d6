// Command generate makes blocks.go of the package special from the CSV files beside it. With -fetch it first fetches
// IANA's registries from where sources.csv says, and writes down the date.
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	sourcesFile  = "sources.csv"  // where the registries come from, and when they were read
	metadataFile = "metadata.csv" // what clouds document, kept by hand
	tableFile    = "blocks.go"

	mostBytes = 1 << 20 // of a registry; they have 3 KiB
)

// The first lines of the files. Another one means that columns have moved, and with them their meaning.
var (
	sourcesHeader  = []string{"File", "Source", "Read"}
	metadataHeader = []string{"Address Block", "Provider", "For", "Source", "Checked"}
	registryHeader = []string{
		"Address Block", "Name", "RFC", "Allocation Date", "Termination Date", "Source", "Destination", "Forwardable",
		"Globally Reachable", "Reserved-by-Protocol",
	}
)

func main() {
	dir := flag.String("dir", filepath.Join("internal", "special"), "where the files are")
	fetch := flag.Bool("fetch", false, "fetch the registries first")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *fetch, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "special:", err)
		os.Exit(1)
	}
}

// run writes nothing unless everything is as expected.
func run(ctx context.Context, dir string, fetch bool, now time.Time) error {
	files, err := read(dir)
	if err == nil && fetch {
		err = files.fetch(ctx, now)
	}
	if err != nil {
		return err
	}
	table, err := files.table()
	if err != nil {
		return err
	}
	written := map[string][]byte{tableFile: table}
	if fetch {
		written[sourcesFile] = text(sourcesHeader, files.sources)
		for name, rows := range files.registries {
			written[name] = text(registryHeader, rows)
		}
	}
	for name, content := range written {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// files are the rows of all files, without the first line.
type files struct {
	sources    [][]string
	registries map[string][][]string // by the name of the file
	metadata   [][]string
}

func read(dir string) (*files, error) {
	f := &files{registries: make(map[string][][]string)}
	file := func(name string, header []string) ([][]string, error) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		return parse(name, string(content), header)
	}
	var err error
	if f.sources, err = file(sourcesFile, sourcesHeader); err != nil {
		return nil, err
	}
	if f.metadata, err = file(metadataFile, metadataHeader); err != nil {
		return nil, err
	}
	for _, source := range f.sources {
		if f.registries[source[0]], err = file(source[0], registryHeader); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// fetch replaces the rows of the registries, and the dates.
func (f *files) fetch(ctx context.Context, now time.Time) error {
	for _, source := range f.sources {
		content, err := get(ctx, source[1])
		if err != nil {
			return fmt.Errorf("%s: %w", source[1], err)
		}
		if f.registries[source[0]], err = parse(source[1], content, registryHeader); err != nil {
			return err
		}
		source[2] = now.UTC().Format(time.DateOnly)
	}
	return nil
}

func get(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %s", response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, mostBytes+1))
	if err == nil && len(content) > mostBytes {
		err = fmt.Errorf("the answer has more than %d bytes", mostBytes)
	}
	return string(content), err
}

// parse returns the rows of a CSV file after the first line, which must be the header. Line ends inside of a cell are
// spaces.
func parse(name, content string, header []string) ([][]string, error) {
	rows, err := csv.NewReader(strings.NewReader(content)).ReadAll()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(rows) < 2:
		return nil, fmt.Errorf("%s: it has no rows", name)
	case !slices.Equal(rows[0], header):
		return nil, fmt.Errorf("%s: the first line is %q, and not %q: see what the columns mean now", name, rows[0], header)
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			row[i] = strings.Join(strings.Fields(cell), " ")
		}
	}
	return rows[1:], nil
}

// text is the reverse of parse.
func text(header []string, rows [][]string) []byte {
	var b strings.Builder
	w := csv.NewWriter(&b)
	// A Builder takes everything.
	if err := errors.Join(w.Write(header), w.WriteAll(rows)); err != nil {
		panic(err)
	}
	return []byte(b.String())
}
