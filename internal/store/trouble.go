package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// damage is what is wrong with a file, and how to go on. It wraps ErrCorrupt.
type damage struct {
	path string
	what error
}

func (d *damage) Error() string {
	return fmt.Sprintf("the store in %s is damaged: %v. Restore a backup of the file, or move the file away: then all "+
		"that it held is forgotten, such as which tokens are revoked", d.path, d.what)
}

// Unwrap lets errors.Is find ErrCorrupt.
func (d *damage) Unwrap() error { return ErrCorrupt }

// damaged makes a damage of an error that is not nil, and is not one already.
func damaged(path string, what error) error {
	if _, already := errors.AsType[*damage](what); what == nil || already {
		return what
	}
	if _, newer := errors.AsType[errFormat](what); newer {
		return what
	}
	return &damage{path: path, what: what}
}

// panicked makes an error of what bbolt has panicked with.
func panicked(reason any) error {
	if fault, ok := reason.(runtime.Error); ok {
		return fmt.Errorf("reading it failed: %w; it may have become shorter while it was in use", fault)
	}
	return fmt.Errorf("its pages do not fit together: %.200s", fmt.Sprint(reason))
}

// whole returns an error if the file has become shorter than its pages. It is called before each transaction: where
// bbolt begins one, a fault would leave a lock locked that a writer in the middle of its commit needs.
func (f *File) whole() error {
	info, err := f.disk.Stat()
	if err != nil {
		return err
	}
	if needed := f.needed.Load(); info.Size() < needed {
		return damaged(f.path, fmt.Errorf("it has become shorter while it was in use: %d bytes, and its pages need %d",
			info.Size(), needed))
	}
	return nil
}

// inPlace returns an error if the file was removed or replaced while it is open. What is written then would be lost
// with the process. The store is not broken: it goes on when the file is back.
func (f *File) inPlace() error {
	ours, err := f.disk.Stat()
	if err != nil {
		return nil //nolint:nilerr // whole says what is wrong
	}
	there, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, there) {
		return fmt.Errorf("the store in %s is not there any more, or another file is in its place: nothing was written, "+
			"since it would be lost. Put the file back. If that cannot be done, stop Caddy and start it again: then all that "+
			"it held is forgotten", f.path)
	}
	return nil
}

// judge decides what an error of bbolt means for the store. Only a lack of space leaves it usable: nothing was written,
// and there may be space later. After anything else, such as a sync that failed, nobody knows what is on the disk: a
// later sync may succeed although the pages of this one are lost.
func (f *File) judge(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*damage](err); ok {
		return f.fail(err)
	}
	if space := lackOfSpace(err); space != nil {
		return fmt.Errorf("the store in %s cannot grow: %w (%w). Nothing was written; free some space", f.path, err, space)
	}
	return f.fail(fmt.Errorf("the store in %s failed: %w. It stays closed until the configuration is loaded again", f.path,
		err))
}

// fail marks the store as broken, and returns why it is. The first reason counts.
func (f *File) fail(err error) error {
	f.breakOnce.Do(func() {
		f.trouble = err
		close(f.broken)
	})
	return f.trouble
}

// lackOfSpace returns the lack of space because of which a file could not be written or made longer; nil for any other
// error. Bbolt keeps only the text of an error of Truncate.
func lackOfSpace(err error) error {
	wrote := strings.HasPrefix(err.Error(), "file resize error: ")
	if failed, ok := errors.AsType[*fs.PathError](err); ok && failed.Op == "write" {
		wrote = true
	}
	for _, lack := range []syscall.Errno{syscall.ENOSPC, syscall.EFBIG, syscall.EDQUOT} {
		if wrote && strings.Contains(err.Error(), lack.Error()) {
			return lack
		}
	}
	return nil
}
