package gate

import (
	"slices"
	"sync"
)

// buffers lends the memory in which a token is hashed or decoded. Nothing may keep a reference to it.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// maxBuffer is the largest buffer that is kept, so that a few giant tokens do not pin memory.
const maxBuffer = 64 << 10

// borrow returns a buffer of n bytes.
func borrow(n int) *[]byte {
	buf := buffers.Get().(*[]byte)
	*buf = slices.Grow((*buf)[:0], n)[:n]
	return buf
}

// release erases a buffer and gives it back. It leaves a large one to the garbage collector.
func release(buf *[]byte) {
	clear(*buf)
	if cap(*buf) <= maxBuffer {
		buffers.Put(buf)
	}
}
