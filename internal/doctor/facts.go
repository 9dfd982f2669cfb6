// Package doctor says what stands in the way of measuring on a machine. Gather
// describes the machine as plain data, and Examine judges such a description: it is
// pure, so that machines which are not here can be tested from records.
//
// It imports no framework, changes nothing and repairs nothing; its checks name the
// commands that do.
package doctor

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/python"
)

// Facts describe a machine. What could not be found out is nil or empty, never a
// guess.
type Facts struct {
	Source     string            `json:"source,omitempty"` // of a record: where it comes from
	OS         string            `json:"os"`               // linux, darwin, windows
	Arch       string            `json:"arch"`             // of this process: amd64, arm64
	System     string            `json:"system"`           // "debian 12.11", "macOS 15.1"
	Version    string            `json:"version"`          // of the system: "12.11"
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`           // physical cores that this process may use; 0 where it is not known which CPUs share one
	CPUs       int               `json:"cpus,omitempty"`  // logical CPUs that this process may use
	Quota      *Quota            `json:"quota,omitempty"` // of CPU time; nil: none, or not below what the machine has
	Container  string            `json:"container"`       // docker, podman, kubernetes, lxc; empty: none that shows
	Virtual    bool              `json:"virtual"`         // a hypervisor is below
	Apple      *Apple            `json:"apple,omitempty"`
	Memory     *Memory           `json:"memory,omitempty"`
	Power      *Power            `json:"power,omitempty"`
	Clock      *Clock            `json:"clock,omitempty"`
	Heat       *Heat             `json:"heat,omitempty"`
	PCI        []PCI             `json:"cards"` // display and compute devices on the bus; null when not known
	NVIDIA     *nvidia.Driver    `json:"nvidia,omitempty"`
	AMD        *AMD              `json:"amd,omitempty"`
	Vulkan     *Vulkan           `json:"vulkan,omitempty"`
	Metal      *Metal            `json:"metal,omitempty"`
	Engines    []Engine          `json:"engines,omitempty"` // those that were started
	Frameworks []Framework       `json:"frameworks,omitempty"`
	UV         bool              `json:"uv,omitempty"`        // uv is on the path
	Variables  map[string]string `json:"variables,omitempty"` // of the environment, those in Variables that are set
}

// Apple is what only Macs have.
type Apple struct {
	Silicon    bool    `json:"silicon"`
	Translated bool    `json:"translated"`      // this process runs under Rosetta
	Tools      *string `json:"tools,omitempty"` // folder of the command line tools; "" when not installed
}

// Quota is a limit of CPU time, of a container or a service.
type Quota struct {
	CPUs      float64 `json:"cpus"`      // on average
	Machine   int     `json:"machine"`   // CPUs that there are
	Periods   int64   `json:"periods"`   // of the quota in which something ran until now
	Throttled int64   `json:"throttled"` // in which it was used up
}

// Memory is main memory, in bytes.
type Memory struct {
	Total     uint64 `json:"total"`             // that this process may use
	Machine   uint64 `json:"machine,omitempty"` // that the machine has, where a container's limit is lower
	Available uint64 `json:"available"`         // without swapping
	SwapUsed  uint64 `json:"swap_used"`
}

// Power is where the power comes from.
type Power struct {
	Battery bool `json:"battery"` // running on it
	Charge  *int `json:"charge,omitempty"`
	Saving  bool `json:"saving"` // low-power mode, battery saver
}

// Clock is Linux's cpufreq policy of the first CPU.
type Clock struct {
	Driver     string `json:"driver"`
	Governor   string `json:"governor"`
	Preference string `json:"preference,omitempty"` // energy_performance_preference
	NoTurbo    bool   `json:"no_turbo,omitempty"`
}

// Heat is how close the CPU is to being slowed down.
type Heat struct {
	SpeedLimit *int     `json:"speed_limit,omitempty"` // percent, macOS
	Celsius    *float64 `json:"celsius,omitempty"`     // of the zone nearest to its limit
	Limit      *float64 `json:"limit,omitempty"`       // at which that zone is cooled by slowing down
}

// PCI is a display or compute device on the PCI bus.
type PCI struct {
	Vendor string `json:"vendor"` // hexadecimal: 10de NVIDIA, 1002 AMD, 8086 Intel
	Device string `json:"device"`
}

// AMD is what Linux offers of the compute interface of AMD's driver.
type AMD struct {
	Node   bool   `json:"node"`   // /dev/kfd is there
	Access bool   `json:"access"` // and this user may use it
	User   string `json:"user,omitempty"`
	Group  string `json:"group,omitempty"` // number of the group that /dev/kfd belongs to
}

// Engine is what became of starting one.
type Engine struct {
	Name    string             `json:"name"`
	BuiltIn bool               `json:"built_in"`
	Start   time.Duration      `json:"start_ns"`
	Found   hardware.Inventory `json:"found"`
	Error   *fault.Error       `json:"error,omitempty"`
}

// Framework is where a Python framework would be taken from, and what is there by
// its packages' metadata.
type Framework struct {
	Name      string             `json:"name"` // of its module
	Python    Python             `json:"python"`
	Source    string             `json:"source,omitempty"` // "the user site" or "PYTHONPATH", if it is not installed in the interpreter itself
	Passed    []python.Candidate `json:"passed,omitempty"` // interpreters that come before and do not work
	Installed bool               `json:"installed"`
	Broken    string             `json:"broken,omitempty"`   // why it cannot be imported, as far as that shows
	Packages  map[string]string  `json:"packages,omitempty"` // versions of those that matter
	CUDA      string             `json:"cuda,omitempty"`     // that it is built for: "13.2"
	ROCm      string             `json:"rocm,omitempty"`
	Error     string             `json:"error,omitempty"` // why no interpreter could be chosen
}

// Python is an interpreter.
type Python struct {
	Path    string `json:"path"`
	Why     string `json:"why"`               // it was chosen: ".venv-torch", "PATH"
	Version string `json:"version,omitempty"` // "3.11.7"
	Machine string `json:"machine,omitempty"` // "arm64", "x86_64"
	Pip     bool   `json:"pip,omitempty"`     // it has pip
	Managed bool   `json:"managed,omitempty"` // the system's packages own it: pip refuses to install into it
	Error   string `json:"error,omitempty"`   // why it does not run
}
