package main

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// comparison is one run of everything.
type comparison struct {
	options
	layout     layout
	backend    *backend
	base       setup
	contenders []contender
	prepared   map[string]*work // by algorithm
	report     report
}

// work is what the load sends for one algorithm.
type work struct {
	signer           *signer
	pemFile, setFile string
	warm             [][]byte            // requests that are not measured
	requests         map[string][][]byte // by workload
	token            string              // one good token
}

const (
	// coldRate bounds the requests per second for which different tokens are made beforehand: more than any gateway
	// that checks them can do on one processor. A run that has used them all up ends early.
	coldRate = 26000
	// warmRequests are sent before each measurement.
	warmRequests = 1500
)

func newComparison(o options, dir string) (_ *comparison, err error) {
	c := &comparison{options: o, layout: divide(), prepared: make(map[string]*work)}
	c.base = setup{dir: dir, caddy: o.caddy, haproxy: lookHAProxy()}
	for _, contender := range contenders(c.base.haproxy) {
		if c.wanted(&contender) {
			c.contenders = append(c.contenders, contender)
		}
	}
	c.report.describe(&o, &c.layout, c.base.haproxy)
	c.report.contenders = c.contenders
	for _, alg := range o.algs {
		w, err := c.prepare(alg)
		if err != nil {
			return nil, err
		}
		c.prepared[alg] = w
	}
	// Pinned only now, since minting may use all processors.
	if err = c.layout.pinSelf(); err != nil {
		return nil, err
	}
	if c.backend, err = startBackend(); err != nil {
		return nil, err
	}
	c.base.backend = c.backend.addr
	return c, nil
}

// wanted reports whether -only selects a contender. What others are compared with always takes part.
func (c *comparison) wanted(x *contender) bool {
	return c.only == "" || len(x.floor) == 0 || x.name == signatureName ||
		strings.Contains(strings.ToLower(x.name), strings.ToLower(c.only))
}

// prepare makes the requests of all work with one algorithm.
func (c *comparison) prepare(alg string) (*work, error) {
	s, err := newSigner(alg)
	if err != nil {
		return nil, err
	}
	w := &work{signer: s}
	if w.pemFile, w.setFile, err = s.writeKeys(c.base.dir); err != nil {
		return nil, err
	}
	n := int(c.duration.Seconds()*coldRate) + 1
	progress("minting %d %s tokens …", n+warmRequests, alg)
	tokens := s.mintAll(n + warmRequests)
	w.token = tokens[0]
	w.warm = requestsFor(tokens[:warmRequests])
	spoiled := make([]string, 1000)
	for i := range spoiled {
		spoiled[i] = spoil(tokens[i])
	}
	w.requests = map[string][][]byte{
		hot1:   w.warm[:1],
		hot100: w.warm[:100],
		cold:   requestsFor(tokens[warmRequests:]),
		reject: requestsFor(spoiled),
	}
	return w, nil
}

// requestsFor writes requests down, ready to be sent.
func requestsFor(tokens []string) [][]byte {
	list := make([][]byte, len(tokens))
	for i, token := range tokens {
		list[i] = fmt.Appendf(nil, "GET /orders/42 HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n"+
			"Authorization: Bearer %s\r\n\r\n", token)
	}
	return list
}

// measure does everything, round by round.
func (c *comparison) measure() error {
	progress("%s; this takes about %v", c.layout.note, c.estimate().Round(10*time.Second))
	for round := range c.rounds {
		for _, alg := range c.algs {
			progress("round %d of %d, %s", round+1, c.rounds, alg)
			if err := c.block(round, alg); err != nil {
				return fmt.Errorf("round %d, %s: %w", round+1, alg, err)
			}
		}
	}
	if c.memory {
		progress("memory")
		return c.measureMemory()
	}
	return nil
}

