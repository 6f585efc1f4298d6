package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// ReadBody reads the whole body of a request and puts it back, so that whoever comes next reads it as it was sent. It
// reads at most DefaultMaxForm bytes, in the memory that all forms share. The body counts until somebody has read it,
// or until the context of the request ends. A body that has been read before is not read again. Reading blocks until
// the client has sent the body: see ReadsBody.
//
// The error is ErrOverloaded, or it wraps ErrBodyTooLarge or ErrBodyRead.
func ReadBody(r *http.Request) (string, error) {
	return bodyReader{max: DefaultMaxForm, memory: allForms, tooLarge: errOverDefault}.read(r)
}

var errOverDefault = overLimit(DefaultMaxForm)

func overLimit(limit int64) error {
	return fmt.Errorf("%w: it has more than %d bytes", ErrBodyTooLarge, limit)
}

// bodyReader reads bodies within bounds.
type bodyReader struct {
	max      int64 // bytes of one body
	memory   *FormMemory
	tooLarge error // for a body of more than max
}

// formBody is a request body that was read to its end and put back. It stays in memory until somebody has read it, or
// until the request is over.
type formBody struct {
	io.Closer
	rest  strings.Reader
	text  string
	share *share
}

func newFormBody(text string, source io.Closer, share *share) *formBody {
	body := &formBody{Closer: source, text: text, share: share}
	body.rest.Reset(text)
	return body
}

// whole reports whether nobody has read the body since it was put back.
func (b *formBody) whole() bool { return b.rest.Len() == len(b.text) }

func (b *formBody) Read(p []byte) (int, error) {
	n, err := b.rest.Read(p)
	b.forgetRead()
	return n, err
}

// WriteTo writes what is left of the body. HasRead recognises a body by it.
func (b *formBody) WriteTo(w io.Writer) (int64, error) {
	n, err := b.rest.WriteTo(w)
	b.forgetRead()
	return n, err
}

// forgetRead drops a text that has been read to its end, because the request may go on for hours.
func (b *formBody) forgetRead() {
	if b.rest.Len() == 0 {
		b.text = ""
		b.rest.Reset("")
		b.share.release()
	}
}

// HasRead reports whether the whole body of the request has been read and put back, by Extract or by an earlier
// handler. A body in memory is an io.WriterTo; one that a client is still sending is not.
func HasRead(r *http.Request) bool {
	body := r.Body
	for {
		wrapped, ok := body.(interface{ Unwrap() io.ReadCloser })
		if !ok {
			break
		}
		body = wrapped.Unwrap()
	}
	_, whole := body.(io.WriterTo)
	return whole
}

// read reads the body to its end and puts it back. If the body is too large, breaks off or finds no room, the part that
// was read is put back before the rest.
func (b bodyReader) read(r *http.Request) (string, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return "", nil
	}
	if r.ContentLength > b.max {
		// Nothing is read, so a client that waits for "100 Continue" gets the answer before it sends the body.
		return "", b.tooLarge
	}
	source := r.Body
	if body, ok := source.(*formBody); ok && body.whole() {
		if int64(len(body.text)) > b.max {
			return "", b.tooLarge
		}
		return body.text, nil // an earlier reader has read it
	}
	share := &share{memory: b.memory}
	defer share.releaseAfter(r.Context()) // deferred, since a body may panic
	text, err := b.readText(r, share)
	if err != nil {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(text.reader(), source), source}
		return "", err
	}
	body := newFormBody(text.join(), source, share)
	r.Body = body
	return body.text, nil
}

// readText reads at most max bytes. It reads up to and including the end of the body, because the trailers are
// known only then. When the context ends, it closes the body. That ends a blocked read of an HTTP/2 stream at once, and
// one of an HTTP/1 body at the next byte.
func (b bodyReader) readText(r *http.Request, share *share) (text pieces, err error) {
	ctx, body := r.Context(), r.Body
	stop := context.AfterFunc(ctx, func() { _ = body.Close() })
	defer stop()

	for idle := 0; idle < 100; {
		if err := ctx.Err(); err != nil {
			return text, fmt.Errorf("%w: %w", ErrBodyRead, err)
		}
		room := text.room()
		if len(room) == 0 {
			more := nextPiece(text.size, r.ContentLength, b.max)
			if !share.grow(text.size + more) {
				return text, ErrOverloaded
			}
			room = text.grow(more)
		}
		n, err := body.Read(room)
		text.fill(n)
		if text.size > b.max {
			return text, b.tooLarge
		}
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return text, readError(err)
		}
		if idle++; n > 0 {
			idle = 0
		}
	}
	return text, fmt.Errorf("%w: %w", ErrBodyRead, io.ErrNoProgress)
}

// readError distinguishes a limit set by another handler from trouble with the client.
func readError(err error) error {
	if limit, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fmt.Errorf("%w: it has more than %d bytes, the limit before the gate", ErrBodyTooLarge, limit.Limit)
	}
	return fmt.Errorf("%w: %w", ErrBodyRead, err)
}
