// Package revocations connects revoked tokens with Caddy: the store that a configuration names, what gates see of it,
// and the admin API that writes to it.
package revocations

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/store"
)

// The kinds of a Store.
const (
	kindMemory = "memory"
	kindFile   = "file"
	kindRedis  = "redis"
)

// Store is where revoked tokens are kept.
type Store struct {
	// "file" keeps the state in a file, which survives restarts. Only one Caddy can use it at a time. "redis" keeps it in
	// a Redis or Valkey server, for several Caddys at a time. "memory" forgets everything when Caddy stops: tokens that
	// were revoked are good again. It is for trying out.
	Kind string `json:"kind"`
	// Of the kind "file": the path of the file, which is made if it does not exist. Placeholders are resolved. Default:
	// bearer_auth/store.db in Caddy's data directory.
	Path string `json:"path,omitempty"`
	// Of the kind "redis": the server, as redis://<user>:<password>@<host>:<port>/<database>, or rediss:// for TLS, or
	// unix:// for a socket. "addr=<host>:<port>" in the query adds servers of a cluster, or sentinels; "master_set=<name>"
	// makes them sentinels. No log and no error shows user or password. Required. Placeholders are resolved.
	URL string `json:"url,omitempty"`
	// Of the kind "redis": the key that seals all that is kept there, in 64 hexadecimal digits, the same for all Caddys
	// that share the store. "openssl rand -hex 32" makes one. Whoever has it can read what is kept, and with access to the
	// server can change it. Required. Placeholders are resolved; use {file./path} or {env.NAME}.
	Key string `json:"key,omitempty"`
	// Of the kind "redis": what all names of keys at the server begin with, so that several stores can share a server: 1
	// to 64 letters, digits and characters of "._:/-". Default: "bearer_auth". Placeholders are resolved.
	Prefix string `json:"prefix,omitempty"`
	// Of the kind "redis": TLS settings, for a URL with rediss://. Default: the system's certificate authorities.
	TLS *clienttls.TLS `json:"tls,omitempty"`
	// Of the kind "redis": how many replicas must have a revocation until it counts as kept, at most 100. Default: 0; the
	// server alone.
	WaitReplicas int `json:"wait_replicas,omitempty"`
	// Of the kind "redis": the user at the sentinels. Default: the user of the URL, if the sentinels want a password.
	// Placeholders are resolved.
	SentinelUser string `json:"sentinel_user,omitempty"`
	// Of the kind "redis": the password of the sentinels. Default: that of the URL, if they want one. Placeholders are
	// resolved; use {file./path} or {env.NAME}.
	SentinelPassword string `json:"sentinel_password,omitempty"`
}

// StoreUsage is what follows the word store.
var StoreUsage = []string{kindMemory, kindFile + " [<path>]", kindRedis + " <url>"}

// StoreTable has the words of the block of a store that several Caddys share.
var StoreTable = words.Table[Store]{Name: "store", Words: []words.Word[Store]{
	{Name: "key", Usage: []string{"<hex>"}, Reader: words.Text(func(s *Store) *string { return &s.Key })},
	{Name: "prefix", Usage: []string{"<text>"}, Reader: words.Text(func(s *Store) *string { return &s.Prefix })},
	{Name: "sentinel_user", Usage: []string{"<name>"},
		Reader: words.Text(func(s *Store) *string { return &s.SentinelUser })},
	{Name: "sentinel_password", Usage: []string{"<password>"},
		Reader: words.Text(func(s *Store) *string { return &s.SentinelPassword })},
	{Name: "tls", Reader: words.Only(func(s *Store) **clienttls.TLS { return &s.TLS }, &clienttls.Table)},
	{Name: "wait_replicas", Usage: []string{"<n>"}, Reader: words.Number(func(s *Store) *int { return &s.WaitReplicas })},
}}

// ReadStore reads what follows the word store. The field of its struct is "Store".
func ReadStore(b *words.Block, into **Store) error {
	args := b.Args()
	switch {
	case len(args) == 1 && (args[0] == kindMemory || args[0] == kindFile):
		*into = &Store{Kind: args[0]}
	case len(args) == 2 && args[0] == kindFile && args[1] != "":
		*into = &Store{Kind: kindFile, Path: args[1]}
	case len(args) == 2 && args[0] == kindRedis && args[1] != "":
		*into = &Store{Kind: kindRedis, URL: args[1]}
		return words.ReadInto(b, "Store", &StoreTable, *into)
	default:
		return b.WrongUsage("it says where revoked tokens are kept")
	}
	return nil
}

