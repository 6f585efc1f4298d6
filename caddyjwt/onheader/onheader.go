// Package onheader changes the header of an answer at the last moment, when the handlers behind have set all of it.
package onheader

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Writer calls a function on the header directly before it is sent. Informational answers are sent without that.
type Writer struct {
	caddyhttp.ResponseWriterWrapper
	change change
	done   bool
}

// change sets fields of an answer with this status.
type change func(status int, h http.Header)

// Wrap makes a Writer. It calls change once.
func Wrap(w http.ResponseWriter, change func(http.Header)) *Writer {
	return WrapWithStatus(w, func(_ int, h http.Header) { change(h) })
}

// WrapWithStatus is Wrap for a function that needs to know the status of the answer. It is 0 for one that is still to
// come: see Finish.
func WrapWithStatus(w http.ResponseWriter, change func(status int, h http.Header)) *Writer {
	return &Writer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, change: change}
}

// Finish calls the function unless the header has been sent. Call it after the handlers behind, for an answer that is
// still to come: an empty one, or that of an error route.
func (w *Writer) Finish() { w.finish(0) }

func (w *Writer) finish(status int) {
	if !w.done {
		w.done = true
		w.change(status, w.Header())
	}
}

// WriteHeader changes the header of a final answer. Go's server sends those with an informational status at once, and
// the final one has a header of its own. 101 is final.
func (w *Writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.finish(status)
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write is needed because a handler may write without calling WriteHeader.
func (w *Writer) Write(p []byte) (int, error) {
	w.finish(http.StatusOK)
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom is needed for the same reason, and keeps the short way for large answers open.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	w.finish(http.StatusOK)
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is needed because a handler may send the header before it has anything to write. http.ResponseController
// looks for a method of this name.
func (w *Writer) FlushError() error {
	w.finish(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}
