package scale

import (
	"context"
	_ "embed"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

//go:embed testdata/sharded_memory.py
var shardedMemory string

// What the model says of the memory of FSDP is what PyTorch itself allocates, which its
// profiler counts on CPUs too. The other ranks are not there: PyTorch's fake process group
// sends nothing.
func TestShardedMemory(t *testing.T) {
	deps(t)
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	interpreter := python.In(filepath.Join(root, ".venv-torch"))
	_, _, program, err := python.Torchrun(interpreter, python.Isolated)
	if err != nil {
		t.Fatal(err)
	}
	type config struct {
		scaling.Shape
		Ranks int    `json:"ranks"`
		Batch int    `json:"batch"`
		DType string `json:"dtype"`
	}
	shape := func(width, vocab, seq int) scaling.Shape {
		return scaling.Shape{Layers: 3, Width: width, Heads: 4, Vocab: vocab, Seq: seq, Positions: true}
	}
	configs := []config{
		{shape(128, 512, 64), 1, 4, "float32"},
		{shape(256, 1024, 64), 2, 4, "float32"},  // most in a block
		{shape(256, 1024, 64), 2, 4, "bfloat16"}, // most at the loss
		{shape(256, 512, 16), 8, 16, "float32"},  // most at the end of a block
		{shape(128, 8192, 16), 8, 8, "float32"},  // most at the logits' weights
	}
	text, err := json.Marshal(configs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, interpreter, "-c", shardedMemory)
	c.Env = append(os.Environ(), "PROGRAM="+program, "CONFIGS="+string(text), "RANK=0", "LOCAL_RANK=0", "WORLD_SIZE=1")
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var found []struct{ Between, Peak float64 }
	if err := json.Unmarshal(out, &found); err != nil || len(found) != len(configs) {
		t.Fatalf("%v: %s", err, out)
	}
	for i, x := range configs {
		value := map[string]float64{"float32": 4, "bfloat16": 2}[x.DType]
		got := x.ShardedPeak(x.Ranks, float64(x.Batch/x.Ranks*x.Seq), value, found[i].Between)
		if off := got/found[i].Peak - 1; math.Abs(off) > 0.01 {
			t.Errorf("%+v: %.0f bytes, PyTorch allocates %.0f (%+.1f %%)", x, got, found[i].Peak, 100*off)
		}
	}
}
