package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestStatFileIsReadByTheFieldsOfItsManual(t *testing.T) {
	const rest = " S 1 4242 4242 0 -1 4194560 25000 0 0 0 250 125 7 9 20 0 11 0 123456 1288490188 3072 " +
		"18446744073709551615"
	page := int64(os.Getpagesize())
	for _, name := range []string{"caddy", "a program (with) brackets", "x) S 1 2 3", ""} {
		got, err := parseStat([]byte("4242 (" + name + ")" + rest + "\n"))
		if err != nil {
			t.Errorf("name %q: %v", name, err)
			continue
		}
		// utime 250 and stime 125 ticks; the 7 and 9 after them are of children that were waited for.
		if want := 3750 * time.Millisecond; got.cpu != want {
			t.Errorf("name %q: processor time %v, want %v", name, got.cpu, want)
		}
		if want := 3072 * page; got.rss != want {
			t.Errorf("name %q: resident %d, want %d", name, got.rss, want)
		}
	}
}

func TestBrokenStatFileIsAnError(t *testing.T) {
	for _, text := range []string{"", "4242", "4242 (caddy", "4242 (caddy)", "4242 (caddy) S 1 2 3",
		"4242 (caddy) S" + strings.Repeat(" x", 40)} {
		if got, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

// The processor time of another process must be that of its stat file, only finer.
func TestProcessorTimeOfAnotherProcess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	deadline := time.Now().Add(20 * time.Second)
	for {
		fine, err := cpuTime(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		stat, err := readStat(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if stat.cpu >= 50*time.Millisecond {
			// The stat file was read later, and is cut off to whole ticks, of utime and stime each.
			if later := stat.cpu + 20*time.Millisecond; fine > later {
				t.Errorf("%v, and the stat file has %v later", fine, stat.cpu)
			}
			if fine < stat.cpu/2 {
				t.Errorf("%v, and the stat file has %v", fine, stat.cpu)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the process uses no processor time")
		}
	}
}
