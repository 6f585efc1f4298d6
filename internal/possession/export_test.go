package possession

import "time"

// Until is when nobody accepts a proof of this time any more.
func (w *Window) Until(issuedAt, now time.Time) (time.Time, bool) { return w.until(issuedAt, now) }
