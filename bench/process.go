package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// gateway is a contender that is running.
type gateway struct {
	contender
	addr  string
	cmd   *exec.Cmd
	log   bytes.Buffer
	ended chan struct{}
}

// startLimit is how long a gateway may take to answer its first request.
const startLimit = 30 * time.Second

// start runs a contender and waits until it answers a request with the status wanted.
func start(l *layout, c contender, s setup, request []byte, want int) (*gateway, error) {
	g := &gateway{contender: c, ended: make(chan struct{})}
	var err error
	if g.addr, err = freeAddress(); err != nil {
		return nil, err
	}
	s.listen = g.addr
	if s.dir, err = os.MkdirTemp(s.dir, "gateway"); err != nil {
		return nil, err
	}
	if g.cmd, err = c.command(&s); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	if g.cmd.Env == nil {
		g.cmd.Env = os.Environ()
	}
	g.cmd.Env = append(g.cmd.Env, "HOME="+s.dir,
		"XDG_DATA_HOME="+filepath.Join(s.dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(s.dir, "config"))
	g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
	// Nothing stays behind, whatever ends this program.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := l.onGateway(g.cmd.Start); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	go func() {
		_ = g.cmd.Wait() // it is killed in the end
		close(g.ended)
	}()
	if err := g.awaitReady(request, want); err != nil {
		g.stop()
		return nil, fmt.Errorf("%s does not work: %w\n%s\n%s", c.name, err, g.cmd, &g.log)
	}
	return g, nil
}

func (g *gateway) awaitReady(request []byte, want int) error {
	var last error
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-g.ended:
			return errors.New("it has ended")
		default:
		}
		if last = g.probe(request, want); last == nil {
			return nil
		}
	}
	return last
}

func (g *gateway) probe(request []byte, want int) error {
	c, err := dial(g.addr)
	if err != nil {
		return err
	}
	defer func() { c.conn.Close() }()
	status, err := c.exchange(request)
	if err == nil && status != want {
		err = fmt.Errorf("status %d, want %d", status, want)
	}
	return err
}

func (g *gateway) stop() {
	_ = g.cmd.Process.Kill()
	<-g.ended
}

// freeAddress finds a port that nobody has. If another process takes it before the gateway does, the start fails.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
