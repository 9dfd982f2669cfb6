package hardware

import (
	"strings"
	"testing"
)

// Names as drivers write them.
func TestPublishedPeak(t *testing.T) {
	for _, tt := range []struct {
		name, in, acc string
		tera          float64
	}{
		{"NVIDIA H100 80GB HBM3", "bfloat16", "float32", 989.4},
		{"NVIDIA H100 80GB HBM3", "float16", "float16", 989.4},
		{"NVIDIA H100 80GB HBM3", "float64", "float64", 67},
		{"NVIDIA H100 80GB HBM3", "float32", "float32", 67},
		{"NVIDIA H100 80GB HBM3", "float32", "tf32", 494.7},
		{"NVIDIA H100 80GB HBM3", "int8", "int32", 1979},
		{"NVIDIA H100 PCIe", "float16", "float32", 756},
		{"NVIDIA H100 NVL", "float16", "float32", 835.5},
		{"NVIDIA H200", "float16", "float32", 989.4},
		{"NVIDIA H200 NVL", "float16", "float32", 835.5},
		{"NVIDIA A100-SXM4-80GB", "float16", "float32", 312},
		{"NVIDIA A100-SXM4-40GB", "float32", "tf32", 156},
		{"A100-PCIE-40GB", "float32", "float32", 19.5},
		{"NVIDIA A100 80GB PCIe", "float64", "float64", 19.5},
		{"NVIDIA L4", "int8", "int32", 242.5},
		{"NVIDIA L40S", "float32", "float32", 91.6},
		{"NVIDIA L40S", "bfloat16", "float32", 362.05},
		{"NVIDIA A10", "float16", "float32", 125},
		{"Tesla T4", "float16", "float32", 65},
		{"Tesla V100-SXM2-16GB", "float16", "float32", 125},
		{"Tesla V100-SXM2-32GB", "float64", "float64", 7.8},
		{"Tesla V100-PCIE-16GB", "float32", "float32", 14},
		{"NVIDIA GeForce RTX 3090", "float16", "float32", 71},
		{"NVIDIA GeForce RTX 4080", "float32", "float32", 48.7},
		{"NVIDIA GeForce RTX 4090", "float16", "float32", 165.2},
		{"NVIDIA GeForce RTX 4090", "float16", "float16", 330.3},
		{"NVIDIA GeForce RTX 5090", "bfloat16", "float32", 209.5},
		{"Apple M1 GPU", "float32", "float32", 2.6},
	} {
		flops, source, ok := PublishedPeak(tt.name, tt.in, tt.acc)
		if !ok || flops != tt.tera*1e12 || source == "" {
			t.Errorf("%s in %s with sums in %s: %g of %q, want %g", tt.name, tt.in, tt.acc, flops, source, tt.tera*1e12)
		}
	}
}

// A bound of another card would call right figures wrong, or wrong ones right.
func TestNothingPublished(t *testing.T) {
	for _, name := range []string{
		"", "NVIDIA", "GPU", "Apple M4 Max", "AMD Instinct MI300X", "Intel(R) Arc(TM) A770 Graphics", "llvmpipe (LLVM 15.0.6, 256 bits)",
		"NVIDIA GH200 480GB", "NVIDIA H20", "NVIDIA H800", "NVIDIA A800-SXM4-80GB", "NVIDIA A100-SXM-64GB", "NVIDIA A100X", "NVIDIA A10G", "NVIDIA L40",
		"NVIDIA T400", "Tesla V100S-PCIE-32GB", "Tesla V100-SXM3-32GB", "Tesla V100-FHHL-16GB", "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
		"NVIDIA GeForce RTX 3090 Ti", "NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4080 SUPER", "NVIDIA GeForce RTX 5090 Laptop GPU",
		"Apple M1 Pro", "Apple M1 Max GPU", "Apple M2",
		"NVIDIA RTX 4000 Ada Generation", "NVIDIA RTX A6000",
	} {
		if flops, source, ok := PublishedPeak(name, "float16", "float32"); ok || flops != 0 || source != "" {
			t.Errorf("%q has a peak of %g, of %q", name, flops, source)
		}
	}
	for _, tt := range [][3]string{
		{"Tesla T4", "bfloat16", "float32"}, {"Tesla T4", "float64", "float64"}, {"Tesla T4", "float32", "tf32"},
		{"Tesla V100-SXM2-16GB", "int8", "int32"}, {"Tesla V100-SXM2-16GB", "bfloat16", "float32"},
		{"Apple M1", "float16", "float32"}, {"NVIDIA H200", "int32", "int32"}, {"NVIDIA H200", "float8", "float32"}, {"NVIDIA H200", "float16", "float64"}, {"NVIDIA H200", "", ""},
	} {
		if flops, _, ok := PublishedPeak(tt[0], tt[1], tt[2]); ok {
			t.Errorf("%s in %s with sums in %s has a peak of %g", tt[0], tt[1], tt[2], flops)
		}
	}
}

// What is known of all of these cards by their makers' design: twice the width of an
// operand halves the rate at most, and no rate is that of a sparse product.
func TestPeaksAreDense(t *testing.T) {
	for _, p := range peaks {
		r := p.rates
		if r.half == 0 { // nothing but float32 is published of it
			continue
		}
		if r.float32 <= 0 || r.half < r.float32 || r.tf32 > r.half*0.51 || r.int8 > 4.05*r.half || r.float64 > r.float32*1.01 {
			t.Errorf("%s: %+v", p.name, r)
		}
		if r.narrow > 0 && (r.narrow < 1.95*r.half || r.narrow > 2.05*r.half || r.int8 > 2.05*r.narrow) {
			t.Errorf("%s: sums in float16: %+v", p.name, r)
		}
		if r.narrow == 0 && r.int8 > 2.05*r.half {
			t.Errorf("%s: int8: %+v", p.name, r)
		}
	}
}

// The GPUs of personal computers are told with their makers' documents, the slowest
// first, and none of a data centre is among them.
func TestPersonalPeaks(t *testing.T) {
	list := PersonalPeaks("float32", "float32")
	if len(list) < 5 || list[0].Name != "Apple M1" || list[len(list)-1].Name != "RTX 5090" {
		t.Errorf("in float32: %+v", list)
	}
	for i, p := range list {
		if p.Source == "" || i > 0 && p.Speed < list[i-1].Speed || strings.Contains(p.Name, "H100") {
			t.Errorf("%+v", p)
		}
	}
	for _, p := range PersonalPeaks("bfloat16", "float32") {
		if p.Name == "Apple M1" {
			t.Errorf("Apple publishes no peak in bfloat16: %+v", p)
		}
	}
	if list := PersonalPeaks("float8", "float32"); len(list) > 0 {
		t.Errorf("in an unknown type: %+v", list)
	}
}
