package keyset

import "time"

// motive is why a request wants the keys to be fetched. Each motive has its own budget, so that a stranger who spends
// one leaves the others as they were.
type motive uint8

const (
	unknownID    motive = iota // a key id that has never been in the set. Anybody can invent one
	unknownAgain               // a second request for such an id since the last fetch
	retiredID                  // a key id that was in the set and is not any more: old tokens have it
	badSignature               // a signature that no known key has made. Anybody can break one
	motiveCount
)

// savedFetches is how many fetches for unknown key ids can be saved up. So a stray one now and then leaves enough for a
// rotation.
const savedFetches = 3

// budget allows one fetch in every interval, and saves up unused ones.
type budget struct {
	every time.Duration
	most  int       // how many can be saved up, at least one
	full  time.Time // when that many will be saved up
}

// wait is the time until a fetch is allowed; 0 for now.
func (b *budget) wait(now time.Time) time.Duration {
	missing := max(b.full.Sub(now), 0)
	return max(missing-time.Duration(b.most-1)*b.every, 0)
}

// spend takes a fetch from the budget, and reports whether there was one.
func (b *budget) spend(now time.Time) bool {
	if b.wait(now) > 0 {
		return false
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(b.every)
	return true
}

// budgets are the budgets of one source.
type budgets [motiveCount]budget

func newBudgets(cooldown time.Duration) *budgets {
	b := new(budgets)
	for i := range b {
		b[i] = budget{every: cooldown, most: 1}
	}
	b[unknownID].most = savedFetches
	b[unknownAgain].every = cooldown / 2 // more likely to be the id of good tokens
	return b
}

// spend takes a fetch from the first of the motives' budgets that has one.
func (b *budgets) spend(now time.Time, why ...motive) bool {
	for _, m := range why {
		if b[m].spend(now) {
			return true
		}
	}
	return false
}

// wait is the time until one of the motives is allowed a fetch.
func (b *budgets) wait(now time.Time, why ...motive) time.Duration {
	shortest := b[why[0]].wait(now)
	for _, m := range why[1:] {
		shortest = min(shortest, b[m].wait(now))
	}
	return shortest
}

// refill returns all that was spent.
func (b *budgets) refill() {
	for i := range b {
		b[i].full = time.Time{}
	}
}
