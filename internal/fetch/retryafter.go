package fetch

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxDelta is the longest time that DeltaSeconds returns: 10 years. It is above every bound that anybody would
// configure, and far from the end of time.Duration.
const MaxDelta = 10 * 365 * 24 * time.Hour

// RetryAfter returns how long a server asks to be left alone by Retry-After, in seconds or as a date (RFC 9110 section
// 10.2.3): at least 0, and at most limit. A number too large to read means limit. What is neither number nor date does
// not count. Of several fields, which the RFC does not allow, the longest time counts: a server in trouble gets its
// pause, and limit bounds the harm.
func RetryAfter(header http.Header, now time.Time, limit time.Duration) time.Duration {
	var longest time.Duration
	for _, text := range header.Values("Retry-After") {
		wait, ok := DeltaSeconds(text)
		if !ok {
			date, err := http.ParseTime(text)
			if err != nil {
				continue
			}
			wait = date.Sub(now)
		}
		longest = max(longest, wait)
	}
	return min(longest, limit)
}

// DeltaSeconds reads a number of seconds as header fields have it: digits only (RFC 9111 section 1.2.2). A number above
// MaxDelta gives MaxDelta. It returns false for anything that is not a number.
func DeltaSeconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > uint64(MaxDelta/time.Second) {
		return MaxDelta, true
	}
	return time.Duration(n) * time.Second, true
}
