package attempts

import "net/netip"

// Remembered returns how many places have failed.
func (g *Guard) Remembered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.debts.index) + len(g.rough.index)
}

// Left returns what there is of attempts under way.
func (g *Guard) Left() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := 0
	for i := range g.lanes {
		q := &g.lanes[i].queue
		left += q.running + q.waiting + len(q.flows) + len(q.lines)
		for _, ring := range q.rings {
			left += ring.Len()
		}
	}
	return left
}

// Arrive has an attempt arrive, and leave when its context has ended, whether it has had its turn or not.
func (g *Guard) Arrive(client netip.Addr, name string) (leave func()) {
	a := &attempt{places: g.placesOf(client, name)}
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.arrive(a)
	return func() { g.leave(a) }
}
