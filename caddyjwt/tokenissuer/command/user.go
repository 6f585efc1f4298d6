package command

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"

	"github.com/caddyjwt/gateway/internal/users"
)

func userCommand() *cobra.Command {
	return group("user hash", "Makes hashes of passwords", `
Makes hashes of passwords, for the word "user" and for files of users.`, userHashCommand())
}

// Algorithms of hashes.
const (
	withBcrypt = "bcrypt"
	withArgon2 = "argon2id"
)

// hashOptions are the flags of "user hash".
type hashOptions struct {
	algorithm string
	cost      int
}

func userHashCommand() *cobra.Command {
	o := new(hashOptions)
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "Makes the hash of a password",
		Long: `
Reads a password from standard input, and prints its hash. On a terminal it asks for the password twice, without showing
it. Elsewhere the password is all of the input, without the line end behind it.

The password is never an argument: other users of the machine can see arguments, and the shell keeps them in its
history. bcrypt looks at 72 bytes, so longer passwords are refused. Files of users have bcrypt only, and all users of an
issuer need hashes of the same algorithm.`,
		Example: `  caddy token-issuer user hash
  caddy token-issuer user hash --cost 12 < password.txt`,
		Args: takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addTo(cmd, withBcrypt, "bcrypt or argon2id")
	return cmd
}

func (o *hashOptions) addTo(cmd *cobra.Command, algorithm, usage string) {
	flags := cmd.Flags()
	flags.StringVar(&o.algorithm, "algorithm", algorithm, usage)
	flags.IntVar(&o.cost, "cost", bcrypt.DefaultCost,
		fmt.Sprintf("Cost of bcrypt, from %d to %d: each step doubles the time", users.MinCost, users.MaxCost))
}

// checkFlags refuses flags that cannot be meant.
func (o *hashOptions) checkFlags(cmd *cobra.Command) error {
	switch {
	case o.algorithm != withBcrypt && o.algorithm != withArgon2:
		return errors.New("--algorithm: expected bcrypt or argon2id")
	case o.algorithm == withArgon2 && cmd.Flags().Changed("cost"):
		return errors.New("--cost is that of bcrypt: leave it out")
	case o.cost < users.MinCost || o.cost > users.MaxCost:
		return fmt.Errorf("--cost: expected a number from %d to %d", users.MinCost, users.MaxCost)
	}
	return nil
}

func (o *hashOptions) run(cmd *cobra.Command) error {
	if err := o.checkFlags(cmd); err != nil {
		return err
	}
	password, err := readPassword(cmd)
	if err != nil {
		return err
	}
	defer clear(password)
	if err := o.check(password); err != nil {
		return err
	}
	hash, err := o.hash(password)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(hash))
	return err
}

func (o *hashOptions) hash(password []byte) ([]byte, error) {
	if o.algorithm == withArgon2 {
		return argon2Hash(password, usualArgon2), nil
	}
	return bcrypt.GenerateFromPassword(password, o.cost)
}

// check refuses a password with which nobody could sign in.
func (o *hashOptions) check(password []byte) error {
	switch {
	case len(password) == 0:
		return errors.New("the password is empty")
	case o.algorithm == withBcrypt && len(password) > users.MaxBcrypt:
		return fmt.Errorf("the password has more than the %d bytes that bcrypt looks at: take a shorter one, or argon2id",
			users.MaxBcrypt)
	case len(password) > users.MaxPassword:
		return fmt.Errorf("the password has more than %d bytes", users.MaxPassword)
	case bytes.ContainsRune(password, 0), bytes.ContainsAny(password, "\r\n"):
		return errors.New("the password has a line end or a NUL: give the password alone")
	case !utf8.Valid(password):
		return errors.New("the password is not UTF-8, so no client could send it")
	}
	return nil
}

// argon2Costs are what decides how long a hash of argon2id takes (RFC 9106 section 3.1).
type argon2Costs struct {
	memory, passes uint32 // memory in KiB
	threads        uint8
}

// usualArgon2 is what Caddy has, with 46 MiB.
var usualArgon2 = argon2Costs{memory: 46 << 10, passes: 1, threads: 1}

// argon2CostsOf are those of a hash that was checked.
func argon2CostsOf(hash string) (c argon2Costs, err error) {
	_, err = fmt.Sscanf(hash, "$argon2id$v=19$m=%d,t=%d,p=%d$", &c.memory, &c.passes, &c.threads)
	return c, err
}

// argon2Hash is a hash in the form of the reference implementation.
func argon2Hash(password []byte, c argon2Costs) []byte {
	const size = 32
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.passes, c.threads,
		text(salt), text(argon2.IDKey(password, salt, c.passes, c.memory, c.threads, size)))
}

// readPassword reads a password from standard input. A terminal does not show it.
func readPassword(cmd *cobra.Command) ([]byte, error) {
	fd, is := terminalOf(cmd.InOrStdin())
	if !is {
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), users.MaxPassword+3))
		if err != nil {
			return nil, errors.New("the password cannot be read from standard input")
		}
		if line, has := bytes.CutSuffix(text, []byte("\n")); has {
			text = bytes.TrimSuffix(line, []byte("\r"))
		}
		return text, nil
	}
	password, err := askPassword(cmd, fd, "Password: ")
	if err != nil {
		return nil, err
	}
	again, err := askPassword(cmd, fd, "The same again: ")
	if err != nil {
		return nil, err
	}
	defer clear(again)
	if subtle.ConstantTimeCompare(password, again) != 1 {
		return nil, errors.New("the two passwords are not the same")
	}
	return password, nil
}

// askPassword reads a line that the terminal does not show. If the user interrupts it, the terminal shows all again.
func askPassword(cmd *cobra.Command, fd int, prompt string) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, errors.New("the terminal cannot be asked for a password")
	}
	interrupted, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupted, os.Interrupt)
	defer signal.Stop(interrupted)
	defer close(over)
	go func() {
		select {
		case <-interrupted:
			_ = term.Restore(fd, before)
			os.Exit(1)
		case <-over:
		}
	}()
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	password, err := term.ReadPassword(fd)
	fmt.Fprintln(cmd.ErrOrStderr())
	if err != nil {
		return nil, errors.New("the password cannot be read from the terminal")
	}
	return password, nil
}

// terminalOf is the descriptor of a terminal, if input comes from one.
func terminalOf(in io.Reader) (fd int, is bool) {
	file, isFile := in.(*os.File)
	if !isFile {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}
