package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

const kongConsumers = `consumers:
- username: guest
- username: alice
  acls: [{group: staff}]
  jwt_secrets: [{key: alice-key, secret: jTk3n8dWqPz5rLx0vBc7mYh2sGf9aEuQ}]
- username: bob
  acls: [{group: boss}]
  jwt_secrets: [{key: bob-key, secret: uQ9aEsGf2mYh7vBc0rLx5qPz8dWjTk3n}]
`

// Whatever the routes are, a converted site lets nobody pass whom Kong would have refused, whether Kong tries routes in
// the order that it explains or in the one that it computes.
func TestConvertedFilesAreNeverLooserThanKong(t *testing.T) {
	decks := 60
	if testing.Short() {
		decks = 15
	}
	s := prepare(t)
	passed := 0
	for i := range decks {
		random := rand.New(rand.NewPCG(7, uint64(i)))
		var routes []*kongRoute
		text := "_format_version: \"3.0\"\nservices:\n"
		for number := range 2 + random.IntN(5) {
			route := randomKongRoute(random, number)
			routes = append(routes, route)
			text += route.deck()
		}
		text += kongConsumers
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			converted, err := bearerAuth(text, "convert", "kong", "-", "--site", "http://")
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			at := &deckSite{site: s.in(t), deck: deckOf(t, text)}
			at.loadConverted(converted)
			for range 40 {
				if at.compare(random, routes, text) {
					passed++
				}
			}
		})
	}
	if passed < decks*5 {
		t.Errorf("only %d requests passed", passed)
	}
}

// compare sends a request, and compares what becomes of it with the model of Kong. It reports whether it has passed.
func (s *deckSite) compare(random *rand.Rand, routes []*kongRoute, text string) bool {
	t := s.t.(*testing.T)
	t.Helper()
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	q := kongRequest{
		method: pick("GET", "POST"), host: pick("a.ex", "b.ex", "c.ex", "other"),
		path: pick("/", "/a", "/a/", "/a/x", "/a/x/y", "/a/1", "/a/12", "/ax", "/b", "/b/x", "/b/x/1", "/bx", "/A", "/a/x1",
			"/c", "/a/1/x"),
		headers: some(random, 0, 3, "X-A", "X-B", "X-C"),
	}
	caller := pick("-", kongStaff, kongBoss)
	refused, paths := kongs(routes, q, caller)

	head := q.method + " " + q.path + " HTTP/1.1\r\nHost: " + q.host + "\r\nConnection: close\r\nContent-Length: 0\r\n"
	for _, name := range q.headers {
		head += name + ": 1\r\n"
	}
	if caller != "-" {
		lives := map[string]string{kongStaff: "5m", kongBoss: "30s"}[caller]
		head += "Authorization: Bearer " + s.deck.token(t, caller, map[string]string{"exp": lives}) + "\r\n"
	}
	s.drain()
	got := s.raw(head + "\r\n")
	arrived := s.upstream.take()
	switch {
	case len(arrived) == 0:
		return false
	case refused:
		t.Errorf("%+v of %s: status %d from %s, and Kong refuses it\n%s", q, caller, got.StatusCode, arrived[0].Host, text)
	case paths[arrived[0].Host] != nil && !slices.Contains(paths[arrived[0].Host], arrived[0].URI):
		t.Errorf("%+v: %s got %s, and from Kong %v\n%s", q, arrived[0].Host, arrived[0].URI, paths, text)
	}
	return true
}

// kongs reports whether Kong refuses a request in one of its orders, and the paths that services get in any of them.
func kongs(routes []*kongRoute, q kongRequest, caller string) (refused bool, paths map[string][]string) {
	paths = map[string][]string{}
	for _, computed := range []bool{false, true} {
		var best []int
		var winners []func()
		for _, r := range routes {
			for _, part := range r.parts() {
				if !r.matches(q) || part != nil && matched(part, q.path) == "" {
					continue
				}
				rank := r.rank(part, computed)
				switch order := slices.Compare(rank, best); {
				case order < 0:
					continue
				case order > 0:
					best, winners = rank, nil
				}
				winners = append(winners, func() {
					host := fmt.Sprintf("s%d.internal", r.number)
					paths[host] = append(paths[host], r.upstream(part, q.path))
					refused = refused || !slices.Contains(r.gate.lets, caller)
				})
			}
		}
		refused = refused || len(winners) == 0
		for _, win := range winners {
			win()
		}
	}
	return refused, paths
}

// deckOf is a deck without requests.
func deckOf(t *testing.T, text string) *deck {
	t.Helper()
	d := &deck{text: text, credentials: map[string]map[string]any{}}
	d.findIn(t, text)
	return d
}
