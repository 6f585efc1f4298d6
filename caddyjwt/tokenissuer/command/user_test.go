package command

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/internal/users"
)

// run runs a command with this standard input.
func run(in io.Reader, command *cobra.Command, args ...string) (out, asked string, err error) {
	var stdout, stderr bytes.Buffer
	command.SetOut(&stdout)
	command.SetErr(&stderr)
	command.SetIn(in)
	command.SetArgs(args)
	command.SilenceUsage, command.SilenceErrors = true, true
	err = command.Execute()
	return stdout.String(), stderr.String(), err
}

// signsIn reports whether a user with this hash can sign in with a password.
func signsIn(t *testing.T, hash, password string) bool {
	t.Helper()
	config := users.InlineConfig{Accounts: []users.Account{{Name: "alice", Hash: hash}}}
	if strings.HasPrefix(hash, "$argon2") {
		config.Comparer = caddyauth.Argon2idHash{}
	}
	inline, err := users.NewInline(config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = inline.Check(t.Context(), "alice", password)
	return err == nil
}

func TestTheHashOfAPassword(t *testing.T) {
	long := strings.Repeat("ä", 36) // 72 bytes
	for _, of := range []struct {
		stdin, password string
		flags           []string
		cost            int // 0 for argon2id
	}{
		{"secret", "secret", nil, 10},
		{"secret\n", "secret", nil, 10},
		{" secret \r\n", " secret ", []string{"--cost", "4"}, 4},
		{long + "\n", long, []string{"--algorithm", "bcrypt", "--cost=5"}, 5},
		{long + long + "\n", long + long, []string{"--algorithm", "argon2id"}, 0},
	} {
		out, asked, err := run(strings.NewReader(of.stdin), userHashCommand(), of.flags...)
		if err != nil || asked != "" {
			t.Errorf("%q %q: %v %s", of.stdin, of.flags, err, asked)
			continue
		}
		hash, has := strings.CutSuffix(out, "\n")
		if cost, err := bcrypt.Cost([]byte(hash)); !has || of.cost > 0 && (err != nil || cost != of.cost) {
			t.Errorf("%q: %q has cost %d: %v", of.flags, out, cost, err)
		}
		if !signsIn(t, hash, of.password) || signsIn(t, hash, of.password+"x") {
			t.Errorf("%q: the hash is not one of the password alone", of.flags)
		}
	}
}

func TestPasswordsAndFlagsThatAreRefused(t *testing.T) {
	for _, of := range []struct {
		stdin, says string
		flags       []string
	}{
		{"", "empty", nil},
		{"\n", "empty", nil},
		{strings.Repeat("x", 73), "72 bytes", nil},
		{strings.Repeat("x", 5000), "72 bytes", nil},
		{strings.Repeat("x", 1025) + "\n", "1024 bytes", []string{"--algorithm", "argon2id"}},
		{"swordfish\nswordfish\n", "line end", nil},
		{"sword\x00fish", "NUL", nil},
		{"sword\xfffish", "UTF-8", nil},
		{"swordfish", "from 4 to 16", []string{"--cost", "17"}},
		{"swordfish", "from 4 to 16", []string{"--cost", "3"}},
		{"swordfish", "leave it out", []string{"--algorithm", "argon2id", "--cost", "10"}},
		{"swordfish", "bcrypt or argon2id", []string{"--algorithm", "md5"}},
		{"swordfish", "flags only", []string{"swordfish"}},
	} {
		out, asked, err := run(strings.NewReader(of.stdin), userHashCommand(), of.flags...)
		if err == nil || !strings.Contains(err.Error(), of.says) {
			t.Errorf("%.20q %q: %v", of.stdin, of.flags, err)
		}
		if err != nil && strings.Contains(err.Error()+out+asked, "swordfish") {
			t.Errorf("it shows the password: %v", err)
		}
	}
}
