package strictjson

// stack is a stack that keeps its first elements in place, so that reading a text of ordinary size needs no heap at
// all. (A slice of an array on the caller's stack would not do: the compiler cannot prove that append keeps it there.)
type stack[T any] struct {
	n      int
	inline [32]T
	heap   []T // all elements, once there are too many for inline
}

func (s *stack[T]) push(v T) {
	if s.heap == nil && s.n < len(s.inline) {
		s.inline[s.n] = v
	} else {
		if s.heap == nil {
			s.heap = append(make([]T, 0, 4*len(s.inline)), s.inline[:]...)
		}
		s.heap = append(s.heap, v)
	}
	s.n++
}

// from returns the elements from base on. The slice is valid until the next push.
func (s *stack[T]) from(base int) []T {
	if s.heap != nil {
		return s.heap[base:]
	}
	return s.inline[base:s.n]
}

// cut drops the elements from base on.
func (s *stack[T]) cut(base int) {
	if s.heap != nil {
		s.heap = s.heap[:base]
	}
	s.n = base
}
