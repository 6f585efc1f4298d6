package attempts

import "time"

// The lanes of attempts.
const (
	local  = iota // those that compute hashes
	remote        // those that ask a server
	lanes
)

// lane has slots, and a queue before them.
type lane struct {
	queue queue
	slots int
}

// flow is what runs and what waits at a place, in all lanes.
func (g *Guard) flow(p place) (sum flow) {
	for i := range g.lanes {
		f := g.lanes[i].queue.flows[p]
		sum.running += f.running
		sum.waiting += f.waiting
	}
	return sum
}

// arrive starts an attempt, has it wait, or refuses it.
func (g *Guard) arrive(a *attempt) *Limited {
	now := g.now()
	if wait := g.exhausted(a, now); wait > 0 {
		return &Limited{wait}
	}
	l := &g.lanes[a.lane]
	if l.queue.running < l.slots && g.mayStart(a, now) {
		l.start(a)
		if !g.clean(a, now) { // a clean one overtakes nobody who could start
			l.queue.turned(false)
		}
		return nil
	}
	a.turn = make(chan *Limited, 1)
	if !l.queue.add(a, func(a *attempt) bool { return g.clean(a, now) }) {
		return &Limited{busy}
	}
	g.next(l, now)
	return nil
}

// leave takes back an attempt whose context has ended before its turn, or just then.
func (g *Guard) leave(a *attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &g.lanes[a.lane]
	switch {
	case a.started:
		l.queue.stop(a)
	case !a.refused:
		l.queue.remove(a)
	}
	g.goOn(a, g.now())
}

// end counts a failure, and has others start.
func (g *Guard) end(a *attempt, failed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.lanes[a.lane].queue.stop(a)
	if failed {
		g.charge(a, now)
	}
	g.goOn(a, now)
}

// goOn has others start after an attempt is over. In the other lane, somebody may have waited for its address.
func (g *Guard) goOn(a *attempt, now time.Duration) {
	for i := range g.lanes {
		l := &g.lanes[i]
		l.queue.sort(a.places.address(), func(a *attempt) bool { return g.clean(a, now) })
		g.next(l, now)
	}
}

// next starts what may start in a lane.
func (g *Guard) next(l *lane, now time.Duration) {
	for l.queue.running < l.slots {
		a := l.queue.pick(func(a *attempt) verdict { return g.judge(a, now) })
		if a == nil {
			return
		}
		l.start(a)
		a.turn <- nil
	}
}

func (l *lane) start(a *attempt) {
	a.started = true
	l.queue.run(a)
}
