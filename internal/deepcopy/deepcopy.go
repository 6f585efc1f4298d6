// Package deepcopy copies settings, so that nobody can change a copy through the original.
package deepcopy

import (
	"fmt"
	"reflect"
)

// Of makes a deep copy. Three things are shared: what a field with the tag clone:"shared" points to, since it is
// immutable or common to all; what is behind an interface or a function; and unexported fields, which belong to other
// packages. It panics if the type contains a map, a channel or an unsafe pointer elsewhere.
func Of[T any](v T) T { return copied(reflect.ValueOf(&v).Elem()).Interface().(T) }

func copied(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		return copiedStruct(v)
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(copied(v.Index(i)))
		}
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			out.Index(i).Set(copied(v.Index(i)))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(copied(v.Elem()))
		return out
	case reflect.Map, reflect.Chan, reflect.UnsafePointer:
		panic(fmt.Sprintf("deepcopy: cannot copy settings that contain a %s: handle it here, or tag the field", v.Type()))
	default:
		return v
	}
}

func copiedStruct(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() && field.Tag.Get("clone") != "shared" {
			out.Field(i).Set(copied(v.Field(i)))
		}
	}
	return out
}
