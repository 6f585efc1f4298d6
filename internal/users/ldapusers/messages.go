package ldapusers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

const (
	// maxMessage is the greatest length of one message of a server, in bytes.
	maxMessage = 256 << 10
	// maxTraffic is how many bytes a server may send on one connection.
	maxTraffic = 1 << 20
	// maxControls is the greatest length of the controls of a message, in bytes. They are decoded twice.
	maxControls = 4 << 10
	// maxElements is how many elements one message may have.
	maxElements = 4096
	// maxDepth is how deeply they may be nested. The values of an entry are at 5 (RFC 4511 section 4.5.2).
	maxDepth = 6
)

// The operations of answers (RFC 4511 section 4.2.2, 4.5.2 and 4.12), as the numbers of their tags.
const (
	bindResponse     = 1
	searchEntry      = 4
	searchDone       = 5
	searchReference  = 19
	extendedResponse = 24
)

var (
	errMalformed  = errors.New("what it sends is not LDAP (RFC 4511 section 5.1)")
	errTooMuch    = errors.New("it sends too much")
	errUnexpected = errors.New("it sends an answer that nobody has asked for")
)

// messages is a connection that hands on only whole messages, after a look at each. The decoder behind it copies each
// element once for each element around it: without bounds, a few bytes can take all memory.
type messages struct {
	net.Conn
	wanted atomic.Uint32 // a bit for each operation that may come

	// These are of the one goroutine that reads.
	pending []byte
	left    int

	mu    sync.Mutex
	first error
}

func newMessages(conn net.Conn) *messages { return &messages{Conn: conn, left: maxTraffic} }

// want says which operations may come from now on.
func (m *messages) want(operations ...int) {
	var bits uint32
	for _, operation := range operations {
		bits |= 1 << operation
	}
	m.wanted.Store(bits)
}

// Read implements io.Reader.
func (m *messages) Read(p []byte) (int, error) {
	if len(m.pending) == 0 {
		next, err := m.next()
		if err != nil {
			return 0, m.note(err)
		}
		m.pending = next
	}
	n := copy(p, m.pending)
	m.pending = m.pending[n:]
	return n, nil
}

// Write implements io.Writer.
func (m *messages) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	return n, m.note(err)
}

// note remembers the first error. The library turns errors into texts, and what has come of a connection is lost.
func (m *messages) note(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first == nil {
		m.first = err
	}
	return err
}

func (m *messages) trouble() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first
}

// next reads one message, and not a byte more: behind the last message before TLS is TLS.
func (m *messages) next() ([]byte, error) {
	text, start, err := readMessage(m.Conn, min(maxMessage, m.left))
	if err != nil {
		return nil, err
	}
	m.left -= len(text)
	elements := maxElements
	if err := checkElements(text[start:], 1, &elements); err != nil {
		return nil, err
	}
	return text, checkMessage(text[start:], m.wanted.Load())
}

// readMessage reads one SEQUENCE with a definite length (RFC 4511 section 5.1). start is where its content starts.
func readMessage(from io.Reader, most int) (text []byte, start int, err error) {
	var head [6]byte
	if _, err := io.ReadFull(from, head[:2]); err != nil {
		return nil, 0, err
	}
	start = 2
	if head[1] > 0x80 && head[1] <= 0x84 {
		start += int(head[1] - 0x80)
		if _, err := io.ReadFull(from, head[2:start]); err != nil {
			return nil, 0, err
		}
	}
	_, length, ok := header(head[:start])
	switch {
	case !ok || head[0] != 0x30:
		return nil, 0, errMalformed
	case length > most-start:
		return nil, 0, errTooMuch
	}
	text = append(make([]byte, 0, start+length), head[:start]...)[:start+length]
	_, err = io.ReadFull(from, text[start:])
	return text, start, err
}

// header reads the tag and the length of an element. It takes only the forms that RFC 4511 uses: tags of one byte, and
// definite lengths.
func header(text []byte) (size, length int, ok bool) {
	switch {
	case len(text) < 2 || text[0]&0x1f == 0x1f:
		return 0, 0, false
	case text[1] < 0x80:
		return 2, int(text[1]), true
	}
	bytes := int(text[1] - 0x80)
	if bytes == 0 || bytes > 4 || len(text) < 2+bytes {
		return 0, 0, false
	}
	var number [4]byte
	copy(number[4-bytes:], text[2:])
	value := binary.BigEndian.Uint32(number[:])
	return 2 + bytes, int(value & 0x7fffffff), value <= 0x7fffffff
}

// checkElements checks elements that stand one after the other, and all that is in them.
func checkElements(text []byte, depth int, left *int) error {
	for len(text) > 0 {
		size, length, ok := header(text)
		*left--
		switch {
		case !ok || length > len(text)-size || !known(text[0], length):
			return errMalformed
		case *left < 0:
			return errTooMuch
		}
		if text[0]&0x20 != 0 {
			if depth == maxDepth {
				return fmt.Errorf("%w: nested too deeply", errMalformed)
			}
			if err := checkElements(text[size:size+length], depth+1, left); err != nil {
				return err
			}
		}
		text = text[size+length:]
	}
	return nil
}

// known reports whether LDAP has this type. All others of ASN.1 would only reach code that nobody needs.
func known(tag byte, length int) bool {
	switch tag {
	case 0x01: // BOOLEAN
		return length == 1
	case 0x02, 0x0a: // INTEGER and ENUMERATED; maxInt has 4 bytes (RFC 4511 section 4.1.1)
		return length >= 1 && length <= 4
	case 0x04, 0x30, 0x31: // OCTET STRING, SEQUENCE, SET
		return true
	}
	return tag&0xc0 != 0
}

// checkMessage checks what a message consists of (RFC 4511 section 4.1.1): a number, an operation, and controls.
func checkMessage(text []byte, wanted uint32) error {
	parts := make([][]byte, 0, 3)
	for len(text) > 0 && len(parts) < cap(parts) {
		size, length, _ := header(text)
		parts = append(parts, text[:size+length])
		text = text[size+length:]
	}
	switch {
	case len(text) > 0 || len(parts) < 2 || parts[0][0] != 0x02 || parts[1][0]&0xe0 != 0x60:
		return errMalformed
	case len(parts) == 3 && parts[2][0] != 0xa0:
		return errMalformed
	case len(parts) == 3 && len(parts[2]) > maxControls:
		return errTooMuch
	case wanted>>(parts[1][0]&0x1f)&1 == 0:
		return errUnexpected
	}
	return nil
}
