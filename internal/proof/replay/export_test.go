package replay

// NewSmallMemory makes a Memory with less room.
func NewSmallMemory(room, reserve int64) *Memory { return newMemory(room, reserve) }

const (
	Room     = room
	Few      = few
	Portion  = portion
	Shortest = shortest
	Longest  = longest
	Deadline = deadline
	Asking   = maxAsking
	OfKey    = maxOfKey
)

var (
	EndOf  = endOf
	NameOf = nameOf
)
