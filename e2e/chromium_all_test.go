//go:build e2e && e2eall

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// chromium is a running headless Chromium. It is driven by the Chrome DevTools Protocol over two pipes, one JSON text
// after another, each with a zero byte behind it. So nothing but the browser must be installed.
type chromium struct {
	commands io.WriteCloser

	mu      sync.Mutex
	asked   int
	answers map[int]chan<- message
	pages   map[string]*page // by session
}

// message is an answer, which has an ID, or an event, which has a Method.
type message struct {
	ID        int             `json:"id"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	SessionID string          `json:"sessionId"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// preferences allow cookies of other sites, as most browsers do, so that only the gate is left to stop them.
const preferences = `{"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": false}}`

// patient is how long the browser may take for anything.
const patient = 30 * time.Second

// startChromium runs the browser of this machine. It finds every host below ".test" at one address, and no other host.
// It trusts one certificate, by the hash of its public key.
func startChromium(t *testing.T, address, publicKeyHash string) *chromium {
	t.Helper()
	return startChromiumWith(t, map[string]string{"*.test": address},
		"--ignore-certificate-errors-spki-list="+publicKeyHash)
}

// startChromiumWith runs the browser of this machine. It finds these hosts, each at its address, and no other host: no
// request leaves the machine. A host with a port is meant with that alone.
func startChromiumWith(t *testing.T, hosts map[string]string, flags ...string) *chromium {
	t.Helper()
	binary := findChromium()
	if binary == "" {
		t.Skip("Chromium is not installed (Debian: apt-get install chromium): nothing is tested in a browser")
	}
	dir, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.MkdirAll(filepath.Join(dir, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Default", "Preferences"), []byte(preferences), 0o600); err != nil {
		t.Fatal(err)
	}
	read, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}

	var rules strings.Builder
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		fmt.Fprintf(&rules, "MAP %s %s , ", host, hosts[host])
	}
	cmd := exec.Command(binary, append([]string{"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + dir,
		"--no-sandbox", // it runs as root in containers, and sees only the pages of these tests
		"--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-extensions",
		"--host-resolver-rules=" + rules.String() + "MAP * ~NOTFOUND",
	}, flags...)...)
	cmd.ExtraFiles = []*os.File{read, write} // descriptors 3 and 4, as Chromium expects
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Start()
	_, _ = read.Close(), write.Close()
	if err != nil {
		t.Fatal(err)
	}
	c := &chromium{commands: commands, answers: map[int]chan<- message{}, pages: map[string]*page{}}
	listened := make(chan struct{})
	go func() { c.listen(answers); close(listened) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		_ = c.call(ctx, "", "Browser.close", nil, nil)
		_ = commands.Close()
		giveUp := time.AfterFunc(patient, func() { _ = cmd.Process.Kill() })
		defer giveUp.Stop()
		_ = cmd.Wait()
		_ = answers.Close()
		<-listened
		if t.Failed() {
			t.Logf("Chromium says:\n%s", stderr.Bytes())
		}
	})
	return c
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// listen hands each message to who waits for it, until the browser ends.
func (c *chromium) listen(answers io.Reader) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, answer := range c.answers {
			close(answer)
		}
		c.answers = nil
	}()
	reader := bufio.NewReader(answers)
	for {
		text, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m); err != nil {
			return
		}
		c.mu.Lock()
		answer, p := c.answers[m.ID], c.pages[m.SessionID]
		delete(c.answers, m.ID)
		c.mu.Unlock()
		switch {
		case answer != nil:
			answer <- m
		case p != nil:
			p.add(m)
		}
	}
}

// call sends a command, in the session of a page if one is named, and reads its result.
func (c *chromium) call(ctx context.Context, session, method string, params map[string]any, result any) error {
	answer := make(chan message, 1)
	c.mu.Lock()
	if c.answers == nil {
		c.mu.Unlock()
		return errors.New("the browser has ended")
	}
	c.asked++
	command := map[string]any{"id": c.asked, "method": method}
	c.answers[c.asked] = answer
	if session != "" {
		command["sessionId"] = session
	}
	if params != nil {
		command["params"] = params
	}
	text, err := json.Marshal(command)
	if err == nil {
		_, err = c.commands.Write(append(text, 0)) // under the lock: commands must not mix
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return errors.New("the browser has ended")
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// page is a tab. All tabs of a browser share its cookies.
type page struct {
	browser *chromium
	session string

	mu     sync.Mutex
	events []message
	more   chan struct{} // has one element when events were added
}

// open opens an empty tab.
func (c *chromium) open(t *testing.T) *page {
	t.Helper()
	var made struct{ TargetID, SessionID string }
	// Not in a context of its own: that would be a private one, which does not send cookies from other sites.
	c.must(t, "", "Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	c.must(t, "", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &made)
	p := &page{browser: c, session: made.SessionID, more: make(chan struct{}, 1)}
	c.mu.Lock()
	c.pages[p.session] = p
	c.mu.Unlock()
	c.must(t, p.session, "Page.enable", nil, nil)
	c.must(t, p.session, "Network.enable", nil, nil)
	return p
}

func (c *chromium) must(t *testing.T, session, method string, params map[string]any, result any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	if err := c.call(ctx, session, method, params, result); err != nil {
		t.Fatal(err)
	}
}

func (p *page) add(event message) {
	p.mu.Lock()
	p.events = append(p.events, event)
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// take returns the events so far.
func (p *page) take() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

// run evaluates the body of an async function, and reads what it returns.
func (p *page) run(t *testing.T, script string, result any) {
	t.Helper()
	var done struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	p.browser.must(t, p.session, "Runtime.evaluate", map[string]any{
		"expression": "(async () => {" + script + "\n})()", "awaitPromise": true, "returnByValue": true,
	}, &done)
	if done.ExceptionDetails != nil {
		t.Fatalf("the page's script fails: %s", done.ExceptionDetails.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(done.Result.Value, result); err != nil {
		t.Fatalf("the page's script: %v in %s", err, done.Result.Value)
	}
}

// visit goes to an address as if a user had typed it, and returns the status of the document.
func (p *page) visit(t *testing.T, address string) int {
	t.Helper()
	return p.leads(t, func() {
		p.browser.must(t, p.session, "Page.navigate", map[string]any{"url": address}, nil)
	})
}

// leads does what makes the page load another document, and returns the status of that.
func (p *page) leads(t *testing.T, act func()) (status int) {
	t.Helper()
	p.take()
	act()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	for {
		for _, event := range p.take() {
			var about struct {
				Type, ErrorText string
				Response        struct{ Status int }
			}
			_ = json.Unmarshal(event.Params, &about)
			switch {
			case event.Method == "Network.responseReceived" && about.Type == "Document":
				status = about.Response.Status
			case event.Method == "Network.loadingFailed" && about.Type == "Document" && status == 0:
				t.Fatalf("no document: %s", about.ErrorText)
			case status != 0 && (event.Method == "Page.loadEventFired" ||
				event.Method == "Network.loadingFailed" && about.Type == "Document"): // a refusal without a body
				return status
			}
		}
		select {
		case <-p.more:
		case <-ctx.Done():
			t.Fatal("no other document is loaded")
		}
	}
}
