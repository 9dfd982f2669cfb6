package setup

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/nvidia"
)

func TestCuBLAS(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    Machine
		o    Options
		want string // the package, or what the error says
	}{
		{"CUDA 13", Machine{OS: "linux", Arch: "amd64", NVIDIA: nvidia.Driver{CUDA: "13.0"}}, Options{}, "nvidia-cublas"},
		{"newer", Machine{OS: "linux", Arch: "arm64", NVIDIA: nvidia.Driver{CUDA: "14.1"}}, Options{}, "nvidia-cublas"},
		{"CUDA 12", Machine{OS: "linux", Arch: "amd64", NVIDIA: nvidia.Driver{CUDA: "12.4"}}, Options{}, "nvidia-cublas-cu12"},
		{"older", Machine{OS: "linux", Arch: "amd64", NVIDIA: nvidia.Driver{CUDA: "11.8"}}, Options{}, "of CUDA 11.8, is too old"},
		{"not known", Machine{OS: "linux", Arch: "amd64"}, Options{}, "nvidia-cublas"},
		{"for the CPU", Machine{OS: "linux", Arch: "amd64"}, Options{CPU: true}, "NVIDIA's GPUs only"},
		{"a Mac", Machine{OS: "darwin", Arch: "arm64"}, Options{}, "no build for darwin/arm64"},
		{"Windows", Machine{OS: "windows", Arch: "amd64", NVIDIA: nvidia.Driver{CUDA: "13.0"}}, Options{}, "nvidia-cublas"},
		{"Windows, CUDA 12", Machine{OS: "windows", Arch: "amd64", NVIDIA: nvidia.Driver{CUDA: "12.9"}}, Options{}, "needs a driver of CUDA 13"},
	} {
		p, err := NewCuBLAS(tt.m, tt.o)
		switch {
		case err != nil:
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			}
		case strings.Join(p.Packages, " ") != tt.want || p.Publisher != "NVIDIA" || len(p.Sources) != 1 || checks[p.Framework] == "":
			t.Errorf("%s: %+v", tt.name, p)
		}
		if seen := tt.m.NVIDIA.CUDA != ""; err == nil && (len(p.Notes) == 0) != seen {
			t.Errorf("%s: notes %q", tt.name, p.Notes)
		}
	}
}
