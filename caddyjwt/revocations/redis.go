package revocations

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
)

// What becomes of tokens while a store that several Caddys share is out of reach.
const (
	unsyncedRefuse = "refuse"
	unsyncedAccept = "accept"

	// leastUnsynced leaves room for a question each second, and for one that fails.
	leastUnsynced = 2 * time.Second
)

// checkUnsynced refuses what cannot be meant about a store that is out of reach.
func (s Settings) checkUnsynced() error {
	field, word := "MaxUnsynced", "max_unsynced"
	if s.MaxUnsynced == 0 {
		field, word = "OnUnsynced", "on_unsynced"
	}
	isSet := s.MaxUnsynced != 0 || s.OnUnsynced != ""
	switch {
	case isSet && s.Store == nil:
		return setting.Errorf(field, "%s is about a store that several Caddys share, and there is no store: remove it, or "+
			"add \"store redis <url>\"", word)
	case isSet && s.Store.Kind != kindRedis:
		return setting.Errorf(field, "%s is about a store that several Caddys share: only this one uses store %s, so they "+
			"are always in sync; remove it", word, s.Store.Kind)
	case s.MaxUnsynced != 0 && time.Duration(s.MaxUnsynced) < leastUnsynced:
		return setting.Errorf("MaxUnsynced", "max_unsynced %v is too short: the store is asked every second, and one answer "+
			"may be late; write at least %v", time.Duration(s.MaxUnsynced), leastUnsynced)
	case s.OnUnsynced != "" && s.OnUnsynced != unsyncedRefuse && s.OnUnsynced != unsyncedAccept:
		return setting.Errorf("OnUnsynced", "on_unsynced %q: expected %s", s.OnUnsynced,
			words.Alternatives([]string{unsyncedRefuse, unsyncedAccept}))
	}
	return nil
}

func (s *Store) compileRedis(settings *words.Settings) (*place, error) {
	options, known, err := s.redisOptions(settings)
	if err != nil {
		return nil, err
	}
	var fingerprint [32]byte
	if s.TLS != nil {
		if options.TLS, fingerprint, err = s.TLS.Client(settings); err != nil {
			return nil, setting.In("TLS", setting.Wrap("tls", err))
		}
	}
	if known {
		if err := tryRedis(options); err != nil {
			return nil, setting.In("URL", setting.Wrap("store redis", err))
		}
	}
	where := shownURL(options.URL)
	if options.Prefix != redis.DefaultPrefix {
		where += " (prefix " + options.Prefix + ")"
	}
	open := func(calls *durations.Calls) (store.Store, error) {
		options.Calls = calls
		return redis.New(options)
	}
	return &place{kind: kindRedis, where: where, id: redisID(options, fingerprint), open: open}, nil
}

// redisOptions resolves placeholders. known is false while something has no value yet.
func (s *Store) redisOptions(settings *words.Settings) (options redis.Options, known bool, err error) {
	if s.URL == "" {
		return options, false, setting.Errorf("URL", "store redis needs the address of the server, such as "+
			"redis://localhost:6379/0")
	}
	options.WaitReplicas = s.WaitReplicas
	if options.Key, known, err = s.sealingKey(settings); err != nil {
		return options, false, setting.In("Key", err)
	}
	for _, text := range []struct {
		field, name, value string
		into               *string
	}{
		{"URL", "store redis", s.URL, &options.URL},
		{"Prefix", "prefix", cmp.Or(s.Prefix, redis.DefaultPrefix), &options.Prefix},
		{"SentinelUser", "sentinel_user", s.SentinelUser, &options.SentinelUser},
		{"SentinelPassword", "sentinel_password", s.SentinelPassword, &options.SentinelPassword},
	} {
		value, textKnown, err := settings.Text(text.name, text.value)
		if err == nil && textKnown && text.field == "Prefix" {
			err = checkPrefix(value)
		}
		if err != nil {
			return options, false, setting.In(text.field, err)
		}
		*text.into, known = value, known && textKnown
	}
	if s.WaitReplicas < 0 || s.WaitReplicas > redis.MaxReplicas {
		return options, false, setting.Errorf("WaitReplicas", "wait_replicas %d: expected a whole number from 0 to %d",
			s.WaitReplicas, redis.MaxReplicas)
	}
	if cure := words.ShellVariable(s.SentinelPassword); cure != "" {
		return options, false, setting.Errorf("SentinelPassword", "sentinel_password is the name of a variable: %s", cure)
	}
	if s.SentinelUser != "" && s.SentinelPassword == "" {
		return options, false, setting.Errorf("SentinelUser", "sentinel_user is without a sentinel_password: add that, or "+
			"remove the user; sentinels that want a password get user and password of the URL then")
	}
	return options, known, nil
}

