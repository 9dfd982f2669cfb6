package reference

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const resultsHead = `# Results

Measured with gpuplay on machines with these cards: the fastest verified lane of a race, for each size and type. The speed is the
median of all samples, in brackets the 95 % interval of the median; "of published" is the share of the peak that the maker publishes.
The complete records, with all samples and versions, are in [internal/reference/records](../internal/reference/records/README.md).
This page is made from them.

How gpuplay's own engines compare with other libraries, also made from records that are kept:

- [NVIDIA GPUs](GPU.md#figures): our CUDA kernels beside cuBLASLt and PyTorch on an H200, and [each kernel by itself](GPU-GEMM.md#how-fast-they-are)
- [Vulkan](VULKAN.md#figures): our shaders beside PyTorch on an H200
- [CPUs](CPU-GEMM.md#compared-with-other-libraries): our CPU kernels beside OpenBLAS, MKL, oneDNN and the frameworks
- [Many GPUs](SCALING-RUN.md#two-h200): training on one and two H200, measured and modelled

## The fastest lane of each card

| card | type | size | TFLOP/s | of published | library | driver | date |
|---|---|---:|---:|---:|---|---|---|
`

// resultsPage is docs/RESULTS.md.
func resultsPage(list []*record.Run) string {
	list = slices.Clone(list)
	key := func(r *record.Run) string {
		x := r.Results[0]
		return fmt.Sprintf("%s %s %09d", x.Device.Name, x.GEMM.In, x.GEMM.M)
	}
	slices.SortFunc(list, func(a, b *record.Run) int { return strings.Compare(key(a), key(b)) })
	var b strings.Builder
	b.WriteString(resultsHead)
	for _, r := range list {
		x := r.Results[0]
		speed, _ := x.Speed()
		share := "–"
		if peak := x.Facts.Published; peak != nil {
			share = unit.Percent(speed.Value / *peak)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s [%s, %s] | %s | %s %s | %s | %s |\n", x.Device.Name, x.GEMM.In, x.GEMM.M,
			unit.Digits3(speed.Value/1e12), unit.Digits3(speed.Low/1e12), unit.Digits3(speed.High/1e12), share,
			x.Device.Library, x.Device.Version, x.Device.Versions["driver"], r.Created.Format("2006-01-02"))
	}
	return b.String()
}

// The page of results is what the records say; -update writes it again.
func TestResultsPage(t *testing.T) {
	const file = "../../docs/RESULTS.md"
	want := resultsPage(Records())
	if golden.Updating() {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/RESULTS.md is not what the records say (%v); go test ./internal/reference -update writes it", err)
	}
}
