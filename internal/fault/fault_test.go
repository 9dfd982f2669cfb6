package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCodesAcrossWrapping(t *testing.T) {
	err := fmt.Errorf("lane: %w", Errorf(OutOfMemory, "too big: %d", 3))
	if !errors.Is(err, OutOfMemory) || errors.Is(err, Timeout) {
		t.Errorf("%v is not told by its code", err)
	}
	if e := From(err); e.Code != OutOfMemory || e.Message != "too big: 3" {
		t.Errorf("From(%v) = %+v", err, e)
	}
	if e := From(fmt.Errorf("driver: %w", Crashed)); e.Code != Crashed || e.Message != "driver: crashed" {
		t.Errorf("a wrapped code became %+v", e)
	}
	if e := From(errors.New("odd")); e.Code != Internal {
		t.Errorf("an unknown error became %+v", e)
	}
	if From(nil) != nil {
		t.Error("nil became an error")
	}
}

// flags is the wording of a command line.
type flags struct{}

func (flags) Param(name, value string) string { return strings.TrimSpace("--" + name + " " + value) }
func (flags) Command(words []string) string   { return strings.Join(words, " ") }

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		remedies Remedies
		want     string
	}{
		{nil, ""},
		{Advice(""), ""},
		{Advice("update macOS"), "update macOS"},
		{Remedies{Set("size", 8960, "the largest size that fits")}, "the largest size that fits: --size 8960"},
		{Remedies{Change("timeout", "{} allows more time")}, "--timeout allows more time"},
		{Remedies{Set("device", "cpu", "")}, "--device cpu"},
		{Remedies{Run("", "gpuplay", "doctor")}, "gpuplay doctor"},
		{Remedies{{Command: []string{"gpuplay", "race"}, Param: "dtype", Value: "bfloat16", Text: "half the bits"}}, "half the bits: gpuplay race --dtype bfloat16"},
		{Remedies{{Command: []string{"gpuplay", "setup", "torch"}, Param: "gpu"}}, "gpuplay setup torch --gpu"},
		{Remedies{Change("python", "{} names an interpreter"), Run("{} makes one", "gpuplay", "setup", "jax")}, "--python names an interpreter; gpuplay setup jax makes one"},
	} {
		if got := tt.remedies.Words(flags{}); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.remedies, got, tt.want)
		}
	}
}

func TestErrorWords(t *testing.T) {
	e := Errorf(OutOfMemory, "too big")
	if got := e.Words(flags{}); got != "too big" {
		t.Errorf("without remedies: %q", got)
	}
	e.With(Set("size", 8960, "the largest size that fits"))
	if got, want := e.Words(flags{}), "too big (the largest size that fits: --size 8960)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := e.Words(nil), "too big (the largest size that fits: size 8960)"; got != want {
		t.Errorf("no wording: %q, want %q", got, want)
	}
}

// What a version with hints wrote is read.
func TestReadsHints(t *testing.T) {
	var e Error
	if err := json.Unmarshal([]byte(`{"code": "timeout", "message": "slow", "hint": "--timeout gives it longer"}`), &e); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Error{Code: Timeout, Message: "slow", Remedies: Advice("--timeout gives it longer")}, e); d != "" {
		t.Error(d)
	}
	text, err := json.Marshal(&e)
	if err != nil {
		t.Fatal(err)
	}
	var back Error
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, back); d != "" {
		t.Errorf("written and read back: %s", d)
	}
}
