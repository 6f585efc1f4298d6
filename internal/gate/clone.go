package gate

import (
	"fmt"
	"reflect"
)

// clone makes a deep copy of the configuration, so that the caller cannot change what the gate keeps. Three things are
// shared: what a field with the tag clone:"shared" points to, since it is immutable or common to all gates; what is
// behind an interface or a function; and unexported fields, which belong to other packages.
func (c Config) clone() Config { return cloned(reflect.ValueOf(c)).Interface().(Config) }

func cloned(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		return clonedStruct(v)
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(cloned(v.Index(i)))
		}
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			out.Index(i).Set(cloned(v.Index(i)))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(cloned(v.Elem()))
		return out
	case reflect.Map, reflect.Chan, reflect.UnsafePointer:
		panic(fmt.Sprintf("gate: cannot copy a configuration that contains a %s: handle it here, or tag the field", v.Type()))
	default:
		return v
	}
}

func clonedStruct(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() && field.Tag.Get("clone") != "shared" {
			out.Field(i).Set(cloned(v.Field(i)))
		}
	}
	return out
}
