package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

func isDuration(t reflect.Type) bool { return t == reflect.TypeFor[time.Duration]() }

// isScalar reports whether v is written as one word.
func isScalar(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// expectation says in words what may stand where a type is wanted.
func expectation(t reflect.Type) string {
	if isDuration(t) {
		return strings.TrimPrefix(errDuration.Error(), "expected ")
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, 0 or more"
	default:
		return "a whole number"
	}
}

// parse sets a scalar from text.
func parse(v reflect.Value, text string) error {
	if isDuration(v.Type()) {
		d, err := ParseDuration(text)
		v.SetInt(int64(d))
		return err
	}
	wrong := errors.New("expected " + expectation(v.Type()))
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return wrong
		}
		v.SetBool(b)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return wrong
		}
		v.SetFloat(f)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(text, 0, v.Type().Bits())
		if err != nil {
			return wrong
		}
		v.SetUint(u)
	default:
		i, err := strconv.ParseInt(text, 0, v.Type().Bits())
		if err != nil {
			return wrong
		}
		v.SetInt(i)
	}
	return nil
}

// fromText sets anything that a flag or a variable can hold: scalars, types
// that read text themselves, and lists of them separated by commas.
func fromText(v reflect.Value, text string) error {
	if own, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return own.UnmarshalText([]byte(text))
	}
	if isScalar(v) {
		if err := parse(v, text); err != nil {
			return fmt.Errorf("%w, found %q", err, clip(text))
		}
		return nil
	}
	list := reflect.MakeSlice(v.Type(), 0, 4)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := fromText(item, part); err != nil {
			return err
		}
		list = reflect.Append(list, item)
	}
	v.Set(list)
	return nil
}

// hasText reports whether fromText can set a type.
func hasText(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok || isScalar(v) {
		return true
	}
	return v.Kind() == reflect.Slice && hasText(reflect.New(v.Type().Elem()).Elem())
}

// toText writes a value the way fromText reads it.
func toText(v reflect.Value) string {
	if own, ok := v.Addr().Interface().(encoding.TextMarshaler); ok {
		if text, err := own.MarshalText(); err == nil {
			return string(text)
		}
	}
	if isDuration(v.Type()) {
		return FormatDuration(time.Duration(v.Int()))
	}
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = toText(v.Index(i))
	}
	return strings.Join(parts, ",")
}
