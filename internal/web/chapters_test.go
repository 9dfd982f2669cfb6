package web

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/model"
)

// What the page asks for is numbers within limits and words of fixed lists; anything else is
// refused before something is started.
func TestSettings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tiny.gguf"), model.Tiny(), 0o644); err != nil {
		t.Fatal(err)
	}
	deps := lab.Deps{Models: lab.Models{Places: model.Places{Dirs: []string{dir}}}}
	talk := Talk(deps)
	if list, err := talk.Get(t.Context()); err != nil || len(list.([]Talker)) != 1 {
		t.Fatal(list, err)
	}
	all := map[string]Activity{"race": Race(deps), "sweep": Sweep(deps), "cpu": CPU(deps), "llm": talk}
	for _, c := range []struct {
		kind, settings string
		ok             bool
	}{
		{"race", ``, true},
		{"race", `{}`, true},
		{"race", `{"size":4096,"dtype":"bfloat16","seconds":30,"all_gpus":true}`, true},
		{"race", `{"size":16384}`, true},
		{"race", `{"size":16385}`, false},
		{"race", `{"size":-1}`, false},
		{"race", `{"size":1e9}`, false},
		{"race", `{"size":"4096"}`, false},
		{"race", `{"dtype":"float128"}`, false},
		{"race", `{"dtype":"../float32"}`, false},
		{"race", `{"seconds":0}`, false},
		{"race", `{"seconds":121}`, false},
		{"race", `{"engines":["gocpu"]}`, false},
		{"race", `{"python":"/bin/sh"}`, false},
		{"race", `[]`, false},
		{"sweep", `{"most":4096,"dtype":"float16","seconds":1}`, true},
		{"sweep", `{"most":32768}`, false},
		{"sweep", `{"most":16}`, false},
		{"sweep", `{"seconds":0}`, false},
		{"sweep", `{"dtype":"x"}`, false},
		{"cpu", `{}`, true},
		{"cpu", `{"threads":4}`, false},
		{"llm", `{"model":"0","prompt":"Why?","tokens":8}`, true},
		{"llm", `{"model":"1","prompt":"Why?"}`, false},
		{"llm", `{"model":"-1","prompt":"Why?"}`, false},
		{"llm", `{"model":"` + dir + `/tiny.gguf","prompt":"Why?"}`, false},
		{"llm", `{"model":"0","prompt":""}`, false},
		{"llm", `{"model":"0","prompt":"Why?","tokens":100000}`, false},
		{"llm", `{"model":"0","prompt":"` + strings.Repeat("x", maxPrompt+1) + `"}`, false},
		{"llm", `{"model":"0","prompt":"Why?","url":"http://example.org"}`, false},
	} {
		job, err := all[c.kind].Job([]byte(c.settings))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s %.80s: %v", c.kind, c.settings, err)
		}
		if c.ok && job.Measure == nil {
			t.Errorf("%s %s measures nothing", c.kind, c.settings)
		}
	}
}
