package certchain

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// Authorities are the roots in files, which are read again when they change. A file that becomes bad, or disappears,
// leaves its authorities as they were. They are safe for concurrent use. Nil has nothing to follow.
type Authorities struct {
	logger  *slog.Logger
	files   []*smallfile.Follower
	current atomic.Pointer[Roots] // nil until all files are read

	mu    sync.Mutex
	certs [][]*x509.Certificate // of each file
}

// Follow reads files of authorities and follows them. All must be good now. looked is called after each look at one of
// them, outside of all locks, and may call Close. The logger gets changes; nil for none.
func Follow(paths []string, logger *slog.Logger, looked func()) (*Authorities, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	a := &Authorities{logger: logger, certs: make([][]*x509.Certificate, len(paths))}
	for i, path := range paths {
		file, err := smallfile.Follow(smallfile.Watch{Path: path}, smallfile.Use{
			Take:    func(data []byte) error { return a.take(i, path, data) },
			Trouble: func(err error) { a.tell(path, err) },
			Looked:  looked,
		})
		if err != nil {
			a.Close()
			return nil, inFile(path, err)
		}
		a.files = append(a.files, file)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current.Store(newRoots(slices.Concat(a.certs...)))
	return a, nil
}

// Read is Follow for somebody who needs the authorities only once: it follows nothing.
func Read(paths []string) (*Authorities, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		data, _, err := smallfile.Read(path)
		if err != nil {
			return nil, inFile(path, err)
		}
		certificates, err := ParseAuthorities(data)
		if err != nil {
			return nil, inFile(path, err)
		}
		all = append(all, certificates...)
	}
	a := new(Authorities)
	a.current.Store(newRoots(all))
	return a, nil
}

func inFile(path string, err error) error { return fmt.Errorf("ca file %s: %w", path, err) }

// Roots are the present authorities.
func (a *Authorities) Roots() *Roots { return a.current.Load() }

// Err says why a file could not be used when it was last read. It never waits.
func (a *Authorities) Err() error {
	if a == nil {
		return nil
	}
	for _, file := range a.files {
		if err := file.Err(); err != nil {
			return inFile(file.Path(), err)
		}
	}
	return nil
}

// Close ends the watch of the files. The authorities stay as they are.
func (a *Authorities) Close() {
	if a == nil {
		return
	}
	for _, file := range a.files {
		file.Close()
	}
}

// take makes the certificates of a file its authorities.
func (a *Authorities) take(i int, path string, data []byte) error {
	certificates, err := ParseAuthorities(data)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.certs[i] = certificates
	if a.current.Load() != nil {
		a.current.Store(newRoots(slices.Concat(a.certs...)))
		a.logger.Info("certificate authorities of signers have changed", "file", path, "certificates", len(certificates))
	}
	return nil
}

// tell logs that a file cannot be used, and that this is over.
func (a *Authorities) tell(path string, err error) {
	if err == nil {
		a.logger.Info("certificate authorities of signers can be read again", "file", path)
		return
	}
	a.logger.Warn("certificate authorities of signers cannot be read: those from before stay in use",
		"file", path, "error", err)
}