func checkPrefix(text string) error {
	if redis.IsPrefix(text) {
		return nil
	}
	return fmt.Errorf("prefix %q: expected 1 to %d letters, digits and characters of \"._:/-\"", text, redis.MaxPrefix)
}

// makeAKey says how to get a key.
const makeAKey = "make one with \"openssl rand -hex 32\", keep it in a file that only Caddy can read, and write " +
	"key {file./etc/caddy/store.key} in the block of the store; all Caddys that share the store have the same one"

// sealingKey reads the key. Its errors quote nothing of it.
func (s *Store) sealingKey(settings *words.Settings) (key [32]byte, known bool, err error) {
	if s.Key == "" {
		return key, false, errors.New("store redis needs a key, which seals what is kept: " + makeAKey)
	}
	if cure := words.ShellVariable(s.Key); cure != "" {
		return key, false, errors.New("key is the name of a variable: " + cure)
	}
	text, known, err := settings.Text("key", s.Key)
	if err != nil || !known {
		return key, false, err
	}
	if words.IsPath(text) {
		return key, false, errors.New("key is the path of a file, not its content: write {file./the/path}")
	}
	if len(text) != hex.EncodedLen(len(key)) {
		return key, false, fmt.Errorf("key has %d characters, and not 64 hexadecimal digits: %s", len(text), makeAKey)
	}
	if _, err := hex.Decode(key[:], []byte(text)); err != nil { // whose text shows a character of the key
		return key, false, errors.New("key has a character that is no hexadecimal digit: " + makeAKey)
	}
	if _, err := jose.NewSecretKey("", key[:], jose.MakeAlgorithms(jose.HS256)); err != nil {
		return key, false, errors.New("key is one that others can guess: " + makeAKey)
	}
	return key, true, nil
}

// tryRedis checks the options without connecting.
func tryRedis(options redis.Options) error {
	tried, err := redis.New(options)
	if err != nil {
		return err
	}
	return tried.Close()
}

// redisID identifies a store with all of its settings. It is a hash, which shows no secret.
func redisID(options redis.Options, fingerprint [32]byte) string {
	sum := hashing.Fingerprint(struct {
		URL, Prefix, SentinelUser, SentinelPassword string
		Key, TLS                                    [32]byte
		WaitReplicas                                int
	}{
		options.URL, options.Prefix, options.SentinelUser, options.SentinelPassword, options.Key, fingerprint,
		options.WaitReplicas,
	})
	return "redis " + hex.EncodeToString(sum[:])
}

// shownURL is the address of a server without secrets: its scheme, hosts and database. What is not surely one of them
// is left out.
func shownURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || strings.Contains(u.Path, "@") { // it may be that of a user
		return kindRedis
	}
	hosts := []string{u.Host}
	for _, host := range u.Query()["addr"] {
		hosts = append(hosts, host[strings.LastIndexByte(host, '@')+1:])
	}
	shown := u.Scheme + "://" + strings.Join(hosts, ",")
	if u.Scheme == "unix" || isNumber(strings.TrimPrefix(u.Path, "/")) {
		shown += u.Path
	}
	if db := u.Query().Get("db"); isNumber(db) {
		shown += "/" + db
	}
	if set := u.Query().Get("master_set"); set != "" {
		shown += " (sentinels of " + set + ")"
	}
	return shown
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
