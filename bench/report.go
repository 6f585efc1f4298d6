package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// measurement is what one contender did in one round.
type measurement struct {
	Round     int     `json:"round"`
	Algorithm string  `json:"algorithm"`
	Workload  string  `json:"workload"`
	Contender string  `json:"contender"`
	Requests  int     `json:"requests"`
	CPU       float64 `json:"cpu_us_per_request"` // of the gateway's process
	Rate      float64 `json:"requests_per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	RSS       int64   `json:"rss_bytes"`
	Reconnect int     `json:"reconnects"`
}

func newMeasurement(name, workload string, out outcome, cpu time.Duration, rss int64) measurement {
	const perMicro = float64(time.Microsecond)
	return measurement{
		Workload: workload, Contender: name, Requests: out.requests,
		CPU:  float64(cpu) / perMicro / float64(out.requests),
		Rate: float64(out.requests) / out.elapsed.Seconds(),
		P50:  float64(percentile(out.latencies, 50)) / perMicro,
		P99:  float64(percentile(out.latencies, 99)) / perMicro,
		RSS:  rss, Reconnect: out.reconnect,
	}
}

// report is everything that is known in the end.
type report struct {
	Machine      string               `json:"machine"`
	Layout       string               `json:"layout"`
	Versions     []string             `json:"versions"`
	Setting      string               `json:"setting"`
	Took         string               `json:"took"`
	Bare         map[string][]float64 `json:"bare_signature_us"` // by algorithm, of each round
	Measurements []measurement        `json:"measurements"`
	Memory       []memoryUse          `json:"memory,omitempty"`
	MemoryToken  int                  `json:"memory_token_bytes,omitempty"`
	contenders   []contender
}

func (r *report) describe(o *options, l *layout, haproxy string) {
	r.Machine = o.description
	if r.Machine == "" {
		r.Machine = fmt.Sprintf("%d processors, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	}
	r.Layout = l.note
	r.Setting = fmt.Sprintf("%d rounds of %v for each figure, %d connections", o.rounds, o.duration, o.conns)
	r.Versions = []string{
		"Go " + strings.TrimPrefix(runtime.Version(), "go"),
		"Caddy " + programVersion(o.caddy, "version"),
	}
	if haproxy != "" {
		r.Versions = append(r.Versions, programVersion(haproxy, "-v"))
	}
	r.Bare = make(map[string][]float64)
}

func (r *report) addBare(alg string, d time.Duration) {
	r.Bare[alg] = append(r.Bare[alg], float64(d)/float64(time.Microsecond))
}

// values are one figure of one contender, by round.
func (r *report) values(alg, workload, contender string, figure func(*measurement) float64) []float64 {
	var out []float64
	for i := range r.Measurements {
		if m := &r.Measurements[i]; m.Algorithm == alg && m.Workload == workload && m.Contender == contender {
			out = append(out, figure(m)) // measurements are in the order of the rounds
		}
	}
	return out
}

func cpuOf(m *measurement) float64  { return m.CPU }
func rateOf(m *measurement) float64 { return m.Rate }
func p50Of(m *measurement) float64  { return m.P50 }
func p99Of(m *measurement) float64  { return m.P99 }
func rssOf(m *measurement) float64  { return float64(m.RSS) }

func (r *report) writeJSON(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// seen gives the different values of something in the measurements, in order.
func (r *report) seen(what func(*measurement) string) []string {
	var list []string
	for i := range r.Measurements {
		if text := what(&r.Measurements[i]); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

func (r *report) algorithms() []string {
	return r.seen(func(m *measurement) string { return m.Algorithm })
}

// writeMarkdown writes the report for people.
func (r *report) writeMarkdown(out io.Writer) error {
	w := &errWriter{w: out}
	w.printf("# Whole gateways compared\n\n%s. %s.\n%s.\n%s. The run took %s.\n",
		r.Machine, strings.Join(r.Versions, ", "), r.Layout, r.Setting, r.Took)
	w.printf("\nEach figure is the median of the rounds; CPU is the gateway's, user and system, " +
		"with the lowest and highest round in brackets.\n")
	r.writeGoals(w)
	for _, workload := range r.seen(func(m *measurement) string { return m.Workload }) {
		r.writeWorkload(w, workload)
	}
	r.writeBare(w)
	r.writeMemory(w)
	return w.err
}

var workloadTitles = map[string]string{
	hot1:   "Hot: one token in all requests",
	hot100: "Hot: 100 tokens in turn",
	cold:   "Cold: another token in each request",
	reject: "Reject: a bad signature in each request",
}

func (r *report) writeWorkload(w *errWriter, workload string) {
	w.printf("\n## %s\n", workloadTitles[workload])
	for _, alg := range r.algorithms() {
		w.printf("\n| %s | CPU µs per request | × its floor | above its floor, µs | requests/s"+
			" | p50 µs | p99 µs | RSS MiB |\n"+
			"|---|---|---|---|---|---|---|---|\n", alg)
		for i := range r.contenders {
			c := &r.contenders[i]
			cpu := r.values(alg, workload, c.name, cpuOf)
			if len(cpu) == 0 {
				continue
			}
			times, above := "", ""
			if floor := r.values(alg, workload, c.floor[workload], cpuOf); len(floor) > 0 {
				times = summarize(paired(cpu, floor, ratio)).format("%.2f")
				above = summarize(paired(cpu, floor, difference)).format("%.1f")
			}
			median := func(figure func(*measurement) float64) float64 {
				return summarize(r.values(alg, workload, c.name, figure)).Median
			}
			w.printf("| %s | %s | %s | %s | %.0f | %.0f | %.0f | %.0f |\n", c.name, summarize(cpu).format("%.1f"), times, above,
				median(rateOf), median(p50Of), median(p99Of), median(rssOf)/(1<<20))
		}
	}
}

// format writes the middle, and the ends in brackets.
func (s spread) format(verb string) string {
	return fmt.Sprintf(verb+" ["+verb+" – "+verb+"]", s.Median, s.Min, s.Max)
}

func (r *report) writeBare(w *errWriter) {
	w.printf("\n## The bare signature\n\n" +
		"One check of a token's signature by Go's crypto packages alone, on the load's processor " +
		"while nothing else ran.\n\n| algorithm | CPU µs |\n|---|---|\n")
	for _, alg := range r.algorithms() {
		w.printf("| %s | %s |\n", alg, summarize(r.Bare[alg]).format("%.1f"))
	}
}

func (r *report) writeMemory(w *errWriter) {
	if len(r.Memory) == 0 {
		return
	}
	w.printf("\n## Memory\n\nResident memory after requests with one token, and after %d different ones of %d bytes.\n\n"+
		"| | before, MiB | after, MiB | growth, MiB |\n|---|---|---|---|\n", fillTokens, r.MemoryToken)
	for _, m := range r.Memory {
		w.printf("| %s | %.1f | %.1f | %.1f |\n", m.Name, mib(m.Before), mib(m.After), mib(m.After-m.Before))
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// errWriter keeps the first error, so that a report can be written line by line.
type errWriter struct {
	w   io.Writer
	err error
}

func (w *errWriter) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.w, format, args...)
	}
}
