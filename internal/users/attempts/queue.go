package attempts

import (
	"container/list"
	"slices"
)

// attempt is one attempt from its arrival until its end.
type attempt struct {
	lane    int
	places  places
	turn    chan *Limited // says that it may start, or that it will not; nil if it need not wait
	started bool
	refused bool
}

// verdict says what becomes of a waiting attempt. The zero value has it wait.
type verdict struct {
	limited *Limited // it is refused
	may     bool     // it may start
	rank    rank
}

// rank is how much speaks for an attempt.
type rank uint8

const (
	tainted rank = iota // its address has recent failures, or other attempts
	clean               // nothing speaks against it
	proven              // and somebody has signed in from its address lately
	ranks
)

// queue has the attempts of one lane that run and those that wait. There is a ring of addresses for each rank. Each
// address in a ring has one turn before any has another.
type queue struct {
	running int
	waiting int
	flows   map[place]flow // of all places with attempts
	lines   map[place]*line
	rings   [ranks]*list.List // of *line
	// overtook is how many others have started since a tainted one did, while tainted ones waited.
	overtook int
	last     rank // of those others, the one that has started last
}

// flow is what runs and what waits at a place.
type flow struct{ running, waiting int32 }

func (f flow) sum() int32 { return f.running + f.waiting }

// line has the waiting attempts of one address, the oldest first.
type line struct {
	address  place
	waiting  []*attempt
	ring     *list.List
	position *list.Element
}

const (
	maxLine = 8 // attempts that wait at one address; as many times widerBurst at an IPv6 /48
	// taintedTurn is which turn in a row goes to an address with failures if others have had all before. So it gets on,
	// too. Who signs in now and then does not wait for it, because tainted ones have had turns in between.
	taintedTurn = 8
)

func newQueue() queue {
	return queue{
		flows: make(map[place]flow), lines: make(map[place]*line),
		rings: [ranks]*list.List{list.New(), list.New(), list.New()},
	}
}

// count changes what runs and what waits at the places of an attempt.
func (q *queue) count(a *attempt, running, waiting int) {
	for i := range iRough {
		p := a.places[i]
		if p.kind == noPlace {
			continue
		}
		f := q.flows[p]
		f.running += int32(running)
		f.waiting += int32(waiting)
		if f == (flow{}) {
			delete(q.flows, p)
		} else {
			q.flows[p] = f
		}
	}
	q.running += running
	q.waiting += waiting
}

func (q *queue) run(a *attempt)  { q.count(a, 1, 0) }
func (q *queue) stop(a *attempt) { q.count(a, -1, 0) }

// add has an attempt wait. It reports whether there is room: at the address, and in sum. One against which nothing
// speaks takes the place of another one.
func (q *queue) add(a *attempt, rankOf func(*attempt) rank) bool {
	if q.flows[a.places[iAddress]].waiting >= maxLine || q.flows[a.places[iNetwork]].waiting >= maxLine*widerBurst {
		return false
	}
	q.count(a, 0, 1)
	if q.waiting > maxWaiting {
		if rankOf(a) == tainted || !q.dropTainted() {
			q.count(a, 0, -1)
			return false
		}
	}
	address := a.places.address()
	l := q.lines[address]
	if l == nil {
		l = &line{address: address}
		q.lines[address] = l
	}
	l.waiting = append(l.waiting, a)
	q.sort(address, rankOf)
	return true
}

// dropTainted refuses the newest attempt of the last address in the ring of the tainted. It reports whether there was
// one.
func (q *queue) dropTainted() bool {
	last := q.rings[tainted].Back()
	if last == nil {
		return false
	}
	waiting := last.Value.(*line).waiting
	q.refuse(waiting[len(waiting)-1], &Limited{busy})
	return true
}

func (q *queue) refuse(a *attempt, why *Limited) {
	a.refused = true
	q.remove(a)
	a.turn <- why
}

// remove takes an attempt out of its line.
func (q *queue) remove(a *attempt) {
	l := q.lines[a.places.address()]
	l.waiting = slices.DeleteFunc(l.waiting, func(other *attempt) bool { return other == a })
	q.count(a, 0, -1)
	if len(l.waiting) == 0 {
		l.ring.Remove(l.position)
		delete(q.lines, l.address)
	}
}

// sort puts the line of an address into the ring where it belongs now. It keeps its turn in a ring that it is in.
func (q *queue) sort(address place, rankOf func(*attempt) rank) {
	l := q.lines[address]
	if l == nil {
		return
	}
	q.move(l, q.rings[rankOf(l.waiting[0])])
}

func (q *queue) move(l *line, ring *list.List) {
	if l.ring == ring {
		return
	}
	if l.ring != nil {
		l.ring.Remove(l.position)
	}
	l.ring, l.position = ring, ring.PushBack(l)
}

// pick takes the next attempt out of the queue; nil if none may start now. Some slots are for all, and one is not.
func (q *queue) pick(forAll bool, judge func(*attempt) verdict) *attempt {
	if !forAll {
		return q.pickFrom(proven, judge)
	}
	order := []rank{proven, clean, tainted}
	switch {
	case q.overtook >= taintedTurn-1:
		order = []rank{tainted, proven, clean, tainted} // again, because some may move there from the others
	case q.last == proven: // new addresses have every second turn
		order = []rank{clean, proven, clean, tainted}
	}
	for _, r := range order {
		if a := q.pickFrom(r, judge); a != nil {
			q.turned(r)
			return a
		}
	}
	return nil
}

// turned counts the turns that tainted ones wait for.
func (q *queue) turned(r rank) {
	if r != tainted {
		q.last = r
	}
	if r != tainted && q.rings[tainted].Len() > 0 {
		q.overtook++
	} else {
		q.overtook = 0
	}
}

func (q *queue) pickFrom(r rank, judge func(*attempt) verdict) *attempt {
	ring := q.rings[r]
	for position := ring.Front(); position != nil; {
		l, next := position.Value.(*line), position.Next()
		a, v := q.firstOf(l, judge)
		switch {
		case a == nil:
		case v.rank < r: // that has come to light while it waited
			q.move(l, q.rings[v.rank])
		default:
			q.remove(a)
			if len(l.waiting) > 0 {
				ring.MoveToBack(position)
			}
			return a
		}
		position = next
	}
	return nil
}

// firstOf finds the first attempt of a line that may start, and refuses those before it that never will.
func (q *queue) firstOf(l *line, judge func(*attempt) verdict) (*attempt, verdict) {
	for _, a := range slices.Clone(l.waiting) {
		switch v := judge(a); {
		case v.limited != nil:
			q.refuse(a, v.limited)
		case v.may:
			return a, v
		}
	}
	return nil, verdict{}
}
