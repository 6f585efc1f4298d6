// Package revocations connects revoked tokens with Caddy: the store that a configuration names, what gates see of it,
// and the admin API that writes to it.
package revocations

import (
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/store"
)

// The kinds of a Store.
const (
	kindMemory = "memory"
	kindFile   = "file"
)

// Store is where revoked tokens are kept.
type Store struct {
	// "file" keeps the state in a file, which survives restarts. Only one Caddy can use it at a time. "memory" forgets
	// everything when Caddy stops: tokens that were revoked are good again. It is for trying out.
	Kind string `json:"kind"`
	// Of the kind "file": the path of the file, which is made if it does not exist. Placeholders are resolved. Default:
	// bearer_auth/store.db in Caddy's data directory.
	Path string `json:"path,omitempty"`
}

// StoreUsage is what follows the word store.
var StoreUsage = []string{kindMemory, kindFile + " [<path>]"}

// ReadStore reads what follows the word store.
func ReadStore(b *words.Block, into **Store) error {
	args := b.Args()
	switch {
	case len(args) == 1 && (args[0] == kindMemory || args[0] == kindFile):
		*into = &Store{Kind: args[0]}
	case len(args) == 2 && args[0] == kindFile && args[1] != "":
		*into = &Store{Kind: kindFile, Path: args[1]}
	default:
		return b.WrongUsage("it says where revoked tokens are kept")
	}
	return nil
}

// Check refuses settings that cannot be meant, whatever placeholders stand for.
func (s *Store) Check() error {
	if s == nil {
		return nil
	}
	_, err := s.compile(words.NewDeferringSettings())
	return err
}

// compile checks the settings, and resolves placeholders.
func (s *Store) compile(settings *words.Settings) (where string, err error) {
	switch s.Kind {
	case kindMemory:
		if s.Path != "" {
			return "", setting.Errorf("Path", "store memory has no path: remove it, or write store file %s", s.Path)
		}
		return kindMemory, nil
	case kindFile:
		path, _, err := settings.Text("store", s.Path)
		if err != nil {
			return "", setting.In("Path", err)
		}
		if path == "" {
			path = filepath.Join(caddy.AppDataDir(), "bearer_auth", "store.db")
		}
		if path, err = filepath.Abs(path); err != nil {
			return "", setting.In("Path", err)
		}
		return path, nil
	default:
		return "", setting.Errorf("Kind", "store %q: expected %s", s.Kind, words.Alternatives([]string{kindMemory, kindFile}))
	}
}

// open opens the store.
func (s *Store) open(where string) (store.Store, error) {
	if s.Kind == kindMemory {
		return store.NewMemory(), nil
	}
	opened, err := store.OpenFile(where, store.FileOptions{})
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", s.Kind, err)
	}
	return opened, nil
}
