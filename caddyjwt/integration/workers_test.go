package integration

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Caddy's running configuration belongs to the process. So do the number of goroutines and the processor time, which
// some tests look at. Tests of one process therefore run one after another, and the tests of this package are run by
// several processes of this binary, the workers. A worker reads the name of a test from its standard input, runs it,
// and writes the test's output and then a line with the outcome.

// workersPerProcessor is the number of workers for each test that -parallel allows. Most of the time tests wait.
const workersPerProcessor = 3

// longest are tests that take seconds of processor time or many seconds of waiting. They begin first, so that no worker
// is still busy with one when the others have nothing left to do.
var longest = []string{
	"TestScaleHundredThousandConsumers", "TestScaleTenThousandIssuers", "TestAttackGuessesFromManyAddressesHoldUpNobody",
	"TestRefreshesSurviveKill9", "TestAttackIntrospectPoisonedByARefusal",
	"TestFaultSlowFormsOverEveryProtocol", "TestAttackResourceSlowForm", "TestKeysServerFailsLater",
	"TestAttackIntrospectRememberedPastItsEnd", "TestEventsOfAKeyFile", "TestKeysFileIsReplacedWhileRunning",
}

// workerVariable is set in the environment of a worker.
const workerVariable = "INTEGRATION_TEST_WORKER"

// outcomeMark begins the line of a worker that a test is over.
const outcomeMark = "\x00integration test over:"

func TestMain(m *testing.M) {
	beCaddy()
	flag.Parse()
	tokentest.AllowNames()
	if os.Getenv(workerVariable) != "" {
		_ = os.Unsetenv(workerVariable) // processes that a test starts are no workers
		os.Exit(work(m))
	}
	var code int
	if names := shareable(); len(names) > 1 {
		code = share(names)
	} else {
		code = m.Run()
	}
	fmt.Print(&attacks)
	os.Exit(code)
}

// long leaves a test out with -short. Such a test takes more than a quarter of a second of processor time, or waits for
// seconds, and quicker tests prove its rule as well. The race detector has most to find in such tests, so they run with
// it all the same.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() && !raced {
		t.Skip("long, and left out with -short")
	}
}

// work runs the tests whose names come over standard input, until it ends.
func work(m *testing.M) int {
	debug.SetGCPercent(400) // the heap of most tests is small
	began, limit := time.Now(), flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration)
	for names := bufio.NewScanner(os.Stdin); names.Scan(); {
		attacks.reset()
		code := 2
		if err := flag.Set("test.run", "^"+regexp.QuoteMeta(names.Text())+"$"); err == nil {
			code = m.Run()
		}
		fmt.Println(outcomeMark, code, attacks.tried.Load(), attacks.refused.Load(), attacks.notRun.Load())
		if limit > 0 { // it holds for all tests together
			_ = flag.Set("test.timeout", max(limit-time.Since(began), 1).String())
		}
	}
	return 0
}

