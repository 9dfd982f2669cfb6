package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/train"
)

// stateFile is beside an adapter that gpuplay has trained; the worker writes it with
// each save.
const stateFile = "gpuplay.json"

// A State is what is needed to continue an adapter.
type State struct {
	Schema     string `json:"schema"`
	Runtime    string `json:"runtime"`        // framework.MLX or framework.Transformers: neither reads the other's
	Model      string `json:"model"`          // its folder
	Weights    int64  `json:"weights"`        // bytes of the model's weights
	Base       string `json:"base,omitempty"` // model.Fingerprint of them, and of their shapes: the same model may lie elsewhere; empty in files of earlier versions
	Iterations int    `json:"iterations"`

	Layers  int     `json:"layers"`
	Rank    int     `json:"rank"`
	Scale   float64 `json:"scale"`
	Dropout float64 `json:"dropout"`
	DoRA    bool    `json:"dora"`
	Bits    int     `json:"bits"` // that the weights were cut to; 0: not
}

// StateSchema names the version of the file.
const StateSchema = "gpuplay/adapter/v1"

// weights are the files that hold an adapter, each framework's own.
var weights = map[string]string{framework.MLX: "adapters.safetensors", framework.Transformers: "adapter_model.safetensors"}

// Made returns what made the adapter in a folder, framework.MLX or
// framework.Transformers, and to how many bits it wants the model's weights cut: 0
// for not, and for an adapter that is not gpuplay's and does not say.
func Made(folder string) (runtime string, bits int, err error) {
	for _, name := range []string{framework.MLX, framework.Transformers} {
		if _, err := os.Stat(filepath.Join(folder, weights[name])); err == nil {
			runtime = name
		}
	}
	if runtime == "" {
		return "", 0, invalid(fault.Advice("it is a folder that gpuplay finetune, mlx-lm or peft has made"), "%s holds no adapter: neither %s nor %s", folder, weights[framework.MLX], weights[framework.Transformers])
	}
	if _, err := os.Stat(filepath.Join(folder, stateFile)); errors.Is(err, fs.ErrNotExist) {
		return runtime, 0, nil
	}
	s, err := Resume(folder)
	return s.Runtime, s.Bits, err
}

// Resume returns the state of the adapter in a folder.
func Resume(folder string) (State, error) {
	var s State
	text, err := os.ReadFile(filepath.Join(folder, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, invalid(fault.Remedies{fault.Change("adapter", "{} names the folder of one that gpuplay finetune has made"), fault.Change("resume", "without {} a new one is begun")},
			"%s has no adapter to continue: no %s", folder, stateFile)
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(folder, stateFile), err)
	}
	if s.Schema != StateSchema || s.Iterations < 1 || s.Rank < 1 || s.Layers < 1 {
		return s, invalid(fault.Remedies{fault.Change("adapter", "begin a new one with another {}")}, "%s is not understood by this gpuplay", filepath.Join(folder, stateFile))
	}
	return s, nil
}

// Claim makes the folder for a new adapter. One that holds an adapter already is
// left alone: hours may be in it.
func Claim(folder string) error {
	for _, name := range weights {
		if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
			return invalid(fault.Remedies{fault.Change("resume", "{} continues it"), fault.Change("adapter", "{} names another folder")}, "%s holds an adapter already", folder)
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(folder, ".gpuplay-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Keep returns the settings of an adapter that a worker is to keep beside it.
func (s State) Keep() (map[string]any, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(text, &m)
}

// Apply puts what an adapter is made of into the settings that continue it.
func (s State) Apply(to *train.Settings) {
	to.Resume, to.From = true, s.Iterations
	to.Layers, to.Rank, to.Scale, to.Dropout, to.DoRA = s.Layers, s.Rank, s.Scale, s.Dropout, s.DoRA
}
