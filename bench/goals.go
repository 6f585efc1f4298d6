package main

import "fmt"

// What this gateway is meant to reach, on one processor.
const (
	hotGoal    = 1.05 // times Caddy without a gate
	coldGoal   = 8.0  // µs above Caddy without a gate and the bare signature
	rejectGoal = 6.0  // µs above a Caddy that answers 401 without looking and the bare signature
	memoryGoal = 48   // MiB that a full cache of the default size may add
)

// writeGoals compares this gateway with what it is meant to reach.
func (r *report) writeGoals(w *errWriter) {
	w.printf("\n## Goals\n\n| | algorithm | goal | measured | |\n|---|---|---|---|---|\n")
	for _, workload := range []string{hot1, hot100} {
		for _, alg := range r.algorithms() {
			ratios := paired(r.cpu(alg, workload, gatewayName), r.cpu(alg, workload, plainName), ratio)
			if len(ratios) == 0 {
				continue
			}
			times := summarize(ratios)
			goal := fmt.Sprintf("≤ %.2f × Caddy's reverse_proxy", hotGoal)
			w.goal(workload, alg, goal, times.format("%.2f"), times.Median <= hotGoal)
		}
	}
	for _, g := range []struct {
		workload, floor, text string
		goal                  float64
	}{
		{cold, plainName, "≤ Caddy's reverse_proxy + bare signature + %.0f µs", coldGoal},
		{reject, denyName, "≤ Caddy's respond 401 + bare signature + %.0f µs", rejectGoal},
	} {
		for _, alg := range r.algorithms() {
			ours := r.cpu(alg, g.workload, gatewayName)
			above := paired(ours, r.cpu(alg, g.workload, g.floor), difference)
			if len(above) == 0 {
				continue
			}
			own := summarize(paired(above, r.Bare[alg], difference))
			inside := summarize(paired(ours, r.cpu(alg, g.workload, signatureName), difference))
			measured := own.format("%+.1f") + " µs; to a Caddy that checks the bare signature " +
				inside.format("%+.1f") + " µs"
			w.goal(g.workload, alg, fmt.Sprintf(g.text, g.goal), measured, own.Median <= g.goal)
		}
	}
	if bytes, ok := r.growth(gatewayName); ok {
		goal, measured := fmt.Sprintf("≤ %d MiB more", memoryGoal), fmt.Sprintf("%.1f MiB", mib(bytes))
		w.goal("full cache of 32 MiB", "", goal, measured, mib(bytes) <= memoryGoal)
	}
}

func (r *report) cpu(alg, workload, contender string) []float64 {
	return r.values(alg, workload, contender, cpuOf)
}

func (w *errWriter) goal(what, alg, goal, measured string, reached bool) {
	verdict := "missed"
	if reached {
		verdict = "reached"
	}
	w.printf("| %s | %s | %s | %s | %s |\n", what, alg, goal, measured, verdict)
}
