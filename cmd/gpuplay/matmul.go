package main

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/lab/race"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// matmulFlags are matmul's.
type matmulFlags struct {
	measureFlags
	engine, device string
	protocol       string
	m, n, k        size
	transA, transB bool
}

func newMatmul(a *app) *cobra.Command {
	var f matmulFlags
	var protocols []string
	for _, p := range race.Protocols {
		protocols = append(protocols, string(p))
	}
	c := &cobra.Command{
		Use:   "matmul",
		Short: "Measure one engine's matrix multiply on one device",
		Long: `matmul measures C = A·B in one lane, chosen by name. --device gpu is the engine's
GPU, whatever its interface; a missing device is an error, never a silent run
on the CPU.

--protocol classic times the loop of many tutorials: 3 warm-ups, then --repeat
times (a@b).sum().item(), all of it timed. With --protocol both, --repeat applies to the
classic loop only.`,
		Example: `  gpuplay matmul --engine torch --device cpu --size 8192 --repeat 6 --dtype float16
  gpuplay matmul --engine torch --device gpu --size 8192 --protocol classic
  gpuplay matmul --engine blas --device openblas --m 5 --n 4096 --k 4096 --threads 1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dtype, err := f.check(c.Flags())
			if err != nil {
				return err
			}
			if err := oneOf("protocol", f.protocol, protocols); err != nil {
				return err
			}
			if f.sustain > 0 && f.protocol == string(bench.Classic) {
				return usagef("--protocol steady or both", "--sustain %s: the classic loop waits for the device after every product, so nothing is sustained", f.sustain)
			}
			if err := f.checkEngines([]string{f.engine}); err != nil {
				return err
			}
			return a.matmul(c.Context(), f, f.gemm(dtype))
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.engine, "engine", "gocpu", "the engine, as listed by gpuplay engines")
	fl.StringVar(&f.device, "device", "", "its device: cpu, gpu, or a name such as mps, cuda, cuda:1, openblas (default: the CPU if the engine has one)")
	f.add(c, record.MatMul, 10*time.Minute)
	fl.Var(&f.m, "m", "rows of C (default: --size)")
	fl.Var(&f.n, "n", "columns of C (default: --size)")
	fl.Var(&f.k, "k", "length of the sums (default: --size)")
	fl.BoolVar(&f.transA, "trans-a", false, "A is stored transposed")
	fl.BoolVar(&f.transB, "trans-b", false, "B is stored transposed")
	fl.StringVar(&f.protocol, "protocol", protocols[0], "steady, classic or both")
	must(fl.SetAnnotation("protocol", valuesOf, protocols))
	return c
}

// gemm returns the product that the flags describe.
func (f *matmulFlags) gemm(dtype matrix.DType) bench.GEMM {
	const usual = 4096
	n := cmp.Or(f.size, usual)
	g := bench.Square(1, dtype)
	g.M, g.N, g.K = int(cmp.Or(f.m, n)), int(cmp.Or(f.n, n)), int(cmp.Or(f.k, n))
	g.TransA, g.TransB = f.transA, f.transB
	return g
}

func (a *app) matmul(ctx context.Context, f matmulFlags, g bench.GEMM) error {
	o := race.MatmulOptions{Settings: f.settings(), Engine: f.engine, Device: cmp.Or(f.device, catalog.DefaultDevice(f.engine)), GEMM: g, Protocol: bench.Protocol(f.protocol)}
	r, err := a.measure(ctx, f.outputFlags, func(ctx context.Context, s *event.Stream) (*record.Run, error) {
		return race.Matmul(ctx, a.deps(), o, s)
	})
	if f.to == nil && f.format == f.people && f.protocol == string(bench.Classic) {
		f.format = "line" // its own form
	}
	err = a.conclude(f.outputFlags, r, err, true)
	if r != nil && !f.quiet {
		if text := judge.Protocols(r); text != "" {
			say(a.stderr, "%s\n", text)
		}
	}
	return err
}
