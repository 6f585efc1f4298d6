package lastgood

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
)

// version begins every answer that is kept, and is a part of its name. So a process never finds one in a form that it
// does not know.
const version = "bearer_auth answer 1\n"

// errDamaged means that what was kept is not what was written.
var errDamaged = errors.New("what the store has kept is damaged")

// encode makes the text that is kept of an answer: the version, SHA-256 of all that follows, the name, the time in
// milliseconds, the length of the address, the address, and the body.
func encode(name [sha256.Size]byte, answer refresh.Answer) []byte {
	rest := make([]byte, 0, len(name)+12+len(answer.Address)+len(answer.Body))
	rest = append(rest, name[:]...)
	rest = binary.BigEndian.AppendUint64(rest, uint64(answer.Got.UnixMilli()))
	rest = binary.BigEndian.AppendUint32(rest, uint32(len(answer.Address)))
	rest = append(rest, answer.Address...)
	rest = append(rest, answer.Body...)
	sum := sha256.Sum256(rest)
	return slices.Concat([]byte(version), sum[:], rest)
}

// decode reads what encode has written. The answer must be the one with this name, and from this address.
func decode(text []byte, name [sha256.Size]byte, address string) (answer refresh.Answer, err error) {
	rest, ours := bytes.CutPrefix(text, []byte(version))
	if !ours || len(rest) < 2*sha256.Size+12 {
		return answer, errDamaged
	}
	sum, rest := rest[:sha256.Size], rest[sha256.Size:]
	if actual := sha256.Sum256(rest); !bytes.Equal(sum, actual[:]) {
		return answer, errDamaged
	}
	its, rest := rest[:sha256.Size], rest[sha256.Size:]
	got, length, rest := binary.BigEndian.Uint64(rest), binary.BigEndian.Uint32(rest[8:]), rest[12:]
	if uint64(length) > uint64(len(rest)) {
		return answer, errDamaged
	}
	if !bytes.Equal(its, name[:]) || string(rest[:length]) != address {
		return answer, fmt.Errorf("%w: it belongs to another address", errDamaged)
	}
	answer.Address, answer.Got, answer.Body = address, time.UnixMilli(int64(got)), rest[length:]
	if len(answer.Body) > MaxBody {
		return refresh.Answer{}, errDamaged
	}
	answer.Hash = sha256.Sum256(answer.Body)
	return answer, nil
}

// sum identifies an origin in every process. It has all settings that decide whose answers are believed, and which
// answers there are. Left out are the client certificate and what is read from files for header fields: they are
// replaced now and then, and show only who asks.
func (o Origin) sum() (sum [sha256.Size]byte) {
	w := writer{sha256.New()}
	w.text(version, o.Document, o.Issuer, string(o.Fetch.CA), o.Fetch.ServerName)
	pins := make([]string, 0, len(o.Fetch.Pins))
	for _, pin := range o.Fetch.Pins {
		pins = append(pins, string(pin[:]))
	}
	slices.Sort(pins)
	w.list(pins)
	w.number(uint64(len(o.Fetch.Header)))
	for _, field := range slices.Sorted(maps.Keys(o.Fetch.Header)) {
		w.text(field)
		w.list(o.Fetch.Header[field])
	}
	w.number(uint64(len(o.Fetch.Rotating)))
	for _, field := range o.Fetch.Rotating {
		w.text(field.Name)
		w.number(uint64(len(field.Value.Parts)))
		for _, part := range field.Value.Parts {
			w.text(part.Text, strconv.FormatBool(part.File))
		}
	}
	w.text(fmt.Sprint(o.Fetch.AllowLinkLocal, o.Fetch.Plain))
	w.Sum(sum[:0])
	return sum
}

// name is the name of the answer from an address.
func (a *archive) name(address string) (name [sha256.Size]byte) {
	w := writer{sha256.New()}
	w.text(string(a.origin[:]), address)
	w.Sum(name[:0])
	return name
}

// writer hashes texts, each with its length before it, so that no two sequences of texts look alike.
type writer struct{ hash.Hash }

func (w writer) number(n uint64) {
	_, _ = w.Write(binary.BigEndian.AppendUint64(nil, n)) // a hash.Hash never fails
}

func (w writer) text(texts ...string) {
	for _, text := range texts {
		w.number(uint64(len(text)))
		_, _ = w.Write([]byte(text))
	}
}

func (w writer) list(texts []string) {
	w.number(uint64(len(texts)))
	w.text(texts...)
}

// withoutQuery is an address as it is logged: its query may have secrets.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}
