// Package plan says how a model could be trained on many GPUs: how its weights and its work
// can be divided, what each GPU then holds, and how long a step takes. Everything is
// modelled, from package scaling's formulas and from tables of what GPUs and links can do.
// Published says by how much the model misses steps that others have measured.
package plan

import (
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// An Origin is where a figure comes from.
type Origin string

const (
	Specified Origin = "specification" // of the maker
	Measured  Origin = "measured"      // by somebody who says how
	Assumed   Origin = "assumed"       // neither: it is taken from a similar case
)

// A Figure is a number with its basis.
type Figure struct {
	Value  float64 `json:"value"`
	Origin Origin  `json:"origin"`
	Source string  `json:"source"`
}

// A GPU is what a step is computed on.
type GPU struct {
	Name      string `json:"name"`      // "h100"
	Title     string `json:"title"`     // "NVIDIA H100 SXM"
	Peak      Figure `json:"peak"`      // FLOP/s in bfloat16 with sums in float32, dense
	Memory    Figure `json:"memory"`    // bytes
	Bandwidth Figure `json:"bandwidth"` // bytes per second of its memory
	// The shares of Peak that large products of matrices and fused attention reach, and the
	// share of Bandwidth that kernels reach which do little else than read and write.
	Products  Figure `json:"products"`
	Attention Figure `json:"attention"`
	Streaming Figure `json:"streaming"`
	// NVLink is how many bytes per second a GPU sends to others of its node; 0: it has none.
	NVLink Figure `json:"nvlink"`
}

const (
	onH200  = "an H200 with PyTorch 2.11 and driver 580, normally distributed bfloat16, internal/plan/testdata/h200.json"
	simumax = "github.com/MooreThreads/SimuMax at 4dcaae5"
	sheetA  = "NVIDIA A100 data sheet, SXM with 80 GB (nvidia.com/en-us/data-center/a100)"
	sheetH  = "NVIDIA H100 data sheet, SXM (nvidia.com/en-us/data-center/h100)"
	sheetH2 = "NVIDIA H200 data sheet, SXM (nvidia.com/en-us/data-center/h200)"
	sheetB  = "NVIDIA DGX B200 data sheet, an eighth of it (nvidia.com/en-us/data-center/dgx-b200)"
)

// gpus are those that plans can be made for.
func gpus() []GPU {
	peak := func(name string) Figure {
		flops, source, _ := hardware.PublishedPeak(name, "bfloat16", "float32")
		return Figure{flops, Specified, source}
	}
	hopper := GPU{
		Products:  Figure{0.67, Measured, onH200},
		Attention: Figure{0.44, Measured, onH200 + ": forward and backward pass, the median over sequences of 2048, 4096 and 8192"},
		Streaming: Figure{0.83, Measured, onH200 + ": the median of a copy, a sum, SiLU and RMSNorm"},
	}
	h100, h200 := hopper, hopper
	h100.Name, h100.Title, h100.Peak = "h100", "NVIDIA H100 SXM", peak("NVIDIA H100")
	h100.Memory, h100.Bandwidth, h100.NVLink = Figure{80e9, Specified, sheetH}, Figure{3.35e12, Specified, sheetH}, Figure{450e9, Specified, sheetH}
	for _, f := range []*Figure{&h100.Products, &h100.Attention, &h100.Streaming} {
		f.Source += "; an H100 has the same arithmetic"
	}
	h200.Name, h200.Title, h200.Peak = "h200", "NVIDIA H200 SXM", peak("NVIDIA H200")
	h200.Memory, h200.Bandwidth, h200.NVLink = Figure{141e9, Specified, sheetH2}, Figure{4.8e12, Specified, sheetH2}, Figure{450e9, Specified, sheetH2}
	return []GPU{
		{
			Name: "a100", Title: "NVIDIA A100 SXM 80 GB", Peak: peak("NVIDIA A100"),
			Memory: Figure{80e9, Specified, sheetA}, Bandwidth: Figure{2.039e12, Specified, sheetA}, NVLink: Figure{300e9, Specified, sheetA},
			Products:  Figure{0.75, Measured, simumax + ", a100_pcie.json: products above 4096³ on the PCIe model"},
			Attention: Figure{0.45, Measured, simumax + ", a100_pcie.json: half of its figures, which count full attention"},
			Streaming: Figure{0.91, Measured, simumax + ", a100_pcie.json"},
		},
		h100, h200,
		{
			Name: "b200", Title: "NVIDIA B200", Peak: Figure{2250e12, Specified, sheetB},
			Memory: Figure{180e9, Specified, sheetB}, Bandwidth: Figure{8e12, Specified, sheetB}, NVLink: Figure{900e9, Specified, sheetB},
			Products:  Figure{0.49, Measured, simumax + ", b200_bf16_ceperm.json: the median of its products"},
			Attention: Figure{0.36, Measured, simumax + ", b200_bf16_ceperm.json: half of its figures, which count full attention"},
			Streaming: Figure{0.67, Measured, simumax + ", b200_bf16_ceperm.json"},
		},
	}
}

// A Network joins nodes. Inside a node it is the GPUs' own NVLink.
type Network struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Bandwidth Figure `json:"bandwidth"` // bytes per second that each GPU of a node sends to other nodes
}

