package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/network"
)

// networker is an engine that trains networks with package network.
type networker struct {
	bench.Engine
	pool   *gemm.Pool
	closed *int
}

type onCPU struct {
	networker
	task network.Task
	n    *network.Network[float64]
	o    *network.Optimizer[float64]
}

func (e networker) Network(_ context.Context, _ hardware.Device, t network.Task) (network.Stepper, error) {
	n, err := network.New[float64](e.pool, t.Shape)
	if err != nil {
		return nil, err
	}
	copy(n.Weights, t.Weights)
	return &onCPU{e, t, n, network.NewOptimizer(e.pool, t.Rule, 0.0, t.Shape.Tensors())}, nil
}

func (s *onCPU) Steps(ctx context.Context, rows []int, rate float64) (time.Duration, error) {
	s.o.Rate = rate
	grad := make([]float64, len(s.n.Weights))
	for ; len(rows) > 0; rows = rows[s.task.Batch:] {
		var x, y []float64
		for _, r := range rows[:s.task.Batch] {
			x, y = append(x, s.task.X[r*s.task.Shape.Inputs:][:s.task.Shape.Inputs]...), append(y, s.task.Y[r])
		}
		if _, err := s.n.Loss(ctx, s.task.Loss, x, y, grad); err != nil {
			return 0, err
		}
		if err := s.o.Step(ctx, s.n.Weights, grad); err != nil {
			return 0, err
		}
	}
	return time.Millisecond, nil
}

func (s *onCPU) Weights(context.Context) ([]float64, error) { return s.n.Weights, nil }
func (s *onCPU) Place() string                              { return "one of 3 cores" }
func (s *onCPU) Close() error                               { *s.closed++; return nil }

// A worker trains the network that it was given: its gradient is right, its loss is that of the
// weights, and what makes no sense is refused.
func TestNetwork(t *testing.T) {
	pool, err := gemm.NewPool(gemm.ISAs()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	closed := 0
	e := networker{scripted(), pool, &closed}
	const body = `"inputs":2,"hidden":[2],"outputs":1,"activation":"tanh","loss":"logistic","optimizer":"adam","rate":0.1,"dtype":"float64","x":[0,0,1,1,0,1,1,0],"y":[0,0,1,1],"weights":[0.1,0.2,-0.3,0.4,0.5,0,0.7,-0.8,0.1]`
	const batch = `,"batch":2`
	ask := func(device, more string) string {
		return fmt.Sprintf(`{"id":2,"op":"network","args":{"device":%q,%s%s}}`, device, body, more) + "\n"
	}
	steps := func(rows, batch string) string {
		return `{"id":3,"op":"steps","args":{"rows":` + rows + `,"batch":` + batch + `,"rate":0.1}}` + "\n"
	}
	all := serveAll(t, e, helloLine+"\n"+ask("one", batch)+steps("[0,2,1,3]", "2")+ask("one", batch))
	if len(all) != 4 {
		t.Fatalf("%d answers", len(all))
	}
	var first, again Networked
	var made Stepped
	for i, into := range []any{&first, &made, &again} {
		if all[i+1].Error != nil {
			t.Fatal(all[i+1].Error)
		}
		if err := json.Unmarshal(all[i+1].Result, into); err != nil {
			t.Fatal(err)
		}
	}
	args, err := Network.arguments([]byte(`{"device":"one",` + body + batch + `}`))
	if err != nil {
		t.Fatal(err)
	}
	task, err := args.task()
	if err != nil {
		t.Fatal(err)
	}
	if worst, err := task.CheckOf(t.Context(), pool, first.Gradient); err != nil || worst > network.Tolerance[float64]() {
		t.Errorf("the gradient is off by %v, %v", worst, err)
	}
	want, err := task.LossAt(t.Context(), pool, task.Weights)
	if err != nil || *first.Loss != want || *again.Loss != want {
		t.Errorf("losses %v and %v before a step, not %v, %v", *first.Loss, *again.Loss, want, err)
	}
	other, _ := e.Network(t.Context(), hardware.Device{}, task)
	if _, err := other.Steps(t.Context(), []int{0, 2, 1, 3}, 0.1); err != nil {
		t.Fatal(err)
	}
	weights, _ := other.Weights(t.Context())
	if want, err = task.LossAt(t.Context(), pool, weights); err != nil || *made.Loss != want || made.Wall != time.Millisecond {
		t.Errorf("a loss of %v after two steps in %v, not %v, %v", *made.Loss, made.Wall, want, err)
	}
	if first.Detail != "one of 3 cores" || closed != 3 { // both of the gradient, and the first network
		t.Errorf("place %q, %d networks closed", first.Detail, closed)
	}
	for what, requests := range map[string]string{
		"no network":    steps("[0,1]", "2"),
		"other batch":   ask("one", batch) + steps("[0,1,2,3]", "4"),
		"no device":     ask("two", batch),
		"no batch":      ask("one", ""),
		"large batch":   ask("one", `,"batch":5`),
		"direction":     ask("one", batch+`,"u":[1,0,0,0,0,0,0,0,0]`),
		"no such thing": ask("one", batch+`,"z":1`),
	} {
		all := serveAll(t, e, helloLine+"\n"+requests)
		if last := all[len(all)-1]; last.Error == nil {
			t.Errorf("%s: %s", what, last.Result)
		}
	}
	if all := serveAll(t, scripted(), helloLine+"\n"+ask("one", batch)); all[1].Error == nil {
		t.Error("an engine without networks has made one")
	}
}
