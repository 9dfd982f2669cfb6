// Package nvidia asks NVIDIA's driver which GPUs there are, and holds the table of the
// CUDA builds of frameworks: which GPUs they have code for, and which driver they need.
package nvidia

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Driver is what NVIDIA's driver says of itself and of its GPUs. The zero value is a
// machine without anything of NVIDIA's.
type Driver struct {
	Version string `json:"version,omitempty"` // "580.95.05"; empty: no driver is loaded, or it did not say
	CUDA    string `json:"cuda,omitempty"`    // the newest that it supports: "13.0"
	Nodes   bool   `json:"nodes"`             // its device files are there
	// Asked says that the driver has answered, so that GPUs are all that it can use.
	// Otherwise they are those that the kernel lists, of which little is known.
	Asked    bool     `json:"asked"`
	GPUs     []GPU    `json:"gpus,omitempty"`
	Lost     []string `json:"lost,omitempty"`     // what was said of each GPU that does not answer
	Warnings []string `json:"warnings,omitempty"` // what else was said
	Error    string   `json:"error,omitempty"`    // why the driver was not asked, in its own words; empty where nothing of NVIDIA's is installed
	Slow     bool     `json:"slow,omitempty"`     // it did not answer in time
}

// A GPU is one of NVIDIA's. What is not known is nil or empty.
type GPU struct {
	Name       string  `json:"name"`
	Capability string  `json:"capability,omitempty"` // "9.0"
	Memory     *uint64 `json:"memory,omitempty"`     // bytes, of its own
	Busy       *int    `json:"busy,omitempty"`       // percent of the time
	UUID       string  `json:"uuid,omitempty"`
	PCI        string  `json:"pci,omitempty"` // "0000:19:00.0"
}

// Mismatched reports whether the driver that is loaded is another version than its
// libraries, as it is after an update until the next restart.
func (d Driver) Mismatched() bool {
	return strings.Contains(strings.ToLower(d.Error), "version mismatch")
}

// Ask asks the driver through NVML in a process of its own, else through nvidia-smi, and
// else reads the kernel's files. All of it ends with the context; probes is probe.Ask, and
// nil leaves NVML out.
func Ask(ctx context.Context, probes probe.Asker) Driver {
	d := ask(ctx, probes)
	d.kernel("/")
	return d
}

// ask asks the driver itself.
func ask(ctx context.Context, probes probe.Asker) Driver {
	start := time.Now()
	var d Driver
	if probes != nil {
		if _, err := probes(ctx, Probe, &d); err != nil {
			d = Driver{Error: "NVML: " + err.Error()}
		}
	}
	reason := ""
	if !d.Asked && ctx.Err() == nil {
		reason = d.Error
		switch s := smi(ctx); {
		case s.Asked || d.Error == "":
			d = s
		case s.Error != "":
			d.Error += "; " + s.Error
		}
	}
	if !d.Asked && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		late := "no answer within " + unit.Seconds(time.Since(start).Round(100*time.Millisecond))
		if reason == "" {
			return Driver{Slow: true, Error: late}
		}
		d.Error = reason + "; nvidia-smi: " + late
	}
	return d
}

// kernel adds what the kernel's files below a root folder say and the driver did not.
func (d *Driver) kernel(root string) {
	if d.Version == "" {
		text, _ := os.ReadFile(filepath.Join(root, "proc/driver/nvidia/version"))
		d.Version = moduleVersion(string(text))
	}
	if !d.Asked {
		d.GPUs = Listed(root)
	}
	_, err := os.Stat(filepath.Join(root, "dev/nvidiactl"))
	d.Nodes = err == nil
}

// moduleVersion returns the version in /proc/driver/nvidia/version: the first word of
// its first line that begins with a digit and has a dot.
//
//	NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024
func moduleVersion(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	for word := range strings.FieldsSeq(first) {
		if word[0] >= '0' && word[0] <= '9' && strings.Contains(word, ".") {
			return word
		}
	}
	return ""
}

// Listed returns the GPUs in the driver's files below a root folder, on Linux, without
// starting a program:
//
//	Model: 		 NVIDIA H100 80GB HBM3
//	GPU UUID: 	 GPU-5d4bf5a4-79ba-2b8f-d7c9-4e6e3a7bd8a5
//	Bus Location: 	 0000:19:00.0
//	GPU Excluded:	 No
//
// A GPU that was never woken up has question marks in its UUID.
func Listed(root string) []GPU {
	folders, _ := filepath.Glob(filepath.Join(root, "proc/driver/nvidia/gpus/*"))
	var list []GPU
	for _, folder := range folders {
		g := GPU{PCI: strings.ToLower(filepath.Base(folder))}
		excluded := false
		text, _ := os.ReadFile(filepath.Join(folder, "information"))
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			switch value = strings.TrimSpace(value); name {
			case "Model":
				g.Name = value
			case "GPU UUID":
				if !strings.Contains(value, "?") {
					g.UUID = value
				}
			case "Bus Location":
				g.PCI = strings.ToLower(value)
			case "GPU Excluded":
				excluded = value == "Yes"
			}
		}
		if !excluded {
			list = append(list, g)
		}
	}
	return list
}
