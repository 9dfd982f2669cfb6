package nvidia

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/version"
)

// with returns a driver that lists a GPU of each compute capability.
func with(driver string, capabilities ...string) Driver {
	d := Driver{Version: driver, Asked: true}
	for _, c := range capabilities {
		d.GPUs = append(d.GPUs, GPU{Name: "GPU of " + c, Capability: c})
	}
	return d
}

// Builds that people have, on machines that people have.
func TestInstalled(t *testing.T) {
	for _, tt := range []struct {
		framework, release, cuda, arch string
		driver                         Driver
		why                            string // part of it; empty: it runs
	}{
		{"torch", "2.6.0+cu124", "12.4", "amd64", with("575.57.08", "12.0"), "has no code for GPU of 12.0, compute capability 12.0: it has code for 5.0 to 9.x"},
		{"torch", "2.7.1+cu126", "12.6", "amd64", with("575.57.08", "12.0"), "no code"},
		{"torch", "2.7.1+cu128", "12.8", "amd64", with("575.57.08", "12.0"), ""},
		{"torch", "2.9.0+cu128", "12.8", "amd64", with("575.57.08", "12.1"), ""},
		{"torch", "2.9.0+cu126", "12.6", "amd64", with("575.57.08", "10.0"), "no code"},
		{"torch", "2.6.0+cu124", "12.4", "amd64", with("575.57.08", "8.9"), ""},
		{"torch", "2.6.0+cu124", "12.4", "amd64", with("575.57.08", "6.0"), ""},
		{"torch", "2.7.1+cu128", "12.8", "amd64", with("580.95.05", "7.0"), "it has code for 7.5 and newer"},
		{"torch", "2.8.0+cu128", "12.8", "amd64", with("580.95.05", "7.0"), ""},
		{"torch", "2.8.0+cu129", "12.9", "amd64", with("580.95.05", "7.0"), ""},
		{"torch", "2.8.0+cu128", "12.8", "amd64", with("580.95.05", "6.0"), "it has code for 7.0 to 12.x"},
		{"torch", "2.8.0+cu129", "12.9", "amd64", with("580.95.05", "6.1"), "no code"},
		{"torch", "2.11.0+cu128", "12.8", "amd64", with("580.95.05", "7.0"), "it has code for 7.5 to 12.x"},
		{"torch", "2.14.0+cu126", "12.6", "amd64", with("580.95.05", "6.0"), ""},
		{"torch", "2.15.0", "13.2", "amd64", with("580.95.05", "6.0"), "this build for CUDA 13.2 has no code"},
		{"torch", "2.15.0", "13.2", "amd64", with("580.95.05", "7.5"), ""},
		{"torch", "2.15.0", "13.2", "amd64", with("575.57.08", "12.0"), "driver 575.57.08 is too old: CUDA 13 needs 580 or newer"},
		{"torch", "2.15.0", "13.2", "arm64", with("580.95.05", "7.2"), "it has code for 8.0 and newer"},
		{"torch", "2.15.0", "13.2", "arm64", with("580.95.05", "12.1"), ""},
		{"torch", "2.6.0", "12.4", "amd64", with("470.182.03", "8.6"), "driver 470.182.03 is too old: CUDA 12 needs 525 or newer"},
		{"torch", "2.0.1", "11.8", "amd64", with("470.182.03", "8.6"), ""},
		{"torch", "2.0.1", "11.7", "amd64", with("535.183.01", "9.0"), "it has code for 3.5 to 8.x"},
		{"torch", "2.6.0", "12.4", "amd64", with("575.57.08", ""), ""},
		{"torch", "", "12.8", "amd64", with("575.57.08", "12.0"), ""},
		{"torch", "2.6.0", "12.4", "amd64", with("575.57.08", "12.0", "8.6"), ""}, // one of two
		{"torch", "2.6.0", "12.4", "amd64", with("", "8.6"), ""},
		{"tensorflow", "2.21.0", "12.5", "amd64", with("575.57.08", "12.0"), "no code"},
		{"tensorflow", "2.21.0", "12.5", "amd64", with("575.57.08", "5.2"), "it has code for 6.0 to 9.x"},
		{"tensorflow", "2.17.0", "12.3", "amd64", with("575.57.08", "5.2"), ""},
		{"jax", "0.10.2", "13", "amd64", with("580.95.05", "7.0"), "no code"},
		{"jax", "0.10.2", "12.9", "amd64", with("580.95.05", "12.0"), ""},
		{"jax", "0.6.0", "12.6", "amd64", with("580.95.05", "12.0"), "no code"},
		{"jax", "0.6.0", "12", "amd64", with("580.95.05", "12.0"), ""}, // which 12 is not known
		{"mlx", "0.32.4", "12", "amd64", with("580.95.05", "7.0"), "it has code for 7.5 and newer"},
		{"mlx", "0.29.0", "12", "amd64", with("580.95.05", "7.0"), ""},
		{"mlx", "0.32.4", "12", "amd64", with("535.183.01", "8.0"), "CUDA 12 needs 550.54.14 or newer"},
		{"another", "1.0", "13.1", "amd64", with("580.95.05", "7.0"), "no code"},
		{"another", "1.0", "12.1", "amd64", with("580.95.05", "12.0"), "no code"},
	} {
		b, known := Installed(tt.framework, tt.release, tt.cuda, tt.arch)
		if why := b.Runs(tt.driver); !known || (why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%s %s for CUDA %s on %+v: %q, want %q", tt.framework, tt.release, tt.cuda, tt.driver, why, tt.why)
		}
	}
	for _, cuda := range []string{"", "10.2", "14.0", "none"} {
		if b, known := Installed("torch", "9.9", cuda, "amd64"); known {
			t.Errorf("CUDA %q: %+v", cuda, b)
		}
	}
}

