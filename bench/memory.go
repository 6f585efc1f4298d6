package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"time"
)

// fillTokens are more tokens than fit into the cache at its default size.
const fillTokens = 60000

// memoryUse is what a process had resident, in bytes.
type memoryUse struct {
	Name   string `json:"name"`
	Before int64  `json:"before"` // after some thousand requests with one token
	After  int64  `json:"after"`  // after each of fillTokens tokens was sent once more than its cache can hold
}

// measureMemory fills the token caches. The tokens are made with HMAC, because that takes no time; after verification
// they are like any others. Caddy without a gate, given the same requests, shows what the cache has no part in.
func (c *comparison) measureMemory() error {
	w, err := c.prepareMemory()
	if err != nil {
		return err
	}
	withoutCache := func(s *setup) (*exec.Cmd, error) { return gateWith(s, "cache off") }
	for _, x := range []contender{
		{name: plainName, command: caddyfile("")},
		{name: gatewayName, command: gate},
		{name: gatewayName + ", cache off", command: withoutCache},
	} {
		m, err := c.fill(w, x)
		if err != nil {
			return fmt.Errorf("memory: %s: %w", x.name, err)
		}
		c.report.Memory = append(c.report.Memory, m)
	}
	return nil
}

func (c *comparison) prepareMemory() (*work, error) {
	s, err := newSigner("HS256")
	if err != nil {
		return nil, err
	}
	tokens := s.mintAll(fillTokens)
	c.report.MemoryToken = len(tokens[0])
	twice := make([]string, 0, 2*len(tokens)) // the cache keeps a token from the second time on
	for _, token := range tokens {
		twice = append(twice, token, token)
	}
	return &work{signer: s, warm: requestsFor(tokens[:1]), requests: map[string][][]byte{cold: requestsFor(twice)}}, nil
}

func (c *comparison) fill(w *work, x contender) (memoryUse, error) {
	m := memoryUse{Name: x.name}
	g, err := c.start(w, x, w.warm[0], http.StatusOK)
	if err != nil {
		return m, err
	}
	defer g.stop()
	l, err := newLoad(g.addr, c.conns, w.warm, false, http.StatusOK)
	if err != nil {
		return m, err
	}
	defer l.close()
	for _, step := range []struct {
		requests [][]byte
		resident *int64
	}{{w.warm, &m.Before}, {w.requests[cold], &m.After}} {
		l.requests = step.requests
		if _, err := l.run(time.Minute, max(20000, len(step.requests))); err != nil {
			return m, err
		}
		stat, err := readStat(g.cmd.Process.Pid)
		if err != nil {
			return m, err
		}
		*step.resident = stat.rss
	}
	return m, nil
}

// growth is how much more memory than before the named process has.
func (r *report) growth(name string) (bytes int64, ok bool) {
	i := slices.IndexFunc(r.Memory, func(m memoryUse) bool { return m.Name == name })
	if i < 0 {
		return 0, false
	}
	return r.Memory[i].After - r.Memory[i].Before, true
}
