package catalog

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A new engine is a package and a line in the list: this one is added to the program as
// an overlay, and takes part in a race.
func TestNewEngine(t *testing.T) {
	if !enginetest.AllCases() {
		t.Skip("builds the program again: GPUPLAY_REQUIRE=cases runs it")
	}
	dir := t.TempDir()
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("catalog.go")
	if err != nil {
		t.Fatal(err)
	}
	text := string(list)
	for before, line := range map[string]string{
		"\t\"github.com/gpuplay/gpuplay/internal/engine/gocpu\"\n": "\t\"github.com/gpuplay/gpuplay/internal/engine/demo\"\n", // as an editor adds it
		"\t{Name: \"torch\", ": "\t{Name: \"demo\", About: \"three loops\", open: func(worker.Hello) (bench.Engine, error) { return demo.New(), nil }},\n",
	} {
		if strings.Count(text, before) != 1 {
			t.Fatalf("%q is not in the list once", before)
		}
		text = strings.Replace(text, before, line+before, 1)
	}
	longer := filepath.Join(dir, "catalog.go")
	demo, err := filepath.Abs(filepath.Join("testdata", "demo", "demo.go"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(module, "internal", "catalog", "catalog.go"):     longer,
		filepath.Join(module, "internal", "engine", "demo", "demo.go"): demo,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{longer: []byte(text), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if name == "go" {
			cmd.Dir = module
		}
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	program := filepath.Join(dir, "gpuplay.exe") // which only Windows minds
	run("go", "build", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/gpuplay")
	if out := run(program, "engines", "--timeout", "10s"); !strings.Contains(out, "demo        three loops\n  + cpu        demo 1.0 cpu on any CPU, ready in ") {
		t.Errorf("engines shows\n%s", out)
	}
	r, err := record.Parse([]byte(run(program, "race", "--engines", "demo", "--size", "64", "--format", "json", "--quiet")))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 1 || !r.Results[0].Verified() || r.Results[0].Lane != "demo/cpu" || r.Results[0].GEMM.N != 64 {
		t.Errorf("the race came to %+v", r)
	}
}
