package worker

import (
	"context"
	"io"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

func TestRunRestsAndSaysSo(t *testing.T) {
	e := fake.New("fake", &fake.Clock{}, nil, fake.NewDevice("one", hardware.CPU, 1e9))
	found, err := e.Devices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	task, err := e.Prepare(context.Background(), found.Devices[0], bench.Square(2, "float32"), 1, func(bench.Tuning) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, idle := range []bool{true, false} {
		rests := 0
		s := &server{out: io.Discard, task: task, rest: func() bool { rests++; return idle }}
		got, err := s.run(context.Background(), message{request: request{Args: []byte(`{"n":1,"set":0}`)}})
		if err != nil || rests != 1 || got.Busy == idle {
			t.Errorf("idle %v: rested %d times, busy %v, %v", idle, rests, got.Busy, err)
		}
	}
}
