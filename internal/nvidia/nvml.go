package nvidia

import (
	"errors"
	"fmt"

	"github.com/gpuplay/gpuplay/internal/ffi/nvml"
)

// Probe is the name of the probe that answers with NVML.
const Probe = "nvml"

// NVML asks the driver in this process: it is what the probe does. Without the library
// the answer is that of a machine without anything of NVIDIA's.
func NVML() Driver {
	lib, err := nvml.Open()
	switch {
	case errors.Is(err, nvml.ErrMissing):
		return Driver{}
	case err != nil:
		return Driver{Error: "NVML: " + err.Error()}
	}
	if r := lib.Init_v2(); r != nvml.SUCCESS {
		return Driver{Error: "NVML: " + lib.ErrorString(r)}
	}
	var d Driver
	if v, r := lib.SystemGetDriverVersion(); r == nvml.SUCCESS {
		d.Version = v
	}
	if v, r := lib.SystemGetCudaDriverVersion_v2(); r == nvml.SUCCESS {
		d.CUDA = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	n, r := lib.DeviceGetCount_v2()
	if r != nvml.SUCCESS {
		d.Error = "NVML: counting the GPUs: " + lib.ErrorString(r)
		return d
	}
	d.Asked = true
	for i := range n {
		h, r := lib.DeviceGetHandleByIndex_v2(i)
		if r != nvml.SUCCESS {
			d.Lost = append(d.Lost, fmt.Sprintf("GPU %d: %s", i, lib.ErrorString(r)))
			continue
		}
		d.GPUs = append(d.GPUs, describe(lib, h))
	}
	return d
}

// describe asks for all that is wanted of a GPU. What it does not say is not known.
func describe(lib *nvml.Library, h nvml.Device) GPU {
	g := GPU{Name: "NVIDIA GPU"}
	if v, r := lib.DeviceGetName(h); r == nvml.SUCCESS {
		g.Name = v
	}
	if v, r := lib.DeviceGetUUID(h); r == nvml.SUCCESS {
		g.UUID = v
	}
	if p, r := lib.DeviceGetPciInfo_v3(h); r == nvml.SUCCESS {
		g.PCI = fmt.Sprintf("%04x:%02x:%02x.0", p.Domain, p.Bus, p.Device)
	}
	if m, r := lib.DeviceGetMemoryInfo(h); r == nvml.SUCCESS && m.Total > 0 {
		g.Memory = &m.Total
	}
	if major, minor, r := lib.DeviceGetCudaComputeCapability(h); r == nvml.SUCCESS {
		g.Capability = fmt.Sprintf("%d.%d", major, minor)
	}
	if u, r := lib.DeviceGetUtilizationRates(h); r == nvml.SUCCESS {
		busy := int(u.Gpu)
		g.Busy = &busy
	}
	return g
}
