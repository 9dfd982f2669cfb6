package judge

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Place names the hardware that a lane of a run is on: "NVIDIA H200, GPU 1", or
// "NVIDIA H200 (GPU 0 of 4 equal)" where it stands for others.
func Place(r *record.Run, d hardware.Device) string {
	for _, c := range r.Cards {
		if d.Kind == hardware.GPU && d.Card != nil && c.Number == *d.Card && c.Name != "" {
			d.Name = c.Name
		}
	}
	if n := equalCards(r, d); n > 1 {
		return fmt.Sprintf("%s (GPU %d of %d equal)", d.Name, *d.Card, n)
	}
	return d.Place(len(r.Cards))
}

// PlaceWithCores is Place, but names a CPU with its cores: "Chip, 8 cores".
func PlaceWithCores(r *record.Run, d hardware.Device) string {
	if d.Kind == hardware.CPU && r.Machine.Processors() != "" {
		return Processor(r, d.Name)
	}
	return Place(r, d)
}

// equalCards returns how many equal cards a device stands for, with its own.
func equalCards(r *record.Run, d hardware.Device) int {
	if d.Kind != hardware.GPU || d.Card == nil {
		return 1
	}
	cards := map[int]bool{*d.Card: true}
	for _, o := range r.LeftOut {
		if o.Why == record.EqualCard && o.Instead != nil && *o.Instead == *d.Card && o.Device.Card != nil {
			cards[*o.Device.Card] = true
		}
	}
	return len(cards)
}
