package framework

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/worker"
)

var _ train.Model = (*Model)(nil)

// Tune gives the model an adapter. From then on it is the model that is trained.
func (m *Model) Tune(ctx context.Context, s train.Settings) (train.Plan, error) {
	plan, _, err := worker.Do(ctx, m.link, worker.Tune, s, nil, 0)
	return plan, err
}

// Train trains the adapter that Tune made, as train.Model says.
func (m *Model) Train(ctx context.Context, iters int, grace time.Duration, each func(train.Step)) (t train.Trained, stopped bool, err error) {
	return worker.Do(ctx, m.link, worker.Train, worker.TrainArgs{Iters: iters}, each, grace)
}
