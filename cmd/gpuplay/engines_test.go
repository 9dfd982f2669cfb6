package main

import (
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Each device is shown by what --device takes; copies of a library by their files too.
func TestEnginesText(t *testing.T) {
	blas := func(id, file string) hardware.Device {
		return hardware.Device{ID: id, Name: "A CPU", Kind: hardware.CPU, API: "openblas", Library: "OpenBLAS", Version: "0.3.31", File: file}
	}
	first, second := 0, 1
	gpu := hardware.Device{ID: "cuda:GPU-a", Name: "A GPU", Kind: hardware.GPU, API: "cuda", Library: "PyTorch", Version: "2.15.0", Index: &first}
	other := gpu
	other.ID, other.Index = "cuda:GPU-b", &second
	for _, tt := range []struct {
		devices []hardware.Device
		want    string
	}{
		{[]hardware.Device{blas("openblas", "/lib/a.so"), blas("openblas-2", "/home/ada/b\x1b[2J.so")}, `  + openblas   OpenBLAS 0.3.31 on A CPU, ready in 1.00 s
      /lib/a.so
  + openblas-2 OpenBLAS 0.3.31 on A CPU, ready in 1.00 s
      /home/ada/b^[[2J.so
`},
		{[]hardware.Device{gpu, other}, "  + cuda:0     PyTorch 2.15 cuda on A GPU, ready in 1.00 s\n  + cuda:1     PyTorch 2.15 cuda on A GPU, ready in 1.00 s\n"},
	} {
		found := catalog.Contender{Entry: catalog.Entry{Name: "blas", About: "libraries"}, Found: hardware.Inventory{Devices: tt.devices}, Start: time.Second}
		if got := enginesText([]catalog.Contender{found}, 80); got != "blas        libraries\n"+tt.want {
			t.Errorf("%s\nwant\n%s", got, tt.want)
		}
	}
}
