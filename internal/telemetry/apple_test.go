package telemetry

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What IOKit answers, with one key that an older driver lacks; a Mac without an accelerator
// has no sensors.
func TestIOKit(t *testing.T) {
	said := map[string]int64{"Device Utilization %": 73}
	src := &apple{read: func(...string) map[string]int64 { return said }}
	if d := cmp.Diff(map[string]string{"utilization ": "73", "memory ": "NaN"}, read(t, src)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	said = nil
	if found, err := src.Open(); err != nil || len(found.Sensors) != 0 {
		t.Errorf("%v, %v", found, err)
	}
	if found, err := IOKit().Open(); runtime.GOOS != "darwin" && (err != nil || found.Sensors != nil) {
		t.Errorf("on this system: %v, %v", found, err)
	}
}
