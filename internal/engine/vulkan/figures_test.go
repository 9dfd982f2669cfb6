package vulkan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// The figures of docs/VULKAN.md are those of the records in testdata/records, which sweeps
// wrote; what their sensors read is left out, and folders in their commands.
//
//	go test ./internal/engine/vulkan -run TestFigures -update
func TestFigures(t *testing.T) {
	const page, begin, end = "../../../docs/VULKAN.md", "<!-- figures -->\n", "<!-- end of figures -->\n"
	files, err := filepath.Glob("testdata/records/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	var table strings.Builder
	table.WriteString("| card | type | size | Vulkan, TFLOP/s | PyTorch, TFLOP/s | share | kernel | driver | date |\n|---|---|---:|---:|---:|---:|---|---|---|\n")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, x := range r.Results {
			if x.Engine == "vulkan" && x.Verified() { // one that was cut off before its last check has no row
				table.WriteString(figure(t, r, x))
			}
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for figures", page)
	}
	if golden.Updating() {
		if err := os.WriteFile(page, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(table.String(), old); d != "" {
		t.Errorf("%s differs from the records (-update rewrites it):\n%s", page, d)
	}
}

// figure is the row of a product, beside PyTorch's of the same one.
func figure(t *testing.T, r *record.Run, x *bench.Result) string {
	t.Helper()
	cell := func(x *bench.Result) (string, float64) {
		speed, ok := x.Speed()
		if !ok || !x.Verified() || x.Device.Kind != hardware.GPU {
			t.Errorf("%s of %+v has no verified speed on a GPU", x.Engine, x.GEMM)
		}
		text := fmt.Sprintf("%s [%s, %s]", unit.Tera(speed.Value), unit.Tera(speed.Low), unit.Tera(speed.High))
		if x.Has(measure.Noise) {
			text += ", noisy"
		}
		return text, speed.Value
	}
	ours, speed := cell(x)
	theirs, share := "–", "–"
	for _, o := range r.Results {
		if o.Engine == "torch" && o.GEMM == x.GEMM {
			var other float64
			theirs, other = cell(o)
			share = unit.Percent(speed / other)
		}
	}
	kernel := ""
	for _, note := range x.Facts.Notes {
		if name, ok := strings.CutPrefix(note, "kernel: "); ok {
			kernel = name
		}
	}
	return fmt.Sprintf("| %s | %s | %d | %s | %s | %s | %s | %s | %s |\n", x.Device.Name, x.GEMM.In, x.GEMM.M, ours, theirs, share, kernel,
		strings.TrimPrefix(x.Device.Versions["driver"], "NVIDIA "), r.Created.Format("2006-01-02"))
}
