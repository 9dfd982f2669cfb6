package hardware

import (
	"cmp"
	"slices"
	"strings"
)

// rates are the most operations per second that a GPU's maker promises: of dense
// products at the boost clock, in units of 10¹². 0 is what the source does not say.
type rates struct {
	float64 float64 // with tensor cores where they have it
	float32 float64 // without tensor cores
	tf32    float64
	half    float64 // float16 and bfloat16 summed in float32
	narrow  float64 // float16 summed in float16; 0: as half
	int8    float64
	noBF16  bool // has no bfloat16 arithmetic
}

// published is a GPU with its peaks. It is named by the words that drivers write, without NVIDIA, Tesla and GeForce.
type published struct {
	name   string
	rates  rates
	source string
}

// peaks are GPUs whose makers publish peaks, each with the document that says so.
// NVIDIA's documents give those of tensor cores dense or with sparsity, which is twice
// as much: here all are dense. A card may run above the clock that its data sheet was
// computed with, an H100 at 1.98 GHz instead of 1.83, which is 8 %; whoever compares with
// these must allow for it.
var peaks = []published{
	// The white paper "NVIDIA H100 Tensor Core GPU Architecture", table 3, dense columns; the
	// NVL from nvidia.com/en-us/data-center/h100, which gives 835, 1671 and 3341 with sparsity.
	{"H100", h100SXM, "NVIDIA H100 white paper, SXM5"},
	{"H100 PCIe", rates{float64: 51.2, float32: 51.2, tf32: 378, half: 756, int8: 1513}, "NVIDIA H100 white paper, PCIe"},
	{"H100 NVL", nvl, "NVIDIA H100 product page, NVL"},
	// nvidia.com/en-us/data-center/h200: the arithmetic of an H100 with other memory.
	{"H200 NVL", nvl, "NVIDIA H200 data sheet, NVL"},
	{"H200", h100SXM, "NVIDIA H200 data sheet, SXM"},
	// nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf:
	// the same for 40 and 80 GB, SXM and PCIe.
	{"A100", rates{float64: 19.5, float32: 19.5, tf32: 156, half: 312, int8: 624}, "NVIDIA A100 data sheet"},
	// None of these says anything of float64. nvidia.com/en-us/data-center/l4: 120, 242 and
	// 485 with sparsity; nvidia.com/en-us/data-center/l40s: dense and with sparsity;
	// nvidia.com/content/dam/en-zz/Solutions/Data-Center/a10/pdf/datasheet-new/nvidia-a10-datasheet.pdf;
	// nvidia.com/content/dam/en-zz/Solutions/Data-Center/tesla-t4/t4-tensor-core-datasheet-951643.pdf.
	{"L4", rates{float32: 30.3, tf32: 60, half: 121, int8: 242.5}, "NVIDIA L4 data sheet"},
	{"L40S", rates{float32: 91.6, tf32: 183, half: 362.05, int8: 733}, "NVIDIA L40S data sheet"},
	{"A10", rates{float32: 31.2, tf32: 62.5, half: 125, int8: 250}, "NVIDIA A10 data sheet"},
	{"T4", rates{float32: 8.1, half: 65, int8: 130, noBF16: true}, "NVIDIA T4 data sheet"},
	// images.nvidia.com/content/technologies/volta/pdf/volta-v100-datasheet-update-us-1165301-r5.pdf:
	// neither int8 nor TF32, nor the SXM3.
	{"V100 SXM2", rates{float64: 7.8, float32: 15.7, half: 125, noBF16: true}, "NVIDIA V100 data sheet, SXM2"},
	{"V100 PCIe", rates{float64: 7, float32: 14, half: 112, noBF16: true}, "NVIDIA V100 data sheet, PCIe"},
	// Tensor cores of GeForce cards sum in float32 at half the rate, and float64 has a 64th
	// of the rate of float32. nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf,
	// images.nvidia.com/aem-dam/Solutions/geforce/ada/nvidia-ada-gpu-architecture.pdf and
	// images.nvidia.com/aem-dam/Solutions/geforce/blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf,
	// in their tables of full specifications. The 16-bit rates of the RTX 4080 follow from that
	// of int8, as those of the RTX 4090 do.
	{"RTX 3090", rates{float64: 0.556, float32: 35.6, tf32: 35.6, half: 71, narrow: 142, int8: 284}, "NVIDIA Ampere GA102 white paper"},
	{"RTX 4080", rates{float64: 0.761, float32: 48.7, tf32: 48.7, half: 97.5, narrow: 194.9, int8: 389.9}, "NVIDIA Ada white paper"},
	{"RTX 4090", rates{float64: 1.29, float32: 82.6, tf32: 82.6, half: 165.2, narrow: 330.3, int8: 660.6}, "NVIDIA Ada white paper"},
	{"RTX 5090", rates{float64: 1.64, float32: 104.8, tf32: 104.8, half: 209.5, narrow: 419, int8: 838}, "NVIDIA RTX Blackwell white paper"},
	// apple.com/newsroom/2020/11/apple-unleashes-m1: "2.6 teraflops of throughput" of the
	// eight-core GPU, which is that of float32: 8 × 128 units × 2 operations × 1.28 GHz. Of
	// later chips Apple's releases give ratios and no peaks, so none of them is here.
	{"Apple M1", rates{float32: 2.6}, "Apple newsroom, 10 November 2020"},
}

