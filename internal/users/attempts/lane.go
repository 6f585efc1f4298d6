package attempts

import "time"

// The lanes of attempts.
const (
	local  = iota // those that compute hashes
	remote        // those that ask a server
	lanes
)

// lane has slots, and a queue before them. One slot more is for attempts of the best rank.
type lane struct {
	queue queue
	slots int
	extra *attempt // who has the slot more; nil if it is free
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
	if rank := g.rank(a, now); l.hasRoom(rank) && g.mayStart(a, now) {
		l.start(a)
		if rank == tainted { // a clean one overtakes nobody who could start
			l.queue.turned(rank)
		}
		return nil
	}
	a.turn = make(chan *Limited, 1)
	if !l.queue.add(a, g.rankAt(now)) {
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
		l.stop(a)
	case !a.refused:
		l.queue.remove(a)
	}
	g.goOn(a, g.now())
}

// What became of an attempt.
const (
	failed  = iota
	unknown // nothing counts
	passed
)

// end counts what became of an attempt, and has others start.
func (g *Guard) end(a *attempt, outcome int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.lanes[a.lane].stop(a)
	switch outcome {
	case failed:
		g.charge(a, now)
	case passed:
		g.known.charge(a.places.address(), provenFor, now)
	}
	g.goOn(a, now)
}

// goOn has others start after an attempt is over. In the other lane, somebody may have waited for its address.
func (g *Guard) goOn(a *attempt, now time.Duration) {
	for i := range g.lanes {
		l := &g.lanes[i]
		l.queue.sort(a.places.address(), g.rankAt(now))
		g.next(l, now)
	}
}

// next starts what may start in a lane.
func (g *Guard) next(l *lane, now time.Duration) {
	for l.hasRoom(proven) {
		a := l.queue.pick(l.hasRoomForAll(), func(a *attempt) verdict { return g.judge(a, now) })
		if a == nil {
			return
		}
		l.start(a)
		a.turn <- nil
	}
}

// hasRoom reports whether there is a slot for an attempt.
func (l *lane) hasRoom(r rank) bool { return l.hasRoomForAll() || r == proven && l.extra == nil }

func (l *lane) hasRoomForAll() bool {
	running := l.queue.running
	if l.extra != nil {
		running--
	}
	return running < l.slots
}

func (l *lane) start(a *attempt) {
	if !l.hasRoomForAll() {
		l.extra = a
	}
	a.started = true
	l.queue.run(a)
}

func (l *lane) stop(a *attempt) {
	if l.extra == a {
		l.extra = nil
	}
	l.queue.stop(a)
}
