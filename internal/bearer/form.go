package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

const formType = "application/x-www-form-urlencoded"

// ReadsBody reports whether Extract would read the body of this request: there is a form place, and RFC 6750 section
// 2.2 lets a body of this kind hold a token. Reading blocks until the client has sent the body, so the caller should
// first set a read deadline on the connection.
func (e *Extractor) ReadsBody(r *http.Request) bool {
	if len(e.form) == 0 || r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return false
	}
	ours, err := isForm(r)
	return ours && err == nil
}

// isForm reports whether the request carries a form that may hold a token. Its method must give a body a meaning, its
// media type must be that of forms, and it must have no content coding. Nothing else is read, multipart in particular.
func isForm(r *http.Request) (bool, error) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return false, nil
	}
	types := r.Header["Content-Type"]
	if len(types) == 0 {
		return false, nil
	}
	form := false
	for _, value := range types {
		form = form || isFormType(value)
	}
	if !form {
		return false, nil
	}
	if len(types) > 1 {
		// Readers disagree about which of them counts.
		return false, errTwoFields
	}
	for _, coding := range r.Header["Content-Encoding"] {
		if coding != "" && !equalFold(strings.Trim(coding, blank), "identity") {
			return false, nil
		}
	}
	return true, nil
}

func isFormType(value string) bool {
	value = strings.Trim(value, blank)
	if len(value) < len(formType) || !equalFold(value[:len(formType)], formType) {
		return false
	}
	if len(value) == len(formType) {
		return true
	}
	media, params, err := mime.ParseMediaType(value)
	if err != nil || media != formType {
		return false
	}
	for name, text := range params {
		if name != "charset" || !equalFold(text, "utf-8") {
			return false
		}
	}
	return true
}

// ReadForm reads a form that may hold a token, as Extract does, so that Remove finds the token in it. It looks at no
// other place, and judges no token. The errors are those of Extract, except for ErrMissing.
func (e *Extractor) ReadForm(r *http.Request) error {
	if len(e.form) == 0 {
		return nil
	}
	ours, err := isForm(r)
	if err != nil || !ours {
		return err
	}
	_, err = e.readForm(r)
	return err
}

// extractForm looks for the form places in the body.
func (e *Extractor) extractForm(r *http.Request, found *Credential) error {
	if ours, err := isForm(r); err != nil || !ours {
		return err
	}
	text, err := e.readForm(r)
	if err != nil {
		return err
	}
	for i := range e.places {
		if e.places[i].Kind != Form {
			continue
		}
		value, err := findParam(text, e.places[i].Name)
		if err != nil {
			return err
		}
		if !value.ok {
			continue
		}
		if !isASCII(text) {
			return errAmbiguous // RFC 6750 section 2.2: the content is entirely ASCII
		}
		// Cloned, so that whoever keeps the token does not keep the whole body.
		value.text = strings.Clone(value.text)
		if err := e.take(found, i, value); err != nil {
			return err
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= 0x80 {
			return false
		}
	}
	return true
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

// readForm reads the body to its end and puts it back. If the body is too large, breaks off or finds no room, the part
// that was read is put back before the rest.
func (e *Extractor) readForm(r *http.Request) (string, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return "", nil
	}
	if r.ContentLength > e.maxForm {
		// Nothing is read, so a client that waits for "100 Continue" gets the answer before it sends the body.
		return "", e.formLimit
	}
	source := r.Body
	if body, ok := source.(*formBody); ok && body.whole() {
		if int64(len(body.text)) > e.maxForm {
			return "", e.formLimit
		}
		return body.text, nil // an earlier extractor has read it
	}
	share := &share{memory: e.forms}
	defer share.releaseAfter(r.Context()) // deferred, since a body may panic
	text, err := e.readText(r, share)
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

// readText reads at most MaxForm bytes. It reads up to and including the end of the body, because the trailers are
// known only then. When the context ends, it closes the body. That ends a blocked read of an HTTP/2 stream at once, and
// one of an HTTP/1 body at the next byte.
func (e *Extractor) readText(r *http.Request, share *share) (text pieces, err error) {
	ctx, body := r.Context(), r.Body
	stop := context.AfterFunc(ctx, func() { _ = body.Close() })
	defer stop()

	for idle := 0; idle < 100; {
		if err := ctx.Err(); err != nil {
			return text, fmt.Errorf("%w: %w", ErrBodyRead, err)
		}
		room := text.room()
		if len(room) == 0 {
			more := nextPiece(text.size, r.ContentLength, e.maxForm)
			if !share.grow(text.size + more) {
				return text, ErrOverloaded
			}
			room = text.grow(more)
		}
		n, err := body.Read(room)
		text.fill(n)
		if text.size > e.maxForm {
			return text, e.formLimit
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
