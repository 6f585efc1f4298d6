package command

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
)

// openTerminal opens a terminal: what a user types, and the side of the command.
func openTerminal(t *testing.T) (user, command *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { _ = user.Close() })
	var number, unlock uint32
	for request, argument := range map[uintptr]*uint32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		//nolint:gosec // the address of a variable that lives until the call is over
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, user.Fd(), request, uintptr(unsafe.Pointer(argument))); e != 0 {
			t.Fatal(e)
		}
	}
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Close() })
	return user, command
}

func TestOnATerminalThePasswordIsAskedForTwiceAndNotShown(t *testing.T) {
	for typed, says := range map[string]string{
		"swordfish\nswordfish\n": "", "swordfish\nsword\n": "not the same",
	} {
		user, command := openTerminal(t)
		go func() {
			first, second, _ := strings.Cut(typed, "\n")
			fmt.Fprint(user, first+"\n"+second)
		}()
		out, asked, err := run(command, userHashCommand(), "--cost", "4")
		if asked != "Password: \nThe same again: \n" {
			t.Errorf("it asks %q", asked)
		}
		if says != "" {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Error(err)
			}
		} else if err != nil || !signsIn(t, strings.TrimSpace(out), "swordfish") {
			t.Errorf("%q: %v", out, err)
		}
		if strings.Contains(out+asked, "swordfish") {
			t.Error("the password is shown")
		}
	}
}

// Only the word "reset" resets, on a terminal. Nothing else does, and "rotate" needs no word.
func TestOnATerminalResetAsksFirst(t *testing.T) {
	var changes []string
	socket := filepath.Join(t.TempDir(), "a")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == orders.IssuersPath {
			fmt.Fprint(w, `{"issuers": [{"issuer": "https://as.example"}]}`)
			return
		}
		order, err := orders.ReadChange(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		changes = append(changes, string(order.Action)+" "+order.Issuer)
		fmt.Fprint(w, `{"issuer": "https://as.example", "keys": []}`)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	defer func() { _ = server.Close(); <-done }()

	for _, typed := range []string{"\n", "y\n", "yes\n", "rotate\n", "RESET\n", "\x04"} {
		user, command := openTerminal(t)
		fmt.Fprint(user, typed)
		out, asked, err := run(command, keysCommand(), "reset", "--address", "unix/"+socket)
		if err == nil || len(changes) > 0 {
			t.Errorf("%q: %v, %q\n%s", typed, err, changes, out)
		}
		if !strings.Contains(asked, `Issuer "https://as.example". `+resets) {
			t.Errorf("it asks %q", asked)
		}
	}
	user, command := openTerminal(t)
	fmt.Fprint(user, "reset\n")
	out, _, err := run(command, keysCommand(), "reset", "--address", "unix/"+socket)
	if err != nil || !strings.HasPrefix(out, "reset: all tokens are refused") {
		t.Errorf("%v\n%s", err, out)
	}
	_, command = openTerminal(t)
	out, asked, err := run(command, keysCommand(), "rotate", "--address", "unix/"+socket)
	if err != nil || asked != "" || !strings.HasPrefix(out, "rotated: another key signs, and no token is refused") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := strings.Join(changes, ", "); got != "reset https://as.example, rotate https://as.example" {
		t.Error(got)
	}
}
