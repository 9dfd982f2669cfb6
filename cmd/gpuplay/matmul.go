package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// matmulFlags are matmul's.
type matmulFlags struct {
	measureFlags
	engine, device string
	protocol       string
	m, n, k        size
	transA, transB bool
}

var protocols = []string{string(bench.Steady), string(bench.Classic), "both"}

func newMatmul(a *app) *cobra.Command {
	var f matmulFlags
	c := &cobra.Command{
		Use:   "matmul",
		Short: "Measure one engine's matrix multiply on one device",
		Long: `matmul measures C = A·B in one lane, chosen by name. --device gpu is the engine's
GPU, whatever its interface; a device that is not there is an error, never a
silent run on the CPU.

--protocol classic times the loop of many tutorials: 3 warm-ups, then --repeat
times (a@b).sum().item(), all inside the clock. With both, --repeat is the classic
loop's.`,
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
			list, err := selectEngines([]string{f.engine})
			if err != nil {
				return err
			}
			if err := f.checkISA(list); err != nil {
				return err
			}
			return a.matmul(c.Context(), f, f.gemm(dtype), list[0])
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.engine, "engine", "gocpu", "who computes: see gpuplay engines")
	fl.StringVar(&f.device, "device", "cpu", "where: cpu, gpu, or a name such as mps, cuda, cuda:1, openblas")
	f.add(c, 10*time.Minute)
	fl.Var(&f.m, "m", "rows of C (default: --size)")
	fl.Var(&f.n, "n", "columns of C (default: --size)")
	fl.Var(&f.k, "k", "length of the sums (default: --size)")
	fl.BoolVar(&f.transA, "trans-a", false, "A lies transposed in memory")
	fl.BoolVar(&f.transB, "trans-b", false, "B lies transposed in memory")
	fl.StringVar(&f.protocol, "protocol", protocols[0], "steady, classic or both")
	return c
}

// gemm returns the product that the flags describe.
func (f *matmulFlags) gemm(dtype matrix.DType) bench.GEMM {
	const usual = 4096
	g := bench.Square(int(firstOf(f.size, usual)), dtype)
	g.M, g.N, g.K = int(firstOf(f.m, size(g.M))), int(firstOf(f.n, size(g.N))), int(firstOf(f.k, size(g.K)))
	g.TransA, g.TransB = f.transA, f.transB
	return g
}

func firstOf(given, otherwise size) size {
	if given > 0 {
		return given
	}
	return otherwise
}

func (a *app) matmul(ctx context.Context, f matmulFlags, g bench.GEMM, e engine) error {
	p := newProgress(a.stderr, f.quiet, a.env.style(a.stderr))
	d := a.document(ctx)
	found := a.start(ctx, p, []engine{e}, f.laneFlags)
	defer closeClients(found)
	lane, err := choose(found[0], f.device)
	if err != nil {
		p.close()
		return err
	}
	lane.GEMM = g
	p.race([]bench.Lane{lane})
	p.say("measuring %s", unit.Cube(g.M, g.N, g.K))
	r := f.runner(host.Free, p.observe)
	if f.protocol != string(bench.Classic) {
		stop := f.stop()
		if f.protocol == "both" {
			stop.Repeat = 0 // it is the classic loop's: products that are timed one by one would be neither protocol
		}
		d.Results = r.Race(ctx, []bench.Lane{lane}, f.seed, stop)
	}
	if f.protocol != string(bench.Steady) && ctx.Err() == nil {
		lane.GEMM.Sum = true
		repeat := f.repeat
		if repeat == 0 {
			repeat = classicRepeat
		}
		d.Results = append(d.Results, r.Classic(ctx, []bench.Lane{lane}, f.seed, repeat)...)
	}
	p.close()
	out := f.outputFlags
	if out.output == "" && out.format == "table" && f.protocol == string(bench.Classic) {
		out.format = "line" // its own form
	}
	if err := a.deliver(ctx, out, d); err != nil {
		return err
	}
	if f.protocol == "both" && !f.quiet {
		fmt.Fprintln(a.stderr, explainProtocols(d.Results))
	}
	return outcome(ctx, d, true)
}

// classicRepeat is the tutorial's own number of runs.
const classicRepeat = 6

// choose returns the lane of the device that was asked for.
func choose(c contender, want string) (bench.Lane, error) {
	if c.err != nil {
		return bench.Lane{}, fmt.Errorf("%s: %w", c.engine.name, c.err)
	}
	d, err := pick(c, want)
	if err != nil {
		return bench.Lane{}, err
	}
	return bench.Lane{Engine: c.client, Device: d, Start: c.start}, nil
}

// explainProtocols says in a line why the two protocols differ.
func explainProtocols(results []*bench.Result) string {
	const why = "classic also times the sum of C, its way to the host and a wait after every product; steady times products alone, warm and in batches"
	at := func(p bench.Protocol) int {
		return slices.IndexFunc(results, func(r *bench.Result) bool { return r.Protocol == p && len(r.Samples) > 0 })
	}
	s, c := at(bench.Steady), at(bench.Classic)
	if s < 0 || c < 0 {
		return why
	}
	steady, _ := results[s].Speed()
	classic, _ := results[c].Speed()
	share := classic.Value / steady.Value
	if share > 0.97 {
		return fmt.Sprintf("classic shows %s of steady here: what else it times is lost beside products of this size", unit.Percent(share))
	}
	return fmt.Sprintf("classic shows %s of steady: %s", unit.Percent(share), why)
}
