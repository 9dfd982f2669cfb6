package encode

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strconv"
	"sync"

	"github.com/gpuplay/gpuplay/internal/event"
)

// Events writes each event that it is given to w as one line of JSON, in one write: who
// reads along sees whole lines. docs/event.schema.json describes them. The event that
// ends a stream carries the record as record.Write writes it, without what follows from
// it.
//
// After an error nothing more is written, since a reader would see a gap; failed
// returns that error.
func Events(w io.Writer) (each func(event.Event), failed func() error) {
	var line bytes.Buffer
	var mu sync.Mutex // of err
	var err error
	failed = func() error {
		mu.Lock()
		defer mu.Unlock()
		return err
	}
	each = func(e event.Event) {
		if failed() != nil {
			return
		}
		line.Reset()
		now := writeLine(&line, e)
		if now == nil {
			_, now = w.Write(line.Bytes())
		}
		mu.Lock()
		defer mu.Unlock()
		err = now
	}
	return each, failed
}

// writeLine writes v as one line of JSON. Numbers that JSON does not have, such as the
// loss of a training that diverges, become null.
func writeLine(b *bytes.Buffer, v any) error {
	e := encoder(b)
	err := e.Encode(v)
	if number := (*json.UnsupportedValueError)(nil); !errors.As(err, &number) {
		return err
	}
	// It is rare: the encoder has no way to write such a number, so a copy has one in
	// its place that is like no other.
	b.Reset()
	if err := e.Encode(substitute(reflect.ValueOf(v)).Interface()); err != nil {
		return err
	}
	text := bytes.ReplaceAll(b.Bytes(), []byte(strconv.FormatFloat(notFinite, 'g', -1, 64)), []byte("null"))
	b.Reset()
	b.Write(text)
	return nil
}

// notFinite stands for NaN and the infinities. No measurement comes near it.
const notFinite = -0x1.921fb54442d18p+1020

// substitute returns a copy of v that has notFinite in the place of numbers that are not.
func substitute(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	switch v.Kind() {
	case reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			c.SetFloat(notFinite)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			c.Set(reflect.New(v.Type().Elem()))
			c.Elem().Set(substitute(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			c.Set(substitute(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(substitute(v.Field(i)))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		for i := range v.Len() {
			c.Index(i).Set(substitute(v.Index(i)))
		}
	case reflect.Map:
		if !v.IsNil() {
			c.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		}
		for key, value := range v.Seq2() {
			c.SetMapIndex(key, substitute(value))
		}
	}
	return c
}
