package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/caddyjwt/gateway/internal/causes"
)

// maxMoves bounds how often nodes of a cluster may send us to each other.
const maxMoves = 5

// askSentinelsEvery is how often the sentinels are asked whether another server has become the primary.
const askSentinelsEvery = time.Second

// finder finds the server that takes writes. It remembers which address was good, so that one that is silent costs
// time only once.
type finder struct {
	mu    sync.Mutex
	order []string // addresses, the best first
	last  string   // the server that was found last
}

// candidates are the addresses in the order in which they are tried.
func (f *finder) candidates(s *settings) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.order == nil {
		f.order = slices.Clone(s.addresses)
	}
	return slices.Clone(f.order)
}

// prefer puts a good address before the others.
func (f *finder) prefer(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.order = slices.DeleteFunc(f.order, func(other string) bool { return other == address })
	f.order = slices.Insert(f.order, 0, address)
}

// found notes the server that was found. An empty one only reads.
func (f *finder) found(address string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if address != "" {
		f.last = address
	}
	return f.last
}

// name is the server in errors: the one that was found last, or else the first address.
func (s *server) name() string {
	if last := s.found(""); last != "" {
		return last
	}
	return s.addresses[0]
}

// connect finds the server that takes writes, and connects to it.
func (s *server) connect() (*link, error) {
	var failures []error
	for _, address := range s.candidates(s.settings) {
		l, err := s.connectBy(address)
		if err == nil {
			s.prefer(address)
			s.found(l.address)
			return l, nil
		}
		failures = append(failures, err)
		if s.life.Err() != nil {
			break
		}
	}
	return nil, joined(failures)
}

// joined makes one line of several errors.
func joined(failures []error) error {
	err := failures[0]
	for _, next := range failures[1:] {
		err = fmt.Errorf("%w; %w", err, next)
	}
	return err
}

// connectBy connects to the server that an address leads to: itself, the node of a cluster, or what a sentinel says.
func (s *server) connectBy(address string) (*link, error) {
	if s.masterSet == "" {
		return s.connectTo(address, maxMoves)
	}
	primary, err := s.askSentinel(address)
	if err != nil {
		return nil, err
	}
	l, err := s.greet(primary, false)
	if l != nil {
		l.sentinels = true
	}
	return l, err
}

// connectTo connects to a server, or to the node of its cluster that has our keys.
func (s *server) connectTo(address string, moves int) (*link, error) {
	l, err := s.greet(address, len(s.addresses) > 1)
	if err != nil {
		return nil, err
	}
	next, err := s.movedTo(l)
	if err == nil && next == "" {
		return l, nil
	}
	s.leave(l)
	if err == nil && moves == 0 {
		err = fmt.Errorf("redis at %s is %w: the nodes of the cluster send us to each other", address, ErrOutOfReach)
	}
	if err != nil {
		return nil, err
	}
	return s.connectTo(next, moves-1)
}

// greet connects to an address, and checks that it is what the URL says: a primary, or a node of a cluster.
func (s *server) greet(address string, clustered bool) (*link, error) {
	l, err := newLink(s.life, s.settings, address, credentials{s.user, s.password, s.database}, s.timeout, s.leave)
	if err != nil {
		return nil, s.explain(address, err)
	}
	s.own(l)
	ctx, cancel := context.WithTimeout(s.life, s.timeout)
	defer cancel()
	about, err := l.client.Do(ctx, l.client.B().Arbitrary("HELLO", "2").Build()).AsStrMap()
	if err != nil {
		err = s.explain(address, err)
	} else {
		err = checkServer(address, about, clustered)
	}
	if err != nil {
		s.leave(l)
		return nil, err
	}
	return l, nil
}

// checkServer returns an error if what a server says about itself does not fit the URL.
func checkServer(address string, about map[string]string, clustered bool) error {
	var wrong string
	switch {
	case about["mode"] == "sentinel":
		wrong = "it is a sentinel: add master_set=<name> to the URL"
	case clustered && about["mode"] != "cluster":
		wrong = "it is not the node of a cluster: write one address, or add master_set=<name> if these are sentinels"
	case about["mode"] != "cluster" && about["role"] != "master":
		wrong = advice["READONLY"]
	case tooOld(about["version"]):
		wrong = "it has version " + causes.Quote(about["version"]) + ", and 6.2 or newer is needed"
	default:
		return nil
	}
	return fmt.Errorf("redis at %s cannot be used (%w): %s", address, ErrRefused, wrong)
}

