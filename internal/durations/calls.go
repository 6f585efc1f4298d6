package durations

import "time"

// Calls counts how long calls to a server take, by what became of them. The zero value is ready to use, and so is nil,
// which counts nothing.
type Calls struct{ answered, failed Live }

// Begin notes the beginning of a call. The function that it returns notes its end, and whether there was an answer.
func (c *Calls) Begin() (end func(answered bool)) {
	if c == nil {
		return func(bool) {}
	}
	began := time.Now()
	return func(answered bool) {
		if took := time.Since(began); answered {
			c.answered.Add(took)
		} else {
			c.failed.Add(took)
		}
	}
}

// Counts are those of now.
func (c *Calls) Counts() (answered, failed Counts) { return c.answered.Counts(), c.failed.Counts() }