var (
	h100SXM = rates{float64: 67, float32: 67, tf32: 494.7, half: 989.4, int8: 1979}
	nvl     = rates{float64: 60, float32: 60, tf32: 417.5, half: 835.5, int8: 1670.5}
)

// A Peak is the most FLOP/s, of integers OP/s, that a GPU's maker publishes of it.
type Peak struct {
	Name   string // as in a sentence: "RTX 4090", "Apple M1"
	Speed  float64
	Source string // the document that says so
}

// PersonalPeaks returns the published peaks of GPUs that people have in their own
// computers, in products of a type with sums in another, the slowest first. They are
// what makers promise, not what anybody measured.
func PersonalPeaks(in, acc string) []Peak {
	var list []Peak
	for _, p := range peaks {
		personal := strings.HasPrefix(p.name, "RTX ") || strings.HasPrefix(p.name, "Apple ")
		if tera := p.rates.of(in, acc); personal && tera > 0 {
			list = append(list, Peak{p.name, tera * 1e12, p.source})
		}
	}
	slices.SortStableFunc(list, func(a, b Peak) int { return cmp.Compare(a.Speed, b.Speed) })
	return list
}

// PublishedPeak returns the most FLOP/s, of integers OP/s, that the maker of a GPU
// promises of it in products of a type with sums in another, and where that stands.
// name is the GPU's as its driver writes it; in and acc are float64, float32, tf32,
// float16, bfloat16, int8 and int32. ok is false for a card or a type that nothing is
// published of here: it has no bound. A GPU whose name has a word more than those of a
// known one is another: an RTX 4090 Laptop GPU is no RTX 4090.
func PublishedPeak(name, in, acc string) (flops float64, source string, ok bool) {
	words := cardWords(name)
	var best published
	rest := words // of the name, beyond the best one's
	for _, p := range peaks {
		if left, found := without(words, cardWords(p.name)); found && len(left) < len(rest) { // "H100 PCIe" is no H100
			best, rest = p, left
		}
	}
	tera := best.rates.of(in, acc)
	if tera == 0 || slices.ContainsFunc(rest, func(w string) bool { return !ofMemory(w) && !ofForm(w) }) {
		return 0, "", false
	}
	return tera * 1e12, best.source, true
}

// of returns the rate of products of a type with sums in another, 0 where that is not
// known.
func (r rates) of(in, acc string) float64 {
	switch in + "+" + acc {
	case "float64+float64":
		return r.float64
	case "float32+float32":
		return r.float32
	case "float32+tf32", "tf32+tf32", "tf32+float32":
		return r.tf32
	case "float16+float32":
		return r.half
	case "float16+float16":
		return max(r.half, r.narrow)
	case "bfloat16+float32", "bfloat16+bfloat16":
		if r.noBF16 {
			return 0
		}
		return r.half
	case "int8+int32":
		return r.int8
	}
	return 0
}

// cardWords splits a GPU's name into words in small letters, without NVIDIA's and those of
// families, which some drivers leave out, and without the word GPU.
func cardWords(name string) []string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == '-' || r == '_' })
	return slices.DeleteFunc(words, func(w string) bool { return slices.Contains([]string{"nvidia", "tesla", "geforce", "gpu"}, w) })
}

// without returns the words of a name that are not those of a known card; found is
// false where one of that card's is missing. The first must be the same, so that a
// word such as A10 in another card's name is none.
func without(words, card []string) (rest []string, found bool) {
	if len(words) == 0 || words[0] != card[0] {
		return nil, false
	}
	for _, w := range card {
		if !slices.Contains(words, w) {
			return nil, false
		}
	}
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(card, w) }), true
}

// ofMemory reports whether a word of a name is about memory alone: 80gb, hbm3.
func ofMemory(word string) bool {
	size, ok := strings.CutSuffix(word, "gb")
	return ok && size != "" && strings.Trim(size, "0123456789") == "" || strings.HasPrefix(word, "hbm")
}

// ofForm reports whether a word of a name is a form in which cards of one name compute
// alike. Those that do not are in peaks with their forms.
func ofForm(word string) bool { return slices.Contains([]string{"pcie", "sxm4", "sxm5"}, word) }
