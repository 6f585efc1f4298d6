package hashingtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
)

// settings has fields of every kind.
type settings struct {
	Flag     bool
	hidden   string
	Whole    int
	Positive uint8
	Share    float64
	Pins     [][32]byte
	Inner    inner
	Pointer  *inner
	Inners   []inner
	Header   map[string][]string
	Until    time.Time
	Key      key
	AnyKey   hashing.Fingerprinter
	Call     func() error        `fingerprint:"set"`
	Done     chan struct{}       `fingerprint:"set"`
	Client   fmt.Stringer        `fingerprint:"set"`
	Presence []string            `fingerprint:"set"`
	Entries  map[string]struct{} `fingerprint:"set"`
	Other    *inner              `fingerprint:"set"`
	Logger   fmt.Stringer        `fingerprint:"-"` // for tests
	self     *settings
	embedded
}

type embedded struct{ First, Second string }

type inner struct {
	Name   string
	hidden []int
}

// key has a method for its fingerprint, so its other field does not count.
type key struct {
	beside     func() //nolint:unused // the walk meets it: that is what the test is for
	thumbprint [32]byte
}

func (k key) Fingerprint() [32]byte { return k.thumbprint }

func TestEveryFieldIsContentWithAFingerprintThatWalks(t *testing.T) {
	base := settings{Client: time.Second, AnyKey: key{}}
	hashingtest.EveryField(t, base, func(s settings) [32]byte { return hashing.Fingerprint(s) })
	base.Pointer, base.Call, base.self = &inner{Name: "a"}, func() error { return nil }, &settings{}
	hashingtest.EveryField(t, &base, func(s *settings) [32]byte { return hashing.Fingerprint(s) })
	if base.Pointer.Name != "a" || base.Call == nil || base.Inners != nil {
		t.Errorf("the settings themselves have changed: %+v", base)
	}
}

func TestEveryFieldFindsWhatIsWrong(t *testing.T) {
	turn := byte(0)
	for want, check := range map[string]func(testing.TB){
		"changes by itself": func(tb testing.TB) {
			hashingtest.EveryField(tb, settings{}, func(settings) [32]byte { turn++; return [32]byte{turn} })
		},
		"nothing was checked": func(tb testing.TB) {
			hashingtest.EveryField(tb, struct{}{}, func(struct{}) [32]byte { return [32]byte{} })
		},
		"settings.Client: no test knows another": func(tb testing.TB) {
			hashingtest.EveryField(tb, settings{}, func(s settings) [32]byte { return hashing.Fingerprint(s) })
		},
	} {
		report := &failures{}
		check(report)
		if !strings.Contains(strings.Join(report.texts, "\n"), want) {
			t.Errorf("%s: reported are %q", want, report.texts)
		}
	}
}

// failures counts what a test would report.
type failures struct {
	testing.TB
	texts []string
}

func (f *failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func TestEveryFieldFindsWhatIsForgotten(t *testing.T) {
	base := settings{Client: time.Second, AnyKey: key{}}
	for field, forget := range map[string]func(*settings){
		".Flag":         func(s *settings) { s.Flag = false },
		".hidden":       func(s *settings) { s.hidden = "" },
		".Inner.hidden": func(s *settings) { s.Inner.hidden = nil },
		".Pointer.hidden": func(s *settings) {
			if s.Pointer != nil {
				s.Pointer = &inner{Name: s.Pointer.Name}
			}
		},
		".Inners[].Name": func(s *settings) { s.Inners = make([]inner, len(s.Inners)) },
		".Header[key]": func(s *settings) {
			for _, v := range s.Header {
				s.Header = map[string][]string{"": v}
			}
		},
		".Header[][]": func(s *settings) {
			for k, v := range s.Header {
				s.Header = map[string][]string{k: make([]string, len(v))}
			}
		},
		".Pins[][31]": func(s *settings) {
			s.Pins = append([][32]byte(nil), s.Pins...)
			for i := range s.Pins {
				s.Pins[i][31] = 0
			}
		},
		".Until":           func(s *settings) { s.Until = time.Time{} },
		".Key":             func(s *settings) { s.Key = key{} },
		".AnyKey":          func(s *settings) { s.AnyKey = nil },
		".Call":            func(s *settings) { s.Call = nil },
		".Client":          func(s *settings) { s.Client = nil },
		".embedded.Second": func(s *settings) { s.Second = "" },
	} {
		report := &failures{}
		hashingtest.EveryField(report, base, func(s settings) [32]byte {
			forget(&s)
			return hashing.Fingerprint(s)
		})
		if !strings.Contains(strings.Join(report.texts, "\n"), "hashingtest_test.settings"+field+" is not part") {
			t.Errorf("%s: reported are %q", field, report.texts)
		}
	}
}
