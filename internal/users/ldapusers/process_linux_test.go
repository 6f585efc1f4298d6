package ldapusers_test

import (
	"os/exec"
	"syscall"
)

// endWithUs ends a process when the test program ends, however that happens.
func endWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
