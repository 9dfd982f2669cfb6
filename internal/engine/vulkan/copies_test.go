package vulkan

import (
	"errors"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

func TestDescribe(t *testing.T) {
	for _, dev := range devices(t) {
		d, err := shared().Describe(t.Context(), dev.about)
		if err != nil {
			t.Fatal(err)
		}
		routes := map[hardware.Route]int{}
		for _, c := range d.Copies {
			routes[c.Route]++
			if len(c.Seconds) < 5 || c.Bytes < stagingBytes {
				t.Errorf("%s: %s of %d bytes has %d samples", dev.about.Name, c.Route, c.Bytes, len(c.Seconds))
			}
		}
		if routes[hardware.OnDevice] != 1 || routes[hardware.HostToDevice] != 1 || routes[hardware.DeviceToHost] != 1 || len(d.Features) == 0 {
			t.Errorf("%s: %+v", dev.about.Name, d)
		}
	}
	if _, err := shared().Describe(t.Context(), hardware.Device{ID: "vulkan:none"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("no such device: %v", err)
	}
}
