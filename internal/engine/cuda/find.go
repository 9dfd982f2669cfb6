package cuda

import (
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cublaslt"
)

// ltNames are the files of cuBLASLt of CUDA 13 and 12, the newer first.
var ltNames = map[string][]string{
	"linux":   {"libcublasLt.so.13", "libcublasLt.so.12"},
	"windows": {"cublasLt64_13.dll", "cublasLt64_12.dll"},
}

// ltPlaces are where wheels and toolkits put them, below the folders that are searched: those
// of Python environments first, then the roots of file systems.
var ltPlaces = map[string]struct{ wheel, toolkit []string }{
	"linux": {
		wheel:   []string{"nvidia/*/lib"},
		toolkit: []string{"usr/local/cuda/lib64", "usr/local/cuda-*/lib64", "opt/cuda/lib64", "usr/lib/python3/dist-packages/nvidia/*/lib", "usr/local/lib/python3*/*-packages/nvidia/*/lib"},
	},
	"windows": {
		wheel:   []string{"nvidia/*/bin", "nvidia/*/bin/x86_64"},
		toolkit: []string{"Program Files/NVIDIA GPU Computing Toolkit/CUDA/*/bin", "Program Files/NVIDIA GPU Computing Toolkit/CUDA/*/bin/x64"},
	},
}

// findLt loads the first cuBLASLt that works: in the folders of Python environments, then by
// the system's loader, then in the folders of toolkits.
func findLt(dirs []string) (*cublaslt.Library, error) {
	names, places := ltNames[runtime.GOOS], ltPlaces[runtime.GOOS]
	var files []string
	look := func(root string, places []string) {
		for _, name := range names {
			for _, place := range places {
				files = append(files, disk.Match(root, place+"/"+name)...)
			}
		}
	}
	for _, dir := range dirs {
		look(dir, places.wheel)
	}
	files = append(files, names...)
	root := "/"
	if runtime.GOOS == "windows" {
		root = `C:\`
	}
	look(root, places.toolkit)
	var why []string
	for _, file := range files {
		lib, err := cublaslt.Open(file)
		if err == nil {
			return lib, nil
		}
		if filepath.IsAbs(file) {
			why = append(why, err.Error())
		}
	}
	setup := fault.Run("{} installs it", "gpuplay", "setup", "cublas")
	switch {
	case len(names) == 0:
		return nil, fault.Errorf(fault.Unavailable, "there is no cuBLASLt for this system")
	case len(why) > 0:
		return nil, fault.Errorf(fault.Unavailable, "cuBLASLt cannot be loaded: %s", strings.Join(why, "; ")).With(setup)
	}
	return nil, fault.Errorf(fault.Unavailable, "no %s", strings.Join(names, ", ")).With(setup)
}
