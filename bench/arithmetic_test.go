package main

import (
	"math"
	"slices"
	"testing"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, test := range []struct {
		name   string
		sorted []int
		p      float64
		want   int
	}{
		{"of nothing", nil, 50, 0},
		{"of one value, the middle", []int{7}, 50, 7},
		{"of one value, the end", []int{7}, 99, 7},
		{"the middle of two is the first", []int{1, 2}, 50, 1},
		{"the middle of three", []int{1, 2, 3}, 50, 2},
		{"the middle of a hundred", hundred, 50, 50},
		{"the 99th of a hundred", hundred, 99, 99},
		{"the 99th of ten is the last", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 99, 10},
		{"zero percent", hundred, 0, 1},
		{"a hundred percent", hundred, 100, 100},
	} {
		if got := percentile(test.sorted, test.p); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestSummaryHasTheMiddleAndTheEnds(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   spread
	}{
		{"of nothing", nil, spread{}},
		{"of one value", []float64{3}, spread{3, 3, 3}},
		{"of an odd number, in any order", []float64{9, 1, 4}, spread{4, 1, 9}},
		{"of an even number", []float64{4, 1, 2, 9}, spread{3, 1, 9}},
	} {
		given := slices.Clone(test.values)
		if got := summarize(test.values); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if !slices.Equal(given, test.values) {
			t.Errorf("%s: the values were changed", test.name)
		}
	}
}

func TestPairsAreOfTheSameRound(t *testing.T) {
	// The second round was slow for both, which neither the ratio nor the difference may show.
	ours, floor := []float64{52, 104, 51}, []float64{50, 100, 50}
	if got := summarize(paired(ours, floor, ratio)); math.Abs(got.Median-1.04) > 1e-9 {
		t.Errorf("ratio %v, want 1.04", got.Median)
	}
	if got := paired(ours, floor, difference); !slices.Equal(got, []float64{2, 4, 1}) {
		t.Errorf("differences %v", got)
	}
	if got := paired(ours, floor[:2], difference); !slices.Equal(got, []float64{2, 4}) {
		t.Errorf("differences with a round missing: %v", got)
	}
}
