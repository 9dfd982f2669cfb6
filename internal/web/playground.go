package web

import (
	"context"
	"sync"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/playground"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// torchNetwork returns a function that starts a worker for networks in PyTorch with that many
// threads of the CPU; 0: PyTorch's own choice.
func torchNetwork(deps lab.Deps, threads int) func(context.Context) (*worker.Client, error) {
	if deps.Catalog == nil {
		return nil
	}
	start := playground.Torch(deps.Catalog, python.Network, "")
	return func(ctx context.Context) (*worker.Client, error) { return start(ctx, threads) }
}

// unlessStopped returns an error that is not that of a run which was stopped.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Touch is the activity of chapter Touch: the loss of a small network over a plane.
func Touch(deps lab.Deps) Activity {
	return Activity{Kind: "touch", Job: func(text []byte) (Job, error) {
		in := playground.SurfaceOptions{Points: playground.Points{Set: "moons"}, Directions: network.Minima, Seed: 3}
		if err := Decode(text, &in); err != nil {
			return Job{}, err
		}
		s, err := playground.NewSurface(in, torchNetwork(deps, 0))
		if err != nil {
			return Job{}, err
		}
		return Job{Measure: func(ctx context.Context, stream *event.Stream) (*record.Run, error) {
			return nil, unlessStopped(ctx, s.Run(ctx, stream))
		}}, nil
	}}
}

// cudaNetwork returns a function that starts a worker for networks on NVIDIA GPUs.
func cudaNetwork(deps lab.Deps) func(context.Context) (*worker.Client, error) {
	if deps.Catalog == nil {
		return nil
	}
	return func(ctx context.Context) (*worker.Client, error) { return deps.Catalog.BuiltIn(ctx, "cuda") }
}

// Trained is what chapter Train can ask for: which engines can take part here, by the names of
// their settings, and the last training.
type Trained struct {
	Engines []string `json:"engines"`
	*playground.Export
}

// engines returns a function that tells which can take part in a training, beside this program's
// own one. It looks for them once.
func engines(deps lab.Deps) func() []string {
	return sync.OnceValue(func() []string {
		list := []string{}
		if deps.Catalog == nil {
			return list
		}
		ctx, cancel := context.WithTimeout(context.Background(), engineStart)
		defer cancel()
		if _, err := deps.Catalog.Interpreter(ctx, "torch", ""); err == nil {
			list = append(list, "torch")
		}
		if own, err := deps.Catalog.BuiltIn(ctx, "cuda"); err == nil {
			if link, err := own.Dial(ctx); err == nil { // only where there is a GPU
				link.Close()
				list = append(list, "cuda")
			}
		}
		return list
	})
}

// Train is the activity of chapter Train. It keeps the last training, so that it can go on
// and be exported.
func Train(deps lab.Deps) Activity {
	// For such small products a second thread of PyTorch only costs time.
	keeper := playground.Keeper{Torch: torchNetwork(deps, 1), CUDA: cudaNetwork(deps)}
	found := engines(deps)
	return Activity{
		Kind: "train",
		Get: func(context.Context) (any, error) {
			e, err := keeper.Export()
			return Trained{found(), e}, err
		},
		Job: func(text []byte) (Job, error) {
			in := playground.TrainOptions{Points: playground.Points{Set: "spiral"}, Settings: network.Settings{Hidden: []int{8, 8}, Activation: network.Tanh, Optimizer: network.Adam, Rate: 0.02, Batch: 32, Seed: 1}}
			if err := Decode(text, &in); err != nil {
				return Job{}, err
			}
			t, err := keeper.New(in)
			if err != nil {
				return Job{}, err
			}
			return Job{
				Measure: func(ctx context.Context, stream *event.Stream) (*record.Run, error) {
					return nil, unlessStopped(ctx, t.Run(ctx, stream))
				},
				Tell: func(message []byte) error {
					var c playground.Change
					if err := Decode(message, &c); err != nil {
						return err
					}
					return t.Change(c)
				},
			}, nil
		},
	}
}

// Text is the activity of the data set "text" of chapter Train: a GPT learns to write. It keeps
// the last training, so that it can go on and be exported.
func Text(deps lab.Deps) Activity {
	keeper := playground.TextKeeper{Time: playground.MaxTime}
	if deps.Catalog != nil {
		keeper.Torch = playground.Torch(deps.Catalog, python.GPT, "")
	}
	return Activity{Kind: "text", Get: func(context.Context) (any, error) { return keeper.Export() }, Job: func(text []byte) (Job, error) {
		in := playground.DefaultText()
		if err := Decode(text, &in); err != nil {
			return Job{}, err
		}
		t, err := keeper.New(in)
		if err != nil {
			return Job{}, err
		}
		return Job{Measure: func(ctx context.Context, stream *event.Stream) (*record.Run, error) {
			return nil, unlessStopped(ctx, t.Run(ctx, stream))
		}}, nil
	}}
}
