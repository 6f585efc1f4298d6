//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// nodeServer is a running script that ends when its input is closed.
type nodeServer struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
}

// startNode runs a script with arguments and reads the line of JSON that it prints about itself.
func startNode(about any, args ...string) (*nodeServer, error) {
	s := &nodeServer{cmd: exec.Command("node", args...)}
	s.cmd.Stderr = &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	// Making RSA keys takes a moment; never as long as this.
	giveUp := time.AfterFunc(time.Minute, func() { _ = s.cmd.Process.Kill() })
	defer giveUp.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, about)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s(is it installed? npm ci --ignore-scripts --prefix e2e)",
			args[0], err, s.stderr.Bytes())
	}
	return s, nil
}

func (s *nodeServer) stop() {
	_ = s.stdin.Close()
	giveUp := time.AfterFunc(10*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer giveUp.Stop()
	_ = s.cmd.Wait()
}