// estimate is how long measuring takes: starting a gateway and warming it up takes about a quarter of a second.
func (c *comparison) estimate() time.Duration {
	count := 0
	for i := range c.contenders {
		for _, workload := range c.work {
			for _, alg := range c.algs {
				if c.contenders[i].takesPart(workload, alg) {
					count += c.rounds
				}
			}
		}
	}
	total := time.Duration(count) * (c.duration + 260*time.Millisecond)
	if c.memory {
		total += 25 * time.Second
	}
	return total
}

// block measures all work of all contenders with one algorithm once. The contenders are started anew, so that nothing
// of an earlier round is in their caches.
func (c *comparison) block(round int, alg string) error {
	w := c.prepared[alg]
	bare, err := w.signer.measureBare(w.token, 100*time.Millisecond)
	if err != nil {
		return err
	}
	c.report.addBare(alg, bare)
	for _, workload := range c.work {
		var taking []contender
		for _, x := range c.contenders {
			if x.takesPart(workload, alg) {
				taking = append(taking, x)
			}
		}
		if len(taking) == 0 {
			return fmt.Errorf("nobody does the work %q; there are %v", workload, allWorkloads)
		}
		// Another one begins in each round.
		taking = slices.Concat(taking[round%len(taking):], taking[:round%len(taking)])
		for _, x := range taking {
			m, err := c.one(w, x, workload)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", workload, x.name, err)
			}
			m.Round, m.Algorithm = round, alg
			c.report.Measurements = append(c.report.Measurements, m)
		}
	}
	return nil
}

// one measures one contender doing one kind of work.
func (c *comparison) one(w *work, x contender, workload string) (measurement, error) {
	want := http.StatusOK
	if workload == reject {
		want = http.StatusUnauthorized
	}
	requests, probe := w.requests[workload], w.warm[0]
	if workload == reject {
		probe = requests[0]
	}
	g, err := c.start(w, x, probe, want)
	if err != nil {
		return measurement{}, err
	}
	defer g.stop()
	l, err := newLoad(g.addr, c.conns, requests, workload == cold, want)
	if err != nil {
		return measurement{}, err
	}
	defer l.close()
	if err := l.warmUp(w, workload); err != nil {
		return measurement{}, err
	}
	runtime.GC() // not while measuring
	before, err := cpuTime(g.cmd.Process.Pid)
	if err != nil {
		return measurement{}, err
	}
	proxied := c.backend.answers.Load()
	out, err := l.run(c.duration, 1<<40)
	if err != nil {
		return measurement{}, fmt.Errorf("%w\n%s", err, &g.log)
	}
	proxied = c.backend.answers.Load() - proxied
	if due := requestsDue(out.requests, want); proxied != due {
		return measurement{}, fmt.Errorf("%d requests reached the backend, and %d should have", proxied, due)
	}
	after, err := cpuTime(g.cmd.Process.Pid)
	if err != nil {
		return measurement{}, err
	}
	if out.requests == 0 {
		return measurement{}, errors.New("no request was answered")
	}
	stat, err := readStat(g.cmd.Process.Pid)
	return newMeasurement(x.name, workload, out, after-before, stat.rss), err
}

// requestsDue is how many requests must have reached the backend: all, or none.
func requestsDue(sent, status int) int64 {
	if status != http.StatusOK {
		return 0
	}
	return int64(sent)
}

func (c *comparison) start(w *work, x contender, request []byte, want int) (*gateway, error) {
	s := c.base
	s.signer, s.pemFile, s.setFile = w.signer, w.pemFile, w.setFile
	return start(&c.layout, x, s, request, want)
}

// warmUp has the gateway do the same work, with other tokens if each may be used only once.
func (l *load) warmUp(w *work, workload string) error {
	requests := l.requests
	if workload == cold {
		requests = w.warm
	}
	warm := load{conns: l.conns, requests: requests, want: l.want}
	_, err := warm.run(time.Minute, warmRequests)
	return err
}

// programVersion is the first line of what a program says about itself.
func programVersion(program string, args ...string) string {
	text, err := exec.Command(program, args...).Output()
	if err != nil {
		return "unknown version"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