func TestWithout(t *testing.T) {
	b, _ := Installed("torch", "2.6.0", "12.4", "amd64")
	if got := b.Without(with("575.57.08", "12.0", "8.6", "", "3.5")); len(got) != 2 || got[0].Capability != "12.0" || got[1].Capability != "3.5" {
		t.Errorf("without code: %+v", got)
	}
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct {
		framework, arch string
		driver          Driver
		cuda, index     string
		why             string
		tooOld          bool
	}{
		{"torch", "amd64", Driver{}, "13", "", "", false},
		{"torch", "amd64", with("580.95.05", "8.9"), "13", "", "", false},
		{"torch", "amd64", with("575.57.08", "12.0"), "12.8", "cu128", "", false},
		{"torch", "amd64", with("575.57.08", "8.9"), "12.6", "cu126", "", false},
		{"torch", "amd64", with("580.95.05", "6.0"), "12.6", "cu126", "", false},
		{"torch", "amd64", with("575.57.08", "6.0", "12.0"), "12.6", "cu126", "", false},
		{"torch", "amd64", with("575.57.08", "7.5", "12.0"), "12.8", "cu128", "", false},
		{"torch", "amd64", with("470.182.03", "8.6"), "", "", "driver 470.182.03 is too old: CUDA 12 needs 525 or newer", true},
		{"torch", "amd64", with("470.182.03", "3.7"), "", "", "no code", false},
		{"torch", "arm64", with("540.4.0", "8.7"), "", "", "CUDA 13 needs 580", true},
		{"mlx", "amd64", with("580.95.05", "6.0"), "", "", "no code", false},
		{"mlx", "amd64", with("550.90.07", "8.0"), "12", "", "", false},
		{"jax", "amd64", with("580.95.05", "7.0"), "12.8", "", "", false},
		{"jax", "amd64", with("575.57.08", "12.0"), "12.8", "", "", false},
		{"tensorflow", "arm64", with("580.95.05", "12.1"), "", "", "there is no build of tensorflow for CUDA on arm64", false},
		{"tensorflow", "amd64", with("470.182.03", "12.0"), "", "", "no code", false},
	} {
		b, why, ok := Choose(tt.framework, tt.arch, tt.driver)
		_, index := b.Install("linux")
		if ok != (tt.cuda != "") || b.CUDA != tt.cuda || !strings.HasSuffix(index, tt.index) || (index == "") != (tt.index == "") || (why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%s on %+v: CUDA %q from %q, %q", tt.framework, tt.driver, b.CUDA, index, why)
		}
		if got := TooOld(tt.framework, tt.arch, tt.driver); got != tt.tooOld {
			t.Errorf("%s on %+v: too old %v", tt.framework, tt.driver, got)
		}
	}
	b, _, _ := Choose("torch", "amd64", Driver{})
	if requirement, index := b.Install("windows"); requirement != "torch" || index != "https://download.pytorch.org/whl/cu130" {
		t.Errorf("on Windows: %s from %s", requirement, index)
	}
	b, _, _ = Choose("jax", "amd64", Driver{})
	if requirement, index := b.Install("linux"); requirement != "jax[cuda13]" || index != "" {
		t.Errorf("JAX: %s from %s", requirement, index)
	}
}

// The table is in order: bounds are versions, and of two lines that fit, the first is of
// the newer CUDA.
func TestBuilds(t *testing.T) {
	for i, b := range Builds {
		if b.Framework != "" && !contains(b.Framework) || version.Numbers(b.CUDA) == nil || version.Numbers(b.Oldest) == nil || version.Numbers(b.Driver) == nil {
			t.Errorf("line %d: %+v", i, b)
		}
		if i > 0 && Builds[i-1].Framework == b.Framework && version.Older(Builds[i-1].CUDA, b.CUDA) {
			t.Errorf("CUDA %s of %s comes after CUDA %s", b.CUDA, b.Framework, Builds[i-1].CUDA)
		}
		if b.Newest > 0 && version.Numbers(b.Oldest)[0] > b.Newest {
			t.Errorf("line %d serves nothing: %+v", i, b)
		}
	}
}

func contains(framework string) bool {
	for _, f := range python.Frameworks {
		if f.Name == framework {
			return true
		}
	}
	return false
}
