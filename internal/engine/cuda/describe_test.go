package cuda

import (
	"errors"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// What the driver says is told, every copy is timed and compared, and no memory is kept.
func TestDescribe(t *testing.T) {
	e := on(standInOf(t, none, 13000, 16<<20), Options{})
	found, err := e.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	inUse := count(t, "in_use")
	before := inUse()
	d, err := e.Describe(t.Context(), found.Devices[0])
	if err != nil {
		t.Fatal(err)
	}
	if d.Processors != 132 || d.Clock != 1.98e9 || d.MemoryClock != 2.619e9 || d.MemoryBus != 5120 || d.Cache != 50<<20 {
		t.Errorf("%+v", d)
	}
	for _, f := range d.Features {
		if !f.Found { // it is of compute capability 9.0, with ECC
			t.Errorf("no %s", f.Name)
		}
	}
	got := map[string]int64{}
	for _, c := range d.Copies {
		got[string(c.Route)+c.Memory] = c.Bytes
		if len(c.Seconds) < 5 {
			t.Errorf("%s %s: %d samples", c.Route, c.Memory, len(c.Seconds))
		}
	}
	if got["on the device"] != 4<<20 || got["host to devicepinned"] != 1<<20 || got["device to hostpinned"] != 1<<20 || got["host to devicepageable"] != 1<<20 || got["device to hostpageable"] != 1<<20 || len(got) != 5 {
		t.Errorf("copies: %v", got)
	}
	if inUse() != before {
		t.Errorf("%d bytes were kept", inUse()-before)
	}
}

// A copy that does not arrive is no figure; what the driver said is kept, and no memory is.
func TestDescribeLostCopy(t *testing.T) {
	e := on(standInOf(t, losesCopies, 13000, 16<<20), Options{})
	found, err := e.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	inUse := count(t, "in_use")
	d, err := e.Describe(t.Context(), found.Devices[0])
	if !errors.Is(err, fault.Wrong) || d.Copies != nil || d.Processors != 132 || inUse() != 0 {
		t.Errorf("%+v, %v, %d bytes", d.Copies, err, inUse())
	}
	if _, err := e.Describe(t.Context(), hardware.Device{ID: "cuda:none"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("no such device: %v", err)
	}
}
