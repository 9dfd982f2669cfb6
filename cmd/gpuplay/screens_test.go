package main

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/screen"
)

// contenders are what a machine has: an engine that is built in, one with two GPUs, one
// that lacks a device, and one that is not there.
func contenders() []catalog.Contender {
	torch := []hardware.Device{recordtest.TorchCPU}
	for card := range 2 {
		gpu, memory := recordtest.TorchGPU, int64(143e9)
		gpu.Card, gpu.Index, gpu.Memory = &card, &card, &memory
		torch = append(torch, gpu)
	}
	list := []catalog.Contender{
		{Found: hardware.Inventory{Devices: []hardware.Device{recordtest.BuiltIn}}, Start: 17 * time.Millisecond},
		{Found: hardware.Inventory{Devices: []hardware.Device{recordtest.OpenBLAS}, Missing: []hardware.Missing{{
			API: "mkl", Kind: hardware.CPU, Reason: "no libmkl_rt.so.3, libmkl_rt.so.2, libmkl_rt.so", Remedies: fault.Remedies{fault.Run("", "pip", "install", "mkl")},
		}}}, Start: 48 * time.Millisecond},
		{Found: hardware.Inventory{Devices: torch}, Start: 2140 * time.Millisecond},
		{Err: fault.Errorf(fault.Unavailable, "TensorFlow is not installed for /home/someone/project/.venv/bin/python").With(fault.Run("", "gpuplay", "setup", "tensorflow"))},
	}
	for i, name := range []string{"gocpu", "blas", "torch", "tensorflow"} {
		at := slices.IndexFunc(catalog.Engines, func(e catalog.Entry) bool { return e.Name == name })
		list[i].Entry = catalog.Engines[at]
	}
	return list
}

// What a terminal of 80×24 shows of the help and of the engines, and what of it has
// scrolled off.
func TestScreens(t *testing.T) {
	var b bytes.Buffer
	a := &app{stdout: &b, stderr: &b}
	for name, text := range map[string]string{
		"help":    helpText(newRoot(a), 80),
		"engines": enginesText(contenders(), 80),
	} {
		if name == "help" && runtime.GOOS == "darwin" { // where there is an engine more
			continue
		}
		window := screen.New(80, 24)
		io.WriteString(window, text)
		golden.Compare(t, "screen."+name+".80x24.txt", window.Window())
	}
	// The same at 40 columns, where there is least room.
	window := screen.New(40, 24)
	io.WriteString(window, enginesText(contenders(), 40))
	golden.Compare(t, "screen.engines.40x24.txt", window.Window())
}
