package hashing

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
)

// Fingerprinter is a type that says itself what its values differ in, such as a key by its thumbprint.
type Fingerprinter interface{ Fingerprint() [32]byte }

// Fingerprint identifies everything that settings hold, secrets too: two values of one type have the same fingerprint
// only if they are alike. It is made when a configuration is loaded, and is of no use to another process.
//
// It walks structs, pointers, lists and maps, and takes every field in, exported or not. So a new field cannot be
// forgotten. A field may say otherwise with a tag:
//
//	fingerprint:"-"    it stays out; the comment beside it says why
//	fingerprint:"set"  only whether it is nil: for functions, channels and interfaces
//
// A Fingerprinter below the settings themselves is asked and not walked. Nil and empty lists differ. A time.Time
// counts as an instant, whatever its zone. The settings may be given by a pointer to them.
//
// It panics when the type of the settings has a part that it cannot read: a function, channel or interface without a
// tag, or an unknown tag. That depends on the type alone, so one call in a test is enough to rule it out. It also
// panics when the settings contain themselves.
func Fingerprint(settings any) [32]byte {
	v := reflect.Indirect(reflect.ValueOf(settings)) // its own method is the one that asks
	of := v.Type()
	if problem := readable(of, of.String(), nil); problem != "" {
		panic("hashing: " + problem)
	}
	w := walker{NewWriter("fingerprint"), 0}
	w.Text(of.PkgPath())
	w.Text(of.String())
	w.inside(addressable(v))
	return w.Sum()
}

const (
	out     = "-"   // what the tag of a field says
	onlySet = "set" // likewise

	// maxDepth ends the walk through settings that contain themselves.
	maxDepth = 64
)

var (
	fingerprinter = reflect.TypeFor[Fingerprinter]()
	instant       = reflect.TypeFor[time.Time]()
)

// readable says which part of a type cannot be read; empty when all can.
func readable(t reflect.Type, path string, above []reflect.Type) string {
	if slices.Contains(above, t) {
		return ""
	}
	below := append(slices.Clip(above), t)
	if len(above) > 0 && saysItself(t) {
		if embeds(t) {
			return fmt.Sprintf("%s: nobody can see whether Fingerprint is of %s or of what it embeds", path, t)
		}
		return ""
	}
	if t == instant {
		return ""
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			inner := path + "." + field.Name
			switch says, tagged := field.Tag.Lookup("fingerprint"); {
			case tagged && says == out, tagged && says == onlySet && canBeNil(field.Type):
			case tagged:
				return fmt.Sprintf("%s: the tag fingerprint:%q is unknown, or not for a %s", inner, says, field.Type)
			default:
				if problem := readable(field.Type, inner, below); problem != "" {
					return problem
				}
			}
		}
		return ""
	case reflect.Map:
		if problem := readable(t.Key(), path+"[key]", below); problem != "" {
			return problem
		}
		return readable(t.Elem(), path+"[]", below)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return readable(t.Elem(), path+"[]", below)
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return ""
	}
	return fmt.Sprintf("%s: a %s cannot be part of a fingerprint; give the field a tag", path, t)
}

// saysItself reports whether a variable of the type is a Fingerprinter.
func saysItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return t.Implements(fingerprinter)
	}
	return reflect.PointerTo(t).Implements(fingerprinter)
}

// embeds reports whether a struct may have its method from a field, and so leave out all others.
func embeds(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous && (field.Type.Implements(fingerprinter) || saysItself(field.Type)) {
			return true
		}
	}
	return false
}

func canBeNil(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Map:
		return true
	}
	return false
}

// addressable is a copy whose parts can be read without regard to whether they are exported.
func addressable(v reflect.Value) reflect.Value {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	return copied
}

type walker struct {
	Writer
	depth int
}

// value adds a value that lies within others, and may be a Fingerprinter.
func (w *walker) value(v reflect.Value) {
	if w.depth++; w.depth > maxDepth {
		panic(fmt.Sprintf("hashing: a %s contains itself", v.Type()))
	}
	defer func() { w.depth-- }()
	switch {
	case v.Kind() == reflect.Interface: // a Fingerprinter, see readable
		w.dynamic(v)
	case v.Addr().Type().Implements(fingerprinter):
		sum := v.Addr().Interface().(Fingerprinter).Fingerprint()
		w.Bytes(sum[:])
	case v.Type() == instant:
		t := v.Interface().(time.Time)
		w.Number(uint64(t.Unix()))
		w.Number(uint64(t.Nanosecond()))
	default:
		w.inside(v)
	}
}

// dynamic adds what an interface holds, and of which type.
func (w *walker) dynamic(v reflect.Value) {
	w.Flag(!v.IsNil())
	if v.IsNil() {
		return
	}
	held := v.Elem()
	w.Text(held.Type().PkgPath())
	w.Text(held.Type().String())
	isNil := canBeNil(held.Type()) && held.IsNil()
	w.Flag(!isNil)
	if !isNil {
		sum := v.Interface().(Fingerprinter).Fingerprint()
		w.Bytes(sum[:])
	}
}

// inside adds a value of a kind that can be read.
func (w *walker) inside(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		w.Flag(v.Bool())
	case reflect.String:
		w.Text(v.String())
	case reflect.Float32, reflect.Float64:
		w.Number(math.Float64bits(v.Float()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.Number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		w.Number(v.Uint())
	case reflect.Struct:
		w.fields(v)
	case reflect.Array:
		w.elements(v)
	case reflect.Pointer:
		if w.Flag(!v.IsNil()); !v.IsNil() {
			w.value(v.Elem())
		}
	case reflect.Slice:
		if w.Flag(!v.IsNil()); !v.IsNil() {
			w.elements(v)
		}
	case reflect.Map:
		if w.Flag(!v.IsNil()); !v.IsNil() {
			w.entries(v)
		}
	}
}

func (w *walker) fields(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Tag.Get("fingerprint") == out {
			continue
		}
		w.Text(field.Name)
		value := v.Field(i)
		if field.Tag.Get("fingerprint") == onlySet {
			w.Flag(!value.IsNil())
			continue
		}
		w.value(reflect.NewAt(value.Type(), value.Addr().UnsafePointer()).Elem())
	}
}

func (w *walker) elements(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 && !saysItself(v.Type().Elem()) {
		w.Bytes(v.Bytes())
		return
	}
	w.Number(uint64(v.Len()))
	for i := range v.Len() {
		w.value(v.Index(i))
	}
}

// entries adds those of a map by their hashes, in order: a map has none of its own.
func (w *walker) entries(v reflect.Value) {
	var sums [][]byte
	for iter := v.MapRange(); iter.Next(); {
		entry := walker{NewWriter("fingerprint of an entry"), w.depth}
		entry.value(addressable(iter.Key()))
		entry.value(addressable(iter.Value()))
		sum := entry.Sum()
		sums = append(sums, sum[:])
	}
	slices.SortFunc(sums, bytes.Compare)
	w.Number(uint64(len(sums)))
	for _, sum := range sums {
		w.Bytes(sum)
	}
}