// tooOld reports whether a version is known to be before 6.2, which brought GETDEL, and ranges without their ends.
func tooOld(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err == nil && err2 == nil && (major < 6 || major == 6 && minor < 2)
}

// movedTo returns the address of the node that has our keys, or nothing if it is this one.
func (s *server) movedTo(l *link) (string, error) {
	ctx, cancel := context.WithTimeout(s.life, s.timeout)
	defer cancel()
	err := l.client.Do(ctx, l.client.B().Arbitrary("GET", s.vault.key(kindAbout, epochName)).Build()).Error()
	if err == nil || rueidis.IsRedisNil(err) {
		return "", nil
	}
	answered, ok := rueidis.IsRedisErr(err)
	if !ok || refusalCode(answered.Error()) != "MOVED" {
		return "", s.explain(l.address, err)
	}
	next, err := movedAddress(l.address, answered.Error())
	if err != nil {
		return "", fmt.Errorf("redis at %s is %w: %w", l.address, ErrOutOfReach, err)
	}
	return next, nil
}

// movedAddress reads "MOVED <slot> <host>:<port>". Without a host, it is that of the node that says so.
func movedAddress(from, text string) (string, error) {
	words := strings.Fields(text)
	if len(words) != 3 {
		return "", errors.New("it does not say which node of the cluster has the data")
	}
	at := strings.LastIndexByte(words[2], ':')
	if at < 0 {
		return "", errors.New("it does not say which node of the cluster has the data")
	}
	host, port := strings.Trim(words[2][:at], "[]"), words[2][at+1:]
	if host == "" || host == "?" {
		host, _, _ = net.SplitHostPort(from) // it was dialed, so it is one
	}
	return announced(host, port)
}

// announced is an address that a server has told. It is checked, because it is dialed.
func announced(host, port string) (string, error) {
	number, err := strconv.ParseUint(port, 10, 16)
	foreign := func(r rune) bool { return !strings.ContainsRune(hostCharacters, r) }
	if err != nil || number == 0 || host == "" || len(host) > 255 || strings.ContainsFunc(host, foreign) {
		return "", fmt.Errorf("it tells the address %s, which is none", causes.Quote(host+":"+port))
	}
	return net.JoinHostPort(host, strconv.FormatUint(number, 10)), nil
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%"

// askSentinel asks a sentinel for the address of the primary.
func (s *server) askSentinel(address string) (string, error) {
	words, err := s.question(address, credentials{user: s.sentinelUser, password: s.sentinelPassword})
	refused, ok := rueidis.IsRedisErr(err)
	if ok && s.sentinelPassword == "" && refusalCode(refused.Error()) == "NOAUTH" {
		// A sentinel decides to which server the password is sent, so it may as well have it.
		words, err = s.question(address, credentials{user: s.user, password: s.password})
	}
	if err != nil && !rueidis.IsRedisNil(err) {
		return "", fmt.Errorf("sentinel: %w", s.explain(address, err))
	}
	if len(words) != 2 {
		return "", fmt.Errorf("the sentinel at %s knows no primary with the name of master_set in the URL (%w)",
			address, ErrRefused)
	}
	primary, err := announced(words[0], words[1])
	if err != nil {
		return "", fmt.Errorf("the sentinel at %s is %w: %w", address, ErrOutOfReach, err)
	}
	return primary, nil
}

// question connects to a sentinel for one question.
func (s *server) question(address string, c credentials) ([]string, error) {
	l, err := newLink(s.life, s.settings, address, c, s.timeout, func(*link) {})
	if err != nil {
		return nil, err
	}
	defer l.end()
	ctx, cancel := context.WithTimeout(s.life, s.timeout/2)
	defer cancel()
	ask := l.client.B().Arbitrary("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.masterSet)
	return l.client.Do(ctx, ask.Build()).AsStrSlice()
}

// follow asks the sentinels again and again, and leaves a link to a server that is no longer the primary. A primary
// that was cut off from its sentinels does not know that it was replaced.
func (s *server) follow(l *link) {
	for {
		select {
		case <-time.After(askSentinelsEvery):
		case <-l.over:
			return
		case <-s.life.Done():
			return
		}
		for _, address := range s.candidates(s.settings) {
			primary, err := s.askSentinel(address)
			if err != nil {
				continue
			}
			s.prefer(address)
			if primary != l.address {
				s.leave(l)
			}
			break
		}
	}
}
