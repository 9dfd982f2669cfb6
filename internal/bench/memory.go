package bench

import (
	"fmt"
	"math"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// beside returns the bytes that other lanes take on the device of one more: all lanes
// stay in memory together.
func beside(others []*entry, d hardware.Device) float64 {
	bytes := 0.0
	for _, o := range others {
		if o.task == nil || o.Device.Kind != hardware.GPU || d.Kind != hardware.GPU {
			continue
		}
		a, b := o.Device, d
		if a.UUID != "" && a.UUID == b.UUID || a.PCI != "" && a.PCI == b.PCI || a.Card != nil && b.Card != nil && *a.Card == *b.Card || a.Name == b.Name && a.ID == b.ID {
			bytes += o.GEMM.Footprint()
		}
	}
	return bytes
}

// roomFor reports whether the matrices of all lanes fit into memory together.
func (r *Runner) roomFor(lanes []Lane, g GEMM) bool {
	inMemory := 0
	for _, l := range lanes {
		if l.Device.Kind == hardware.GPU {
			if r.fits(l.Device, g, 0) != nil {
				return false
			}
			continue
		}
		inMemory++
	}
	free := r.free()
	return free == 0 || g.Footprint()*float64(inMemory) <= 0.7*free
}

// fits returns an error if g's sums leave the range of its types, or if its matrices do
// not fit into the available memory, of which other lanes have taken some.
func (r *Runner) fits(d hardware.Device, g GEMM, taken float64) error {
	if most := g.Data.MaxK(g.In); g.K > most {
		return fault.Errorf(fault.Invalid, "with %s as inputs, a sum of %s numbers may have at most %d terms; this size has %d", g.Data, g.In, most, g.K).
			With(fault.Change("size", "a smaller {}"), fault.Change("data", "other inputs with {}"))
	}
	var limit float64
	switch {
	case d.Kind == hardware.GPU && d.Memory != nil:
		limit = max(1, float64(*d.Memory)-taken)
		if free := r.free(); free > 0 && (d.API == "mps" || d.API == "metal") { // the CPU's memory too
			limit = min(limit, free)
		}
	case d.Kind != hardware.GPU && r.Free != nil:
		limit = r.free()
	}
	need := g.Footprint()
	if limit <= 0 || need <= limit {
		return nil
	}
	// The matrices of a square product grow with the square of its size.
	largest := int(math.Sqrt(limit/float64(3*g.In.Size()+g.Out.Size()))) / 256 * 256
	err := &fault.Error{
		Code:    fault.OutOfMemory,
		Message: fmt.Sprintf("too big: %s in %s needs %s of memory, %s is available", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(need), unit.Bytes(limit)),
	}
	if largest > 0 {
		err.Remedies = fault.Remedies{fault.Set("size", largest, "the largest size that fits")}
	}
	return err
}

// free returns the bytes of memory that are available, 0 when that is not known.
func (r *Runner) free() float64 {
	if r.Free == nil {
		return 0
	}
	return float64(r.Free())
}