// networks are those that plans can be made for.
func networks() []Network {
	return []Network{
		{"ib", "InfiniBand NDR, 400 Gbit/s for each GPU", Figure{50e9, Specified, "NVIDIA ConnectX-7 data sheet"}},
		{"ib-hdr", "InfiniBand HDR, 200 Gbit/s for each GPU", Figure{25e9, Specified, "NVIDIA ConnectX-6 data sheet"}},
		{"roce", "Ethernet with RDMA, 400 Gbit/s for each GPU", Figure{50e9, Specified, "NVIDIA ConnectX-7 data sheet"}},
		{"ethernet", "Ethernet, 100 Gbit/s for each node", Figure{100e9 / 8 / Node, Specified, "IEEE 802.3"}},
	}
}

// Node is how many GPUs a node has, as DGX and HGX systems do.
const Node = 8

// What collectives reach of a link, and what each of them takes before its first byte.
var (
	nvlinkShare   = Figure{0.70, Measured, simumax + ", b200_bf16_ceperm.json: 0.67 for all-gather and reduce-scatter, 0.74 for all-reduce"}
	nvlinkAlpha   = Figure{22e-6, Measured, simumax + ", b200_bf16_ceperm.json: before the first byte of a collective"}
	networkShare  = Figure{0.80, Assumed, "less than what a message between two nodes reaches"}
	networkAlpha  = Figure{14e-6, Measured, "NCCL's src/graph/tuning.cc: its own estimate for each step of a ring over the network"}
	productSizes  = []float64{1024, 2048, 4096, 8192} // n of n³
	productShares = []float64{0.13, 0.70, 0.67, 0.67} // of the peak, on an H200 (testdata/h200.json)
)

// productShare returns the share of the peak that a product of that many multiplications
// reaches: the curve of an H200, between whose points it is interpolated over the logarithm
// of the size, scaled to what large products reach on this GPU.
func (g GPU) productShare(multiplications float64) float64 {
	n, last := math.Cbrt(multiplications), len(productSizes)-1
	share := productShares[last]
	switch i := slices.IndexFunc(productSizes, func(s float64) bool { return n < s }); i {
	case -1:
	case 0: // as long as the smallest takes for each of its columns: it is the start that takes time
		share = productShares[0] * n / productSizes[0]
	default:
		x := math.Log(n/productSizes[i-1]) / math.Log(productSizes[i]/productSizes[i-1])
		share = productShares[i-1] + x*(productShares[i]-productShares[i-1])
	}
	return share / productShares[last] * g.Products.Value
}

// GPUs returns the names of the GPUs that plans can be made for.
func GPUs() (names []string) {
	for _, g := range gpus() {
		names = append(names, g.Name)
	}
	return names
}

// Networks returns the names of the networks that plans can be made for.
func Networks() (names []string) {
	for _, n := range networks() {
		names = append(names, n.Name)
	}
	return names
}

// LookupGPU returns the GPU of that name.
func LookupGPU(name string) (GPU, error) {
	for _, g := range gpus() {
		if g.Name == name {
			return g, nil
		}
	}
	return GPU{}, unknown("gpu", name, GPUs())
}

// LookupNetwork returns the network of that name.
func LookupNetwork(name string) (Network, error) {
	for _, n := range networks() {
		if n.Name == name {
			return n, nil
		}
	}
	return Network{}, unknown("link", name, Networks())
}

// unknown refuses a word that is none of those.
func unknown(param, word string, names []string) error {
	e := fault.Errorf(fault.Invalid, "unknown %s %q", param, word)
	near := fault.Nearest(word, names)
	if len(near) == 0 {
		near = names
	}
	for _, n := range near {
		e.With(fault.Set(param, n, ""))
	}
	return e
}
