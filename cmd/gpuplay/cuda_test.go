package main

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
)

// A race with the stand-in for NVIDIA's driver: its GPU has a verified lane and a ratio, and
// what goes wrong in the driver ends that lane alone. The stand-in is built here and found
// by LD_LIBRARY_PATH: no other run can have it.
func TestFaultyDrivers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the stand-in for the driver is written for Linux")
	}
	for _, tt := range []struct {
		fault string
		code  fault.Code // of the lane's error; empty: it is verified
		says  string     // of an engine that does not start
		some  bool       // tried where not all cases are, too
	}{
		{fault: "NONE", some: true},
		{fault: "SKIPS", code: fault.Wrong, some: true},
		{fault: "OVERWRITES_AFTER", code: fault.Wrong},
		{fault: "LAUNCH_FAILS", code: fault.Internal},
		{fault: "LAUNCH_ABORTS", code: fault.Crashed, some: true},
		{fault: "LAUNCH_HANGS", code: fault.Timeout},
		{fault: "REFUSES_PTX", says: "does not compile PTX"},
		{fault: "NO_DEVICE", says: "finds no GPU"},
		{fault: "HIDDEN", says: "CUDA_VISIBLE_DEVICES hides every GPU"},
		{fault: "ABORTS", says: "GPU has fallen off the bus", some: true},
		{fault: "HANGS", says: "did not start within"},
	} {
		if !enginetest.AllCases() && !tt.some {
			continue
		}
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			driver := enginetest.SharedLibrary(t, filepath.Join("..", "..", "internal", "engine", "cuda", "testdata", "driver.c"), "libcuda.so.1", "-DFAULT="+tt.fault, "-Wl,--no-as-needed", "-lm")
			m := measureWith(t, []string{"race", "--engines", "gocpu,cuda", "--time", "1s", "--timeout", "2s"},
				"LD_LIBRARY_PATH="+filepath.Dir(driver), "XDG_CACHE_HOME="+t.TempDir())
			lanes := 0
			for _, r := range m.Results {
				if r.Engine == "gocpu" {
					if !r.Verified {
						t.Errorf("the CPU's lane: %v", r.Error)
					}
					continue
				}
				lanes++
				switch {
				case tt.code == "" && tt.says == "":
					if !r.Verified || r.Device.Name != "Stand-in for a GPU" || r.Device.Label() != "gpuplay (built in, sm_90)" || r.Samples[0].Device == nil {
						t.Errorf("%+v", r)
					}
				case r.Verified || r.Error == nil:
					t.Errorf("verified %t, error %v", r.Verified, r.Error)
				case tt.code != "" && r.Error.Code != tt.code:
					t.Errorf("error %q, want %s", r.Error.Code, tt.code)
				case tt.says != "" && !strings.Contains(r.Error.Message, tt.says):
					t.Errorf("error %q does not say %q", r.Error, tt.says)
				}
			}
			switch {
			case tt.says == "" && lanes != 1:
				t.Errorf("%d lanes of the GPU", lanes)
			case tt.says != "" && lanes == 0 && !m.misses("cuda", tt.says):
				t.Errorf("nothing says %q: %+v", tt.says, m.Missing)
			}
			for _, c := range m.Comparisons {
				if (c.Ratio != nil) != (tt.code == "" && tt.says == "") {
					t.Errorf("ratio %+v", c.Ratio)
				}
			}
		})
	}
}

// misses reports whether an engine is missing for a reason.
func (m shimmed) misses(engine, reason string) bool {
	for _, x := range m.Missing {
		if x.Engine == engine && strings.Contains(x.Reason, reason) {
			return true
		}
	}
	return false
}
