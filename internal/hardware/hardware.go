// Package hardware says what computes on a machine: devices as libraries reach them,
// and the physical cards behind them, which several libraries share.
package hardware

import (
	"fmt"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// A Kind says what a device is. SoftwareGPU is a GPU interface that a CPU serves,
// such as llvmpipe: it proves that a program is right and never enters a comparison.
type Kind string

const (
	CPU         Kind = "cpu"
	GPU         Kind = "gpu"
	SoftwareGPU Kind = "software-gpu"
)

// A Device is a piece of hardware as one library reaches it.
type Device struct {
	ID       string            `json:"id"`                 // stable and unique within its engine, never an index where anything better exists
	Name     string            `json:"name"`               // the hardware, as its maker writes it
	Kind     Kind              `json:"kind"`               //
	API      string            `json:"api"`                // the interface: cpu, cuda, mps, openblas
	Library  string            `json:"library"`            // what computes, as its maker writes it: PyTorch, OpenBLAS
	Version  string            `json:"version"`            // of the library
	File     string            `json:"file,omitempty"`     // of a library that was found as one; a machine may have several of a version
	Detail   string            `json:"detail,omitempty"`   // what else tells it from its neighbours: the instruction set
	Versions map[string]string `json:"versions,omitempty"` // of all else that matters: python, cuda, driver
	Index    *int              `json:"index,omitempty"`    // of a GPU among those that this process sees through the interface, in PCI order: 1 is cuda:1; nil where the interface has no numbers
	UUID     string            `json:"uuid,omitempty"`     // of the card, as its driver writes it: "GPU-5d4bf5a4-…"; empty when not known
	PCI      string            `json:"pci,omitempty"`      // domain:bus:device.function of the card; empty when not known
	Card     *int              `json:"card,omitempty"`     // Number of its Card on this machine; nil when not known, and for CPUs
	Memory   *int64            `json:"memory,omitempty"`   // bytes; nil when not known
}

// Label names what computes, short enough for a table: "OpenBLAS 0.3.34",
// "PyTorch 2.15 cpu, eager", "gpuplay (built in, AVX-512)".
func (d Device) Label() string {
	if d.Version == "" {
		return fmt.Sprintf("%s (%s)", d.Library, d.Detail)
	}
	label := d.Library + " " + shortVersion(d.Version)
	if strings.EqualFold(d.API, d.Library) {
		return label
	}
	label += " " + d.API
	if d.Detail != "" {
		label += ", " + d.Detail
	}
	return label
}

// shortVersion keeps three parts of a version, two when the third is 0.
func shortVersion(v string) string {
	parts := strings.SplitN(v, ".", 4)
	parts = parts[:min(3, len(parts))]
	if len(parts) == 3 && parts[2] == "0" {
		parts = parts[:2]
	}
	return strings.Join(parts, ".")
}

// A Missing device is one that an engine looked for and did not find.
type Missing struct {
	API      string         `json:"api"`
	Kind     Kind           `json:"kind"` // what it would be
	Reason   string         `json:"reason"`
	Remedies fault.Remedies `json:"remedies,omitempty"`
}

// An Inventory is what an engine found on this machine.
type Inventory struct {
	Devices []Device  `json:"devices"`
	Missing []Missing `json:"missing,omitempty"`
}
