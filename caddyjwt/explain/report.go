package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/routes"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// Verdicts of a gate, and of all gates together. Their texts are part of the JSON.
const (
	passes    = "passes"
	refused   = "refused"
	undecided = "undecided"
)

// Report says what gates make of a request. docs/tools.md documents its JSON.
type Report struct {
	Verdict string    `json:"verdict"`
	Gates   []*Judged `json:"gates"`
}

// Judged is what one gate says.
type Judged struct {
	routes.Site

	Verdict    string      `json:"verdict"`
	Outcome    string      `json:"outcome,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	Cause      string      `json:"cause,omitempty"`
	Issuer     string      `json:"issuer,omitempty"`
	Consumer   string      `json:"consumer,omitempty"`
	Assumed    bool        `json:"assumed,omitempty"`
	Unverified bool        `json:"unverified,omitempty"`
	Steps      []step      `json:"steps"`
	Answer     *answer     `json:"answer,omitempty"`
	Backend    http.Header `json:"backend,omitempty"`
	Change     *advice     `json:"change,omitempty"`

	MCP *rights.Permissions `json:"mcp,omitempty"`
}

// step is one rule.
type step struct {
	Rule     string   `json:"rule"`
	Result   string   `json:"result"`
	Reason   string   `json:"reason,omitempty"`
	Detail   string   `json:"detail,omitempty"`
	Came     []string `json:"came,omitempty"`
	Expected []string `json:"expected,omitempty"`
}

// answer is what the client would see.
type answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
}

func newJudged(site routes.Site, e *gate.Explanation, a gate.Answer) *Judged {
	j := &Judged{
		Site: site, Verdict: passes, Issuer: e.Issuer, Consumer: e.Consumer, Assumed: e.Assumed, Unverified: e.Unverified,
	}
	for _, s := range e.Steps {
		j.Steps = append(j.Steps, step{
			s.Rule, string(s.Result), string(s.Reason), clip(s.Detail), clipped(s.Came), clipped(s.Expected),
		})
	}
	for _, field := range e.Forwarded {
		if j.Backend == nil {
			j.Backend = make(http.Header)
		}
		j.Backend[field.Name] = []string{clip(field.Value)}
	}
	switch e.Outcome {
	case gate.Accepted:
		j.Outcome = "accepted"
	case gate.Anonymous:
		j.Outcome = "anonymous"
	case gate.Unidentified:
		j.Outcome = "unidentified"
	case gate.Preflight:
		j.Outcome = "preflight"
	case gate.Public:
		j.Outcome = "public"
	}
	if e.Open {
		j.Verdict = undecided
	}
	if f := e.Failure; f != nil {
		j.Verdict, j.Reason = refused, string(f.Reason)
		j.Answer = &answer{a.Status, a.Header}
		if f.Cause != nil {
			j.Cause = clip(f.Cause.Error())
		}
	}
	return j
}

// sum is the verdict of all gates: one that lets the request pass is enough.
func (r *Report) sum() {
	r.Verdict = refused
	for _, verdict := range []string{undecided, passes} {
		if slices.ContainsFunc(r.Gates, func(j *Judged) bool { return j.Verdict == verdict }) {
			r.Verdict = verdict
		}
	}
}

// Passes reports whether a gate lets the request through.
func (r *Report) Passes() bool { return r.Verdict == passes }

// Undecided reports whether no gate does, and for one of them that is not sure.
func (r *Report) Undecided() bool { return r.Verdict == undecided }

// WriteJSON writes the report for programs. It is ASCII, so that no terminal takes a part of it for a command.
func (r *Report) WriteJSON(w io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, c := range string(text) {
		switch {
		case c < 0x7f:
			b.WriteRune(c)
		case c <= 0xffff:
			fmt.Fprintf(&b, "\\u%04x", c)
		default:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		}
	}
	b.WriteByte('\n')
	_, err = io.WriteString(w, b.String())
	return err
}

// Write writes the report for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	for i, j := range r.Gates {
		if i > 0 {
			b.WriteString("\n")
		}
		j.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (j *Judged) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n\n", j.Title())
	for _, s := range j.Steps {
		s.write(b)
	}
	b.WriteString("\n")
	j.writeVerdict(b)
	if j.Unverified {
		b.WriteString("  Nobody has verified the token: everything that it says may be invented.\n")
	}
	if j.Assumed {
		fmt.Fprintf(b, "  The token does not name issuer %s. Its rules were applied because it is the only one.\n",
			strconv.Quote(j.Issuer))
	}
	label := "The backend gets:"
	for _, name := range slices.Sorted(maps.Keys(j.Backend)) {
		fmt.Fprintf(b, "  %-17s  %s: %s\n", label, name, terminal.Printable(strings.Join(j.Backend[name], ", ")))
		label = ""
	}
	if j.MCP != nil {
		writePermissions(b, j.MCP)
	}
	if j.Change != nil {
		j.Change.write(b)
	}
}

// write writes one rule: what came and what was expected where they say something.
func (s *step) write(b *strings.Builder) {
	came, expected := quoted(s.Came), quoted(s.Expected)
	switch s.Result {
	case string(gate.Passed):
		fmt.Fprintf(b, "  pass  %s", s.Rule)
		if came != "" {
			b.WriteString(": " + came)
		}
		b.WriteString("\n")
	case string(gate.NotChecked):
		fmt.Fprintf(b, "  ?     %s: not checked, because %s\n", s.Rule, terminal.Printable(s.Detail))
	default:
		fmt.Fprintf(b, "  FAIL  %s: %s", s.Rule, s.Reason)
		if detail := s.ownDetail(); detail != "" {
			b.WriteString(": " + terminal.Printable(detail))
		}
		b.WriteString("\n")
		if came == "" && expected != "" {
			came = "nothing"
		}
		if came != "" {
			fmt.Fprintf(b, "          came      %s\n", came)
		}
		if expected != "" {
			fmt.Fprintf(b, "          expected  %s\n", expected)
		}
	}
}

// ownDetail is the detail without the words of the reason, with which many details begin.
func (s *step) ownDetail() string {
	rest, repeats := strings.CutPrefix(s.Detail, strings.ReplaceAll(s.Reason, "_", " "))
	if repeats && (rest == "" || strings.HasPrefix(rest, ": ")) {
		return strings.TrimPrefix(rest, ": ")
	}
	return s.Detail
}

func (j *Judged) writeVerdict(b *strings.Builder) {
	switch j.Verdict {
	case passes:
		fmt.Fprintf(b, "  The request passes%s.\n", j.as())
	case undecided:
		var open []string
		for _, s := range j.Steps {
			if s.Result == string(gate.NotChecked) {
				open = append(open, s.Rule)
			}
		}
		fmt.Fprintf(b, "  Undecided: no rule refuses the request, but some could not be checked (%s). Use --fetch.\n",
			strings.Join(open, ", "))
	default:
		fmt.Fprintf(b, "  The request is refused: %s.\n  The client sees:   status %d\n", j.Reason, j.Answer.Status)
		for _, name := range slices.Sorted(maps.Keys(j.Answer.Header)) {
			for _, value := range j.Answer.Header[name] {
				fmt.Fprintf(b, "                     %s: %s\n", name, terminal.Printable(value))
			}
		}
	}
}

// as says as whom a request passes.
func (j *Judged) as() string {
	switch {
	case j.Outcome != "accepted":
		return ", " + j.Outcome
	case j.Issuer != "" && j.Consumer != "":
		return fmt.Sprintf(", with a token of issuer %q, as the consumer %q", j.Issuer, j.Consumer)
	case j.Consumer != "":
		return ", with a token of consumer " + strconv.Quote(j.Consumer)
	default:
		return ", with a token of issuer " + strconv.Quote(j.Issuer)
	}
}

// Bounds on what is shown of one list and of one text, in values and bytes.
const (
	mostValues  = 10
	longestText = 300
)

// clipped bounds a list.
func clipped(list []string) []string {
	var out []string
	for _, text := range list[:min(len(list), mostValues)] {
		out = append(out, clip(text))
	}
	if left := len(list) - mostValues; left > 0 {
		out = append(out, fmt.Sprintf("and %d more", left))
	}
	return out
}

// clip bounds a text.
func clip(text string) string {
	if len(text) <= longestText {
		return text
	}
	cut := longestText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:cut], len(text))
}

// quoted is a list in quotes, so that no value can look like two or control a terminal.
func quoted(list []string) string {
	var out []string
	for _, text := range list {
		out = append(out, strconv.Quote(text))
	}
	return strings.Join(out, ", ")
}
