package bearer

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
)

const (
	// DefaultFormMemory bounds the memory that the forms of all clients take together in this process.
	DefaultFormMemory = 32 << 20

	// grantedForm is what each form may always take, so that ordinary forms are read while strangers hold large ones. A
	// client can make a server hold as much anyway, in the header.
	grantedForm = 16 << 10

	// shareOfFree: one form may take an eighth of the free memory, so that something is left for the next, smaller form.
	shareOfFree = 8
)

// FormMemory bounds the memory of all forms that are read to look for a token. It is safe for concurrent use.
type FormMemory struct {
	limit int64
	held  atomic.Int64 // beyond what is granted to each form
}

// NewFormMemory makes a separate bound. Extractors without one share one.
func NewFormMemory(limit int64) *FormMemory { return &FormMemory{limit: limit} }

// Held is how many bytes forms hold now, not counting the 16 KiB that each may always take.
func (m *FormMemory) Held() int64 { return m.held.Load() }

// allForms is the bound for all extractors of the process.
var allForms = NewFormMemory(DefaultFormMemory)

// share is the memory that one form takes. It grows with what has arrived, not with what was announced: an announcement
// costs a client nothing.
type share struct {
	memory *FormMemory
	taken  atomic.Int64
}

// grow takes the memory for a text of this size, and reports whether there was enough. Only one goroutine calls it,
// before anybody can call release.
func (s *share) grow(size int64) bool {
	need := max(0, size-grantedForm)
	for {
		held, taken := s.memory.held.Load(), s.taken.Load()
		others := held - taken
		if need > taken && need > (s.memory.limit-others)/shareOfFree {
			return false
		}
		if s.memory.held.CompareAndSwap(held, others+need) {
			s.taken.Store(need)
			return true
		}
	}
}

// release gives everything back. It may be called more than once.
func (s *share) release() { s.memory.held.Add(-s.taken.Swap(0)) }

// releaseAfter releases when the request of this context is over.
func (s *share) releaseAfter(ctx context.Context) {
	if s.taken.Load() > 0 {
		context.AfterFunc(ctx, s.release)
	}
}

// pieces are a text in the pieces in which it arrived. Memory grows with what has arrived, not with what was announced.
// It grows by adding a piece: copying the text to a larger buffer would leave the smaller one to the garbage collector.
type pieces struct {
	list [][]byte
	size int64
}

// A piece is as large as what there is already, but no smaller and no larger than these.
const smallestPiece, largestPiece = 4 << 10, 64 << 10

// nextPiece is how large the next piece of a text of this size should be. It has room for one byte more than was
// announced or may be read. That byte shows whether the body has ended, or is too large.
func nextPiece(size, announced, limit int64) int64 {
	next := min(max(size, smallestPiece), largestPiece, limit+1-size)
	if announced >= size {
		next = min(next, announced+1-size)
	}
	return next
}

// room is where the next bytes go.
func (p *pieces) room() []byte {
	if len(p.list) == 0 {
		return nil
	}
	last := p.list[len(p.list)-1]
	return last[len(last):cap(last)]
}

func (p *pieces) grow(size int64) []byte {
	p.list = append(p.list, make([]byte, 0, size))
	return p.room()
}

// fill counts the bytes that were written into room.
func (p *pieces) fill(n int) {
	if n > 0 {
		last := &p.list[len(p.list)-1]
		*last = (*last)[:len(*last)+n]
		p.size += int64(n)
	}
}

func (p *pieces) join() string {
	var text strings.Builder
	text.Grow(int(p.size))
	for _, piece := range p.list {
		text.Write(piece)
	}
	return text.String()
}

func (p *pieces) reader() io.Reader {
	readers := make([]io.Reader, len(p.list))
	for i, piece := range p.list {
		readers[i] = bytes.NewReader(piece)
	}
	return io.MultiReader(readers...)
}
