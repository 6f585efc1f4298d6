package refresh

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// Getter is the part of fetch.Client that a Resource needs.
type Getter interface {
	Get(ctx context.Context, url, accept, etag string) (*fetch.Response, error)
	Close() error
}

// Resource gets a document by HTTP, and only if it has changed since the last time. The zero value is ready to use.
// Only one goroutine may use it at a time.
type Resource struct {
	// Archive keeps the last good answer for later processes; nil for none.
	Archive Archive

	url, etag string // of the last answer that was usable
	archived  archived
}

// Get gets a document. It calls read with the body of an answer with status 200, and returns read's error. notModified
// says that the server still has the document of the last successful Get from the same address. life is how long the
// server lets it be used; negative when it does not say.
//
// After an error, the next Get sends no tag: the server, or a proxy before it, may be choking on the tag itself.
func (r *Resource) Get(
	ctx context.Context, client Getter, url, accept string, read func(body []byte) error,
) (notModified bool, life time.Duration, err error) {
	etag := ""
	if r.url == url && !r.archived.lost.Swap(false) {
		etag = r.etag
	}
	r.url, r.etag = url, ""
	response, err := client.Get(ctx, url, accept, etag)
	if err != nil {
		return false, -1, err
	}
	// Only a good answer may decide when to ask again: an error page may be cacheable for a year.
	now := time.Now()
	life = lifetime(response.Header, now)
	switch {
	case response.NotModified && etag != "":
		r.etag = etag
		r.archive(Answer{Address: url, Got: now})
		return true, life, nil
	case response.Status != http.StatusOK:
		err := fmt.Errorf("the server answered with status %d", response.Status)
		return false, -1, askedToWait(err, response, now)
	}
	if err := read(response.Body); err != nil {
		return false, -1, describe(err, response)
	}
	r.etag = entityTag(response.Header)
	r.archive(Answer{Address: url, Got: now, Body: response.Body})
	return false, life, nil
}

// maxTag bounds entity tags: real ones are hashes and times.
const maxTag = 256

// entityTag is the tag of an answer (RFC 9110 section 8.8.3). It is empty when the answer has none, or one that is too
// long.
func entityTag(header http.Header) string {
	if tag := header.Get("ETag"); len(tag) <= maxTag {
		return tag
	}
	return ""
}

// describe adds to the error what media type the answer claims to be, because a wrong one is often the cause. It adds
// nothing else from the answer.
func describe(err error, response *fetch.Response) error {
	kind, _, mimeErr := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mimeErr != nil || len(kind) > 100 || !strings.Contains(kind, "/") {
		return err
	}
	return fmt.Errorf("%w (Content-Type %q)", err, kind)
}

// lifetime is how long an answer may be used (RFC 9111 section 4.2); negative when it does not say. It is max-age, or
// else the time from Date to Expires, minus the time that the answer spent in caches. "no-cache" and "no-store" say
// nothing about it.
func lifetime(header http.Header, now time.Time) time.Duration {
	life := time.Duration(-1)
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		if age, ok := fetch.DeltaSeconds(strings.Trim(value, `"`)); ok && (life < 0 || age < life) {
			life = age
		}
	}
	age, _ := fetch.DeltaSeconds(header.Get("Age"))
	if life >= 0 {
		return max(life-age, 0)
	}
	if expires, err := http.ParseTime(header.Get("Expires")); err == nil {
		date, err := http.ParseTime(header.Get("Date"))
		if err != nil { // counted from our own clock, the time in caches has passed already
			date, age = now, 0
		}
		// The difference may be negative, or as long as a Duration can be.
		life = min(max(expires.Sub(date), 0), fetch.MaxDelta)
		return max(life-age, 0)
	}
	return -1
}
