package replay_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/proof/replay"
)

// fill uses proofs of a key until there is no room for another, and returns how many there were.
func fill(t *testing.T, m *replay.Memory, key int, now time.Time, most int) int {
	t.Helper()
	for i := range most {
		if err := use(t, m, key, fmt.Sprint("fill ", i), now, now.Add(time.Minute)); err != nil {
			if !errors.Is(err, replay.ErrFull) {
				t.Fatal(err)
			}
			return i
		}
	}
	return most
}

func TestOneKeyLeavesRoomToOthers(t *testing.T) {
	m := replay.NewMemory()
	const most = replay.Room * 3 / 4 / (replay.Portion + 1)
	if n := fill(t, m, 0, start, replay.Room); n < most || n > most+1 {
		t.Errorf("one key has %d proofs, want %d", n, most)
	}
	if n := fill(t, m, 1, start, replay.Room); n < most*9/10 {
		t.Errorf("then another key has only %d proofs", n)
	}
	if err := use(t, m, 0, "fill 0", start, start.Add(time.Minute)); !errors.Is(err, replay.ErrUsed) {
		t.Errorf("a used proof of a key without room: %v", err)
	}
	if err := use(t, m, 0, "new", start, start.Add(time.Minute)); !errors.Is(err, replay.ErrFull) {
		t.Errorf("a new proof of a key without room: %v", err)
	}
	later := start.Add(2 * time.Minute)
	if err := use(t, m, 0, "new", later, later.Add(time.Minute)); err != nil {
		t.Errorf("when the others have ended: %v", err)
	}
}

func TestManyGreedyKeysLeaveTheFirstProofsToOthers(t *testing.T) {
	const room, reserve, greedy = 60_000, 15_000, 1000
	m := replay.NewSmallMemory(room, reserve)
	for round, more := 0, true; more; round++ {
		more = false
		for key := range greedy {
			if use(t, m, key, fmt.Sprint(round), start, start.Add(time.Minute)) == nil {
				more = true
			}
		}
	}
	if proofs, _ := m.Stats(); proofs < room-reserve-16*replay.Few*2 || proofs > room-reserve {
		t.Errorf("the greedy keys have %d proofs", proofs)
	}
	for key := greedy; key < greedy+reserve/replay.Few; key++ {
		if n := fill(t, m, key, start, room); n < replay.Few {
			t.Fatalf("key %d has only %d proofs", key, n)
		}
	}
}

func TestWhatIsFullRefusesAndForgetsNothing(t *testing.T) {
	const room = 3000
	m := replay.NewSmallMemory(room, room/4)
	until := start.Add(time.Minute)
	for key := range room {
		if err := use(t, m, key, "a", start, until); err != nil {
			t.Fatalf("key %d: %v", key, err)
		}
	}
	_, bytes := m.Stats()
	for key := range 2 * room {
		want := replay.ErrUsed
		if key >= room {
			want = replay.ErrFull
		}
		if err := use(t, m, key, "a", start, until); !errors.Is(err, want) {
			t.Fatalf("key %d: %v, want %v", key, err, want)
		}
	}
	// A later end of a used proof finds no room, either.
	if err := use(t, m, 1, "a", start, until.Add(time.Hour)); !errors.Is(err, replay.ErrUsed) {
		t.Error(err)
	}
	if proofs, after := m.Stats(); proofs != room || after != bytes {
		t.Errorf("%d proofs, %d bytes, before %d", proofs, after, bytes)
	}
	later := until.Add(replay.Shortest * time.Second)
	if err := use(t, m, room+1, "a", later, later.Add(time.Minute)); err != nil {
		t.Errorf("when all have ended: %v", err)
	}
}
