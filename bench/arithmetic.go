package main

import (
	"cmp"
	"math"
	"slices"
)

// number is what can be sorted and averaged here.
type number interface {
	~int | ~int64 | ~uint32 | ~float64
}

// percentile gives the smallest value that is not exceeded by p percent of the values (nearest rank), which must be
// sorted; zero when there are none.
func percentile[T number](sorted []T, p float64) T {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// spread is the middle and the ends of what several rounds gave.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// summarize gives the spread of values, in whatever order they are. Of an even number, the median is the mean of the
// two in the middle.
func summarize(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare)
	n := len(sorted)
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// paired combines the values of two contenders round by round, so that what disturbed a whole round cancels out. Rounds
// that only one of them has are left out.
func paired(a, b []float64, combine func(a, b float64) float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if !math.IsNaN(a[i]) && !math.IsNaN(b[i]) {
			out = append(out, combine(a[i], b[i]))
		}
	}
	return out
}

func ratio(a, b float64) float64      { return a / b }
func difference(a, b float64) float64 { return a - b }
