package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const data = ".." // where the files are

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// content returns all that a run has left.
func content(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	found := make(map[string]string)
	for _, pattern := range []string{"*.csv", tableFile} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			tb.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				tb.Fatal(err)
			}
			found[filepath.Base(path)] = string(text)
		}
	}
	return found
}

// copied is a directory with the files of the repository, changed.
func copied(tb testing.TB, change func(files map[string]string)) string {
	tb.Helper()
	files := content(tb, data)
	change(files)
	dir := tb.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func TestTheTableIsThatOfTheFiles(t *testing.T) {
	dir := copied(t, func(files map[string]string) { delete(files, tableFile) })
	if err := run(t.Context(), dir, false, noon); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(content(t, dir), content(t, data)) {
		t.Errorf("%s is not what the CSV files say: run \"go run ./internal/special/generate\"", tableFile)
	}
}

// registries serves the registries of the repository, as IANA does, with one of them changed.
func registries(tb testing.TB, change func(name, text string) (status int, changed string)) string {
	tb.Helper()
	files := content(tb, data)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		status, text := change(name, files[name])
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}))
	tb.Cleanup(s.Close)
	return copied(tb, func(files map[string]string) {
		files[sourcesFile] = fmt.Sprintf("File,Source,Read\niana-ipv4.csv,%[1]s/iana-ipv4.csv,2020-01-01\n"+
			"iana-ipv6.csv,%[1]s/iana-ipv6.csv,2020-01-01\n", s.URL)
	})
}

// IANA breaks lines inside of cells, and ends lines as Windows does.
func TestFetch(t *testing.T) {
	dir := registries(t, func(_, text string) (int, string) {
		text = strings.ReplaceAll(text, "[RFC4193] [RFC8190]", "\"[RFC4193]\n        [RFC8190]\"")
		text = strings.ReplaceAll(text, "10.0.0.0/8,", "10.0.0.0/8 [7],")
		text += "198.51.101.0/24,New One,[RFC9999],2026-12,N/A,True,True,True,False,False\n"
		return http.StatusOK, strings.ReplaceAll(text, "\n", "\r\n")
	})
	before := content(t, dir)
	if err := run(t.Context(), dir, true, noon); err != nil {
		t.Fatal(err)
	}
	after := content(t, dir)
	want := `{netip.MustParsePrefix("198.51.101.0/24"), Reserved, "New One"},`
	for _, text := range []string{want, `{netip.MustParsePrefix("10.0.0.0/8"), Private,`, "read on 2026-07-01"} {
		if !strings.Contains(after[tableFile], text) {
			t.Errorf("the table lacks %q:\n%s", text, after[tableFile])
		}
	}
	if strings.Count(after[sourcesFile], "2026-07-01") != 2 || strings.Contains(after["iana-ipv4.csv"], "\r") {
		t.Errorf("%s\n%q", after[sourcesFile], after["iana-ipv4.csv"])
	}
	if after[metadataFile] != before[metadataFile] {
		t.Errorf("%s was written", metadataFile)
	}
	// Once more, and nothing changes: the same source gives the same files.
	if err := run(t.Context(), dir, true, noon); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(content(t, dir), after) {
		t.Error("a second run gives other files")
	}
}

// What is not understood changes nothing.
func TestFetchRefusesWhatIsNotTheRegistry(t *testing.T) {
	for _, test := range []struct {
		name, want string
		change     func(text string) (int, string)
	}{
		{"an error", "404", func(text string) (int, string) { return http.StatusNotFound, text }},
		{"a page", "first line", func(string) (int, string) { return http.StatusOK, "<html>\n<p>moved</p>\n" }},
		{"nothing", "no rows", func(string) (int, string) { return http.StatusOK, "" }},
		{"no rows", "no rows", func(text string) (int, string) { return http.StatusOK, text[:strings.Index(text, "\n")+1] }},
		{"another column", "first line", func(text string) (int, string) {
			return http.StatusOK, strings.Replace(text, "Name,RFC", "RFC,Name", 1)
		}},
		{"a row that is cut", "wrong number of fields", func(text string) (int, string) {
			return http.StatusOK, text[:len(text)-30]
		}},
		{"no address", "not a block", func(text string) (int, string) {
			return http.StatusOK, strings.Replace(text, "198.18.0.0/15", "198.18/15", 1)
		}},
		{"bits after the prefix", "after its prefix", func(text string) (int, string) {
			return http.StatusOK, strings.Replace(text, "198.18.0.0/15", "198.18.0.1/15", 1)
		}},
		{"another name for link-local", "Link Local", func(text string) (int, string) {
			return http.StatusOK, strings.Replace(text, "Link Local", "Link-Local", 1)
		}},
		{"no private addresses", "Private-Use", func(text string) (int, string) {
			return http.StatusOK, strings.ReplaceAll(text, "Private-Use", "Public-Use")
		}},
		{"no end", "more than", func(text string) (int, string) {
			return http.StatusOK, text + strings.Repeat(" ", mostBytes)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := registries(t, func(name, text string) (int, string) {
				if name == "iana-ipv4.csv" {
					return test.change(text)
				}
				return http.StatusOK, text
			})
			before := content(t, dir)
			if err := run(t.Context(), dir, true, noon); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if !maps.Equal(content(t, dir), before) {
				t.Error("files have changed")
			}
		})
	}
}

