package replay

import "math/bits"

// words are 64-bit words that are found by their upper bits: an open hash table with linear probing. The lowest bits of
// a word may have a number instead, and low is how many these are. The upper bits must be random to those who choose
// what is stored. The zero value is empty and ready to use.
type words struct {
	slots []uint64 // 0 is a free slot
	used  int
	low   uint
}

const wordSize = 8 // bytes

// find returns the slot of a word, or the free one where it would be. Without any slots it returns 0.
func (w *words) find(word uint64) (slot int, there bool) {
	if len(w.slots) == 0 {
		return 0, false
	}
	upper := word >> w.low
	first, _ := bits.Mul64(upper<<w.low, uint64(len(w.slots)))
	for i := int(first); ; {
		switch have := w.slots[i]; {
		case have == 0:
			return i, false
		case have>>w.low == upper:
			return i, true
		}
		if i++; i == len(w.slots) {
			i = 0
		}
	}
}

// add adds a word that is not there, and returns by how many bytes the table has grown.
func (w *words) add(word uint64) (grown int64) {
	if 8*(w.used+1) > 7*len(w.slots) {
		grown = w.grow()
	}
	slot, _ := w.find(word)
	w.slots[slot] = word
	w.used++
	return grown
}

// grow makes room. A quarter more at a time keeps the table between 7/10 and 7/8 full.
func (w *words) grow() (grown int64) {
	before := w.slots
	w.slots = make([]uint64, len(before)+len(before)/4+8)
	for _, word := range before {
		if word != 0 {
			slot, _ := w.find(word)
			w.slots[slot] = word
		}
	}
	return int64(len(w.slots)-len(before)) * wordSize
}
