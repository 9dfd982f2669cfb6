package worker

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// listener is an engine that keeps the product that it was last asked for.
type listener struct {
	bench.Engine
	g bench.GEMM
}

func (l *listener) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	l.g = g
	return l.Engine.Prepare(ctx, d, g, seed, tell)
}

// The kind of inputs is an argument of its own, which is left out for random ones.
func TestData(t *testing.T) {
	for _, data := range matrix.Kinds {
		c := client(t, "honest")
		var said bytes.Buffer
		c.Trace = &said
		g := bench.Square(4, matrix.Float32)
		g.Data = data
		task, err := c.Prepare(limit(t), hardware.Device{ID: "one"}, g, 1, func(bench.Tuning) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := task.Close(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		want := `"out":"float32"},"seed":1,"data":"` + data.String() + `"}`
		if data == matrix.Random {
			want = `"out":"float32"},"seed":1}`
		}
		if !strings.Contains(said.String(), want) {
			t.Errorf("%s: %q is not in what was said: %s", data, want, said.String())
		}

		l := &listener{Engine: scripted()}
		line := prepareLine
		if data != matrix.Random {
			line = strings.Replace(line, `"seed"`, `"data":"`+string(data)+`","seed"`, 1)
		}
		if all := serveAll(t, l, helloLine+"\n"+line+"\n"); len(all) != 2 || all[1].Error != nil || l.g.Data != data {
			t.Errorf("%s: a worker prepared %+v: %+v", data, l.g, all)
		}
	}
}

// A worker of before there were kinds of inputs refuses those that are not random.
func TestOlderWorkerRefusesData(t *testing.T) {
	type older struct {
		Task   int        `json:"task,omitempty"`
		Device string     `json:"device"`
		GEMM   bench.GEMM `json:"gemm"`
		Seed   uint64     `json:"seed"`
	}
	o := Operation[older, None, None]{operation{name: "prepare"}}
	ones := `{"device":"one","gemm":{},"seed":1,"data":"ones"}`
	if _, err := o.arguments([]byte(ones)); fault.From(err) == nil || err.Error() != `prepare has no argument "data"` {
		t.Errorf("error %v", err)
	}
}