// Settings are what the global option says about revoked tokens. The JSON of the app describes the fields.
type Settings struct {
	Store       *Store // nil for none
	MaxUnsynced caddy.Duration
	OnUnsynced  string
}

// Check refuses settings that cannot be meant, whatever placeholders stand for.
func (s Settings) Check() error {
	_, err := s.compile(words.NewDeferringSettings())
	return err
}

// place is a store that is not open yet.
type place struct {
	kind string
	// where names the store for people, without secrets: the path of a file, "memory", or the address of a server.
	where string
	// id is the same for settings that are alike, within this process.
	id          string
	open        func(*durations.Calls) (store.Store, error)
	maxUnsynced time.Duration // zero for a store that is never out of sync
	// accepts has gates go on with what they know while the store is out of reach.
	accepts bool
}

// compile checks the settings, and resolves placeholders. It returns nil without a store.
func (s Settings) compile(settings *words.Settings) (*place, error) {
	if err := s.checkUnsynced(); err != nil {
		return nil, err
	}
	if s.Store == nil {
		return nil, nil //nolint:nilnil // no store is no error
	}
	p, err := s.Store.compile(settings)
	if err != nil {
		return nil, setting.In("Store", err)
	}
	if s.Store.Kind == kindRedis {
		p.maxUnsynced, p.accepts = time.Duration(s.MaxUnsynced), s.OnUnsynced == unsyncedAccept
		if p.maxUnsynced == 0 {
			p.maxUnsynced = revoke.DefaultUnsynced
		}
		p.id = fmt.Sprint(p.id, " ", p.maxUnsynced) // the open store has it
	}
	return p, nil
}

func (s *Store) compile(settings *words.Settings) (*place, error) {
	if err := s.checkFields(); err != nil {
		return nil, err
	}
	switch s.Kind {
	case kindMemory:
		open := func(*durations.Calls) (store.Store, error) { return store.NewMemory(), nil }
		return &place{kind: kindMemory, where: kindMemory, id: kindMemory, open: open}, nil
	case kindFile:
		return s.compileFile(settings)
	default:
		return s.compileRedis(settings)
	}
}

// checkFields refuses a kind that does not exist, and fields that another kind has.
func (s *Store) checkFields() error {
	if s.Kind != kindMemory && s.Kind != kindFile && s.Kind != kindRedis {
		return setting.Errorf("Kind", "store %q: expected %s", s.Kind,
			words.Alternatives([]string{kindMemory, kindFile, kindRedis}))
	}
	return words.CheckKind("store", s.Kind, []words.OfKind{
		{Field: "Path", Word: "a path", Given: s.Path != "", Only: kindFile},
		{Field: "URL", Word: "a url", Given: s.URL != "", Only: kindRedis},
		{Field: "Key", Word: "a key", Given: s.Key != "", Only: kindRedis},
		{Field: "Prefix", Word: "a prefix", Given: s.Prefix != "", Only: kindRedis},
		{Field: "TLS", Word: "tls", Given: s.TLS != nil, Only: kindRedis},
		{Field: "WaitReplicas", Word: "wait_replicas", Given: s.WaitReplicas != 0, Only: kindRedis},
		{Field: "SentinelUser", Word: "sentinel_user", Given: s.SentinelUser != "", Only: kindRedis},
		{Field: "SentinelPassword", Word: "sentinel_password", Given: s.SentinelPassword != "", Only: kindRedis},
	})
}

func (s *Store) compileFile(settings *words.Settings) (*place, error) {
	path, _, err := settings.Text("store", s.Path)
	if err != nil {
		return nil, setting.In("Path", err)
	}
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "bearer_auth", "store.db")
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, setting.In("Path", err)
	}
	open := func(*durations.Calls) (store.Store, error) { return store.OpenFile(path, store.FileOptions{}) }
	return &place{kind: kindFile, where: path, id: path, open: open}, nil
}