func TestMistakesInTheFiles(t *testing.T) {
	for _, test := range []struct {
		name, want string
		change     func(files map[string]string)
	}{
		{"no sources", sourcesFile, func(files map[string]string) { delete(files, sourcesFile) }},
		{"no metadata", metadataFile, func(files map[string]string) { delete(files, metadataFile) }},
		{"no registry", "iana-ipv6.csv", func(files map[string]string) { delete(files, "iana-ipv6.csv") }},
		{"an address", metadataFile, func(files map[string]string) {
			files[metadataFile] = strings.Replace(files[metadataFile], "/32", "", 1)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := copied(t, test.change)
			if err := run(t.Context(), dir, false, noon); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	dir := copied(t, func(files map[string]string) {
		files[sourcesFile] = strings.ReplaceAll(files[sourcesFile], "https:", "nowhere:")
	})
	if err := run(t.Context(), dir, true, noon); err == nil || !strings.Contains(err.Error(), "nowhere:") {
		t.Errorf("a source that is no address: %v", err)
	}
}

// Every row of metadata.csv says where it comes from, and no row is there twice.
func TestEveryRowHasASource(t *testing.T) {
	files, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, row := range files.metadata {
		if !strings.HasPrefix(row[3], "https://") || row[1] == "" || row[2] == "" || seen[row[0]+row[1]] {
			t.Errorf("%q: it needs a cloud, a purpose and an address of the documentation, once", row)
		}
		seen[row[0]+row[1]] = true
	}
	// The file is as the generator would write it.
	written, err := os.ReadFile(filepath.Join(data, metadataFile))
	if err != nil || !bytes.Equal(written, text(metadataHeader, files.metadata)) {
		t.Errorf("%s has quotes or spaces that it does not need (error %v)", metadataFile, err)
	}
}

// The data must be looked at again from time to time. That is for whoever changes the project, and not for whoever
// tests an old release: .ci/run sets the variable, and without it this test is skipped.
func TestTheDataIsNotOld(t *testing.T) {
	days, err := strconv.Atoi(os.Getenv("MAX_DATA_DAYS"))
	if err != nil {
		t.Skip("MAX_DATA_DAYS is not set: how old the data is does not matter here")
	}
	files, err := read(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range files.old(time.Now(), days) {
		t.Error(old)
	}
}

// old says which dates are more than some days ago, and what to do about it.
func (f *files) old(now time.Time, days int) (complaints []string) {
	isOld := func(date string) bool {
		then, err := time.Parse(time.DateOnly, date)
		return err != nil || now.Sub(then) > time.Duration(days)*24*time.Hour || now.Before(then)
	}
	for _, row := range f.sources {
		if isOld(row[2]) {
			complaints = append(complaints, fmt.Sprintf("%s is of %q: run \"go generate ./internal/special\", and read "+
				"what has changed", row[0], row[2]))
		}
	}
	for _, row := range f.metadata {
		if isOld(row[4]) {
			complaints = append(complaints, fmt.Sprintf("%s: %s of %s is of %q: see whether %s still says so, write down the "+
				"date, and run \"go run ./internal/special/generate\"", metadataFile, row[0], row[1], row[4], row[3]))
		}
	}
	return complaints
}

func TestOldDataIsNoticed(t *testing.T) {
	f := &files{
		sources:  [][]string{{"a.csv", "", "2026-01-01"}, {"b.csv", "", "2026-06-30"}, {"c.csv", "", "2026-07-02"}},
		metadata: [][]string{{"p", "A", "", "s", "2026-01-01"}, {"q", "B", "", "s", "2026-06-30"}, {"r", "C", "", "s", ""}},
	}
	got := f.old(noon, 100)
	for i, want := range []string{"a.csv", "c.csv", "p of A", "r of C"} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Fatalf("%q, want one for %q", got, want)
		}
	}
	if len(got) != 4 || slices.ContainsFunc(got, func(text string) bool { return !strings.Contains(text, "run \"go ") }) {
		t.Errorf("%q", got)
	}
}