// shareable gives the names of the tests that workers can share, in the order in which they begin. It gives none when
// something else is asked for that only one process can do: a profile, a benchmark, a single subtest.
func shareable() []string {
	value := func(name string) string { return flag.Lookup("test." + name).Value.String() }
	for _, name := range []string{
		"bench", "fuzz", "list", "cpuprofile", "memprofile", "blockprofile", "mutexprofile", "trace", "coverprofile",
		"gocoverdir",
	} {
		if value(name) != "" {
			return nil
		}
	}
	run, skip := value("run"), value("skip")
	if strings.Contains(run+skip, "/") || value("parallel") == "1" || value("shuffle") != "off" {
		return nil
	}
	if run == "" {
		run = "."
	}
	list, err := self("-test.list=" + run).Output()
	skipped, bad := regexp.Compile(skip)
	if err != nil || bad != nil {
		return nil
	}
	var names []string
	for name := range strings.Lines(string(list)) {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(name, "Test") && (skip == "" || !skipped.MatchString(name)) {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

// rank is the place of a test in the order in which tests begin.
func rank(name string) int {
	if i := slices.Index(longest, name); i >= 0 {
		return i
	}
	return len(longest)
}

// self is this binary as a command, with more arguments.
func self(arguments ...string) *exec.Cmd {
	binary, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exec.Command(binary, append(slices.Clone(os.Args[1:]), arguments...)...)
}

// pool is the workers and what is left for them.
type pool struct {
	mu     sync.Mutex
	names  []string // of the tests that nobody has begun
	failed bool
	hasty  bool            // stop after the first failure
	inputs map[string]bool // what go test must know of to cache the result: files read, variables asked for
}

// share runs tests in several processes, and gives the exit code of this one.
func share(names []string) int {
	n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	if err != nil {
		n = runtime.GOMAXPROCS(0)
	}
	p := &pool{names: names, hasty: flag.Lookup("test.failfast").Value.String() == "true", inputs: make(map[string]bool)}
	var workers sync.WaitGroup
	for range min(n*workersPerProcessor, len(names)) {
		workers.Go(func() {
			if err := p.serve(); err != nil {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.failed = true
				fmt.Println(err)
			}
		})
	}
	workers.Wait()
	p.writeInputs()
	frame := "" // how package testing begins a line for "go test -json"
	if flag.Lookup("test.v").Value.String() == "test2json" {
		frame = "\x16"
	}
	if p.failed {
		fmt.Println(frame + "FAIL")
		return 1
	}
	fmt.Println(frame + "PASS")
	return 0
}

// next gives the name of the next test, or "" when there is nothing more to do.
func (p *pool) next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.names) == 0 || p.failed && p.hasty {
		return ""
	}
	name := p.names[0]
	p.names = p.names[1:]
	return name
}

// serve starts a worker and gives it one test after another.
func (p *pool) serve() error {
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "inputs")
	var arguments []string
	if flag.Lookup("test.testlogfile").Value.String() != "" {
		arguments = append(arguments, "-test.testlogfile="+log)
	}
	worker := self(arguments...)
	worker.Env = append(os.Environ(), workerVariable+"=1")
	in, err := worker.StdinPipe()
	if err != nil {
		return err
	}
	out, err := worker.StdoutPipe()
	if err != nil {
		return err
	}
	worker.Stderr = worker.Stdout
	if err := worker.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	for name := p.next(); name != ""; name = p.next() {
		if _, err = io.WriteString(in, name+"\n"); err == nil {
			err = p.collect(name, lines)
		}
		if err != nil {
			break
		}
	}
	_ = in.Close()
	if err := errors.Join(err, worker.Wait()); err != nil {
		return err
	}
	if text, err := os.ReadFile(log); err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		for line := range strings.Lines(string(text)) {
			p.inputs[line] = true
		}
	}
	return nil
}

// writeInputs tells go test what the result depends on, as package testing does when it runs the tests itself.
func (p *pool) writeInputs() {
	path := flag.Lookup("test.testlogfile").Value.String()
	if path == "" {
		return
	}
	const head = "# test log\n"
	delete(p.inputs, head)
	text := head + strings.Join(slices.Sorted(maps.Keys(p.inputs)), "")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		p.failed = true
	}
}

// collect reads the output of one test, and prints it when it is complete.
func (p *pool) collect(name string, lines *bufio.Reader) error {
	var output bytes.Buffer
	for {
		line, err := lines.ReadString('\n')
		text, outcome, over := strings.Cut(line, outcomeMark)
		switch strings.TrimSpace(strings.TrimPrefix(text, "\x16")) {
		case "PASS", "FAIL": // one is printed for all tests together
		default:
			output.WriteString(text)
		}
		if err == nil && !over {
			continue
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		_, _ = os.Stdout.Write(output.Bytes())
		if err != nil {
			return fmt.Errorf("--- FAIL: %s: the process of the test has ended: %w", name, err)
		}
		var code int
		var tried, refused, notRun int64
		if _, err := fmt.Sscan(outcome, &code, &tried, &refused, &notRun); err != nil {
			return fmt.Errorf("--- FAIL: %s: outcome %q: %w", name, outcome, err)
		}
		attacks.tried.Add(tried)
		attacks.refused.Add(refused)
		attacks.notRun.Add(notRun)
		p.failed = p.failed || code != 0
		return nil
	}
}
