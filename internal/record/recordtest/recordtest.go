// Package recordtest makes runs for tests: at random, with every field that a run of a
// kind can have, and those of older files.
package recordtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/topology"
	"github.com/gpuplay/gpuplay/internal/train"
)

// Kinds are all kinds of runs.
var Kinds = []record.Kind{record.Race, record.MatMul, record.Sweep, record.LLM, record.Generate, record.Finetune, record.CPUs, record.GPUs, record.Learn, record.Inputs, record.Scale, record.Doctor, record.Imported}

// Random returns a run of a kind whose fields are made up from the seed: text with
// whatever a terminal must not get, large and small numbers, much that is absent. JSON
// can hold all of it.
func Random(kind record.Kind, seed uint64) *record.Run {
	f := Filler{rand.New(rand.NewPCG(seed, 0))}
	r := &record.Run{}
	f.Fill(r)
	r.Schema, r.Kind, r.Created = record.Schema, kind, r.Created.UTC().Truncate(time.Second)
	fill := func(part any) { f.fill(reflect.ValueOf(part).Elem(), "") }
	f.align(r.Telemetry)
	r.Results, r.Crossover = nil, false
	r.Tokens, r.Generation, r.Training, r.CPU, r.GPUs, r.Ladder, r.Checks, r.Noise, r.Scaling, r.Foreign = nil, nil, nil, nil, nil, nil, nil, nil, nil, nil
	switch kind {
	case record.Race, record.MatMul, record.Sweep, record.Inputs:
		r.Results = make([]*bench.Result, f.r.IntN(4))
		for i := range r.Results {
			r.Results[i] = new(bench.Result)
			fill(r.Results[i])
			r.Results[i].Lane = fmt.Sprintf("lane %d", i)
		}
		if len(r.Results) == 0 {
			r.Results = nil
		}
		r.Crossover = kind == record.Sweep && f.r.IntN(2) == 0
	case record.LLM:
		r.Tokens = new(record.Tokens)
		fill(r.Tokens)
	case record.Generate:
		r.Generation = new(record.Generation)
		fill(r.Generation)
	case record.Finetune:
		r.Training = new(record.Training)
		fill(r.Training)
	case record.CPUs:
		r.CPU = new(record.CPU)
		fill(r.CPU)
	case record.GPUs:
		fill(&r.GPUs)
		if len(r.GPUs) == 0 {
			r.GPUs = nil
		}
	case record.Learn:
		if f.r.IntN(2) == 0 {
			r.Noise = new(record.Noise)
			fill(r.Noise)
			break
		}
		r.Ladder = new(record.Ladder)
		fill(r.Ladder)
	case record.Scale:
		r.Scaling = new(record.Scaling)
		fill(r.Scaling)
	case record.Doctor:
		fill(&r.Checks)
		if len(r.Checks) == 0 {
			r.Checks = nil
		}
	case record.Imported:
		r.Foreign = new(record.Foreign)
		fill(r.Foreign)
	}
	return r
}

// align gives every series of a source as many values as the source has times, which are
// in order.
func (f Filler) align(t *record.Telemetry) {
	if t == nil {
		return
	}
	for _, s := range t.Sources {
		slices.Sort(s.At)
		for i := range s.Series {
			s.Series[i].Values = make([]*float64, len(s.At))
			for j := range s.Series[i].Values {
				if f.r.IntN(4) > 0 {
					v := f.number()
					s.Series[i].Values[j] = &v
				}
			}
		}
	}
}

// A Filler fills values at random.
type Filler struct{ r *rand.Rand }

// NewFiller returns the filler of a seed.
func NewFiller(seed uint64) Filler { return Filler{rand.New(rand.NewPCG(seed, 1))} }

// Fill fills what p points to.
func (f Filler) Fill(p any) { f.fill(reflect.ValueOf(p).Elem(), "") }

// values are what types with a closed list can be.
var values = map[reflect.Type][]string{
	of[hardware.Kind]():       {"cpu", "gpu", "software-gpu"},
	of[matrix.DType]():        {"float64", "float32", "tf32", "float16", "bfloat16", "int8", "int32"},
	of[event.Quantity]():      {"utilization", "power", "energy", "memory", "swap", "clock", "memory_clock", "temperature", "throttle", "processes", "pcie_sent", "pcie_received", "nvlink_sent", "nvlink_received"},
	of[hardware.Route]():      {"on the device", "host to device", "device to host"},
	of[matrix.Data]():         {"normal", "zeros", "ones", "ramp", ""},
	of[bench.Protocol]():      {"steady", "classic"},
	of[bench.Phase]():         {"preparing", "checking", "warming up", "measuring", "sustaining", "finished"},
	of[fault.Code]():          {"unavailable", "unsupported", "out_of_memory", "invalid", "crashed", "lost", "timeout", "wrong_result", "interrupted", "internal"},
	of[model.Format]():        {"gguf", "safetensors"},
	of[record.Kind]():         {"race"},
	of[record.Why]():          {"equal", "time"},
	of[record.Status]():       {"ok", "warning", "failed", "absent", "unknown"},
	of[train.Form]():          {"text", "prompt/completion", "chat"},
	of[train.End]():           {"complete", "interrupted", "memory", "failed"},
	of[measure.WarningCode](): {"few_samples", "smaller", "noise", "throttled", "outliers", "short", "drift", "arithmetic", "above_peak", "interrupted", "software_gpu", "not_on_gpu", "busy", "unchecked", "stalled", "unproven", "gpu_in_use", "short_answer"},
}

