package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/redis/rueidis"

	"github.com/caddyjwt/gateway/internal/causes"
)

var (
	// ErrOutOfReach means that no server was reached, or that it did not answer in time, or not in the protocol. Whether
	// a write is in the store is unknown.
	ErrOutOfReach = errors.New("out of reach")
	// ErrRefused means that the server has answered that it does not do what was asked.
	ErrRefused = errors.New("refused")
	// ErrFewReplicas means that a write is at the server, but not at as many replicas as it has to be. It may be lost.
	ErrFewReplicas = errors.New("too few replicas have it")
)

// nonsense is an answer that breaks the protocol.
type nonsense struct{ error }

func (n *nonsense) Unwrap() error { return n.error }

// advice says for the code of a refusal what to do.
var advice = map[string]string{
	"NOAUTH":      "it wants a password: write it into the URL, redis://<user>:<password>@<host>",
	"WRONGPASS":   "user or password in the URL are wrong; special characters must be percent-encoded",
	"NOPERM":      "its user needs more rights: those that the manual lists for the store",
	"READONLY":    "it is a replica: write the address of the primary, or those of the sentinels with master_set",
	"OOM":         "its memory is full: raise maxmemory",
	"MISCONF":     "it cannot write to its disk: see its log",
	"LOADING":     "it has just started, and still reads its data: wait",
	"BUSY":        "it runs a script of somebody else for too long: end that one with SCRIPT KILL",
	"NOREPLICAS":  "it has fewer replicas than its min-replicas-to-write says",
	"MASTERDOWN":  "it is a replica without its primary",
	"CLUSTERDOWN": "its cluster is not complete: see CLUSTER INFO",
	"TRYAGAIN":    "its cluster moves data between nodes: wait",
	"ASK":         "its cluster moves data between nodes: wait",
	"MOVED":       "its cluster has moved the data to another node",
	"WRONGTYPE":   "somebody else uses the same keys: choose another prefix",
	"NOSCRIPT":    "it forgets scripts at once",
	"UNKILLABLE":  "it runs a script of somebody else for too long",
}

// leaving are the codes after which another server may be the right one.
var leaving = map[string]bool{
	"READONLY": true, "LOADING": true, "MASTERDOWN": true, "CLUSTERDOWN": true, "MOVED": true, "ASK": true, "NOAUTH": true,
	"NOREPLICAS": true, "UNBLOCKED": true,
}

var (
	codes = regexp.MustCompile(`^[A-Z]{2,20}\b`)
	// Before Redis 7, the error of a command in a script is somewhere in that of the script.
	nested = regexp.MustCompile(`-([A-Z]{2,20}) `)
	// What the server says of an unknown command has its arguments, and so the password.
	arguments = regexp.MustCompile(`(?s),? *with args.*`)
)

// refusalCode is the first word of an error, or that of the error inside of it.
func refusalCode(text string) string {
	code := codes.FindString(text)
	if strings.Contains(text, "can't run this command") { // what Redis 7 says of a command in a script
		return "NOPERM"
	}
	if code != "ERR" || !strings.Contains(text, "rror running script") {
		return code
	}
	if inner := nested.FindStringSubmatch(text); inner != nil {
		return inner[1]
	}
	return code
}

// refusal is an error that the server has answered.
type refusal struct {
	code    string
	address string
	text    string
}

// Error says what the server has said, and what to do.
func (r *refusal) Error() string {
	text := fmt.Sprintf("redis at %s has %v: %s", r.address, ErrRefused, causes.Quote(r.text))
	switch {
	case strings.Contains(r.text, "SELECT is not allowed in cluster mode"):
		return text + "; a cluster has no numbered databases: leave the number out of the URL"
	case strings.Contains(r.text, "unknown command") && strings.Contains(r.text, "ommand 'HELLO'"),
		strings.Contains(r.text, "unknown command `HELLO`"):
		return text + "; Redis 6.2 or newer is needed, or Valkey"
	case strings.Contains(r.text, "invalid DB index"), strings.Contains(r.text, "DB index is out of range"):
		return text + "; it has no database of the number in the URL"
	}
	if a := advice[r.code]; a != "" {
		return text + "; " + a
	}
	return text
}

// Is reports that this is a refusal.
func (r *refusal) Is(target error) bool { return target == ErrRefused }

// explain makes an error of rueidis one of ours. The password is in none of them.
func (s *settings) explain(address string, err error) error {
	if answered, ok := rueidis.IsRedisErr(err); ok {
		text := arguments.ReplaceAllString(answered.Error(), "")
		for _, secret := range []string{s.password, s.sentinelPassword} {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "...")
			}
		}
		return &refusal{code: refusalCode(text), address: address, text: text}
	}
	if errors.Is(err, rueidis.Nil) || rueidis.IsParseErr(err) {
		err = &nonsense{errors.New("its answer makes no sense: is it Redis or Valkey?")}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSilent
	}
	return fmt.Errorf("redis at %s is %w: %s", address, ErrOutOfReach, causes.Line(err))
}