// fields are what fields without a type of their own can be.
var fields = map[reflect.Type]map[string][]string{
	of[llm.Generation](): {"Finish": {"length", "stop", ""}},
	of[topology.Kind]():  {"Name": {"performance", "middle", "efficiency", ""}},
}

func of[T any]() reflect.Type { return reflect.TypeFor[T]() }

func (f Filler) pick(list []string) string { return list[f.r.IntN(len(list))] }

// element stands for the options of what is in a list, where nothing is null.
const element = "element"

// fill fills a value; options are those of its JSON tag.
func (f Filler) fill(v reflect.Value, options string) {
	omitted := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
	if omitted && f.r.IntN(3) == 0 {
		return
	}
	if v.Type() == of[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(f.r.Int64N(1<<32), 0).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if list, ok := values[v.Type()]; ok {
			v.SetString(f.pick(list))
			return
		}
		v.SetString(f.text())
	case reflect.Bool:
		v.SetBool(f.r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + f.r.Int64N(int64(1)<<(1+f.r.IntN(30))))
	case reflect.Uint64:
		v.SetUint(1 + f.r.Uint64()>>f.r.IntN(64))
	case reflect.Float64:
		v.SetFloat(f.number())
	case reflect.Pointer:
		if options == element || f.r.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), "")
		}
	case reflect.Slice:
		n := f.r.IntN(4)
		if n == 0 && (omitted || options != element && f.r.IntN(2) == 0) { // nil
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i), element)
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), element)
		}
	case reflect.Map:
		if f.r.IntN(4) == 0 {
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + f.r.IntN(3) {
			value := reflect.New(v.Type().Elem()).Elem()
			f.fill(value, "")
			v.SetMapIndex(reflect.ValueOf(f.text()), value)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf([]any{f.text(), f.number(), true}[f.r.IntN(3)]))
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			if list, ok := fields[v.Type()][field.Name]; ok {
				v.Field(i).SetString(f.pick(list))
				continue
			}
			_, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			f.fill(v.Field(i), options)
		}
	default:
		panic("recordtest: cannot fill a " + v.Type().String())
	}
}

// Poison puts a text behind all text in what p points to that comes from elsewhere: types
// of their own have closed lists.
func Poison(p any, with string) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if v.Kind() == reflect.Pointer && !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				if v.Type().Elem().Kind() == reflect.String {
					v.SetMapIndex(key, reflect.ValueOf(v.MapIndex(key).String()+with+"z"))
				}
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.String:
			if v.Type() == of[string]() && v.String() != "" {
				v.SetString(v.String() + with + "z")
			}
		}
	}
	walk(reflect.ValueOf(p))
}

// pieces are what text is made of: words and what needs care.
var pieces = []string{"GPU", "4096³", "naïve", "漢字", "🙂", "👩‍🚀", " ", "\n", "\t", "\x00", "\x1b[2J", "\x1b]0;title\a", "\r", "\b", "\x7f", "\u0085", "\u009b31m", "\u202e", "\u2066", "\u200f", "\ufeff", "\U000e0041", "\u2028", "\"", "\\", "<b>&", "|", "–", "\ufffd"}

func (f Filler) text() string {
	var b strings.Builder
	for range 1 + f.r.IntN(4) {
		b.WriteString(f.pick(pieces))
	}
	return b.String()
}

// number returns a number from the whole range, none negative.
func (f Filler) number() float64 {
	switch f.r.IntN(8) {
	case 0:
		return math.MaxFloat64
	case 1:
		return math.SmallestNonzeroFloat64
	}
	return f.r.Float64() * math.Pow(10, float64(f.r.IntN(24)-8))
}

// Root returns the folder of go.mod.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// Older returns the runs in the files of versions before this one that package record
// keeps, by the names of their files.
func Older(t *testing.T) map[string]*record.Run {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Root(t), "internal", "record", "testdata", "v1", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	runs := map[string]*record.Run{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if runs[name], err = record.Parse(text); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	if len(runs) < 10 {
		t.Fatalf("only %d older files were found", len(runs))
	}
	return runs
}
