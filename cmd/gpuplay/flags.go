package main

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// laneFlags say how engines are started.
type laneFlags struct {
	threads int
	isa     string // the built-in engine's instruction set; empty for the CPU's best
	python  string
	timeout time.Duration
}

// options returns how engines are started.
func (f *laneFlags) options() catalog.Options {
	return catalog.Options{Threads: f.threads, ISA: f.isa, Python: f.python, Timeout: f.timeout}
}

// measureFlags are what every command that measures a product has.
type measureFlags struct {
	laneFlags
	outputFlags
	size   size
	dtype  string
	data   string
	repeat int
	budget time.Duration
	seed   uint64

	sustain time.Duration // of race and matmul

	inputs matrix.Data // what data names, once check has been called
}

// settings returns what labs that measure products are told.
func (f *measureFlags) settings() lab.Settings {
	return lab.Settings{Options: f.options(), Repeat: f.repeat, Budget: f.budget, Sustain: f.sustain, Seed: f.seed, Data: f.inputs}
}

func (f *measureFlags) add(c *cobra.Command, kind record.Kind, timeout time.Duration) {
	fl := c.Flags()
	fl.SortFlags = false
	fl.Var(&f.size, "size", "n of an n×n×n product: 8192, 8k")
	f.addCommon(fl, kind, timeout)
	if kind != record.Inputs {
		fl.DurationVar(&f.sustain, "sustain", 0, "then let the fastest CPU and GPU compute without a break, for at least 10s: burst and sustained speed")
	}
}

// addCommon adds all but the size.
func (f *measureFlags) addCommon(fl *pflag.FlagSet, kind record.Kind, timeout time.Duration) {
	fl.StringVar(&f.dtype, "dtype", "float32", "float64, float32, tf32, float16, bfloat16 or int8")
	f.data = matrix.Random.String()
	if kind != record.Inputs { // which measures all of them
		fl.StringVar(&f.data, "data", f.data, "what the inputs are: random, normal, zeros, ones or ramp")
		must(fl.SetAnnotation("data", valuesOf, dataNames()))
	}
	fl.IntVar(&f.repeat, "repeat", 0, "number of timed runs (default: until the result is precise)")
	fl.DurationVar(&f.budget, "time", 10*time.Second, "about how long to measure")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the random inputs")
	fl.IntVar(&f.threads, "threads", 0, "CPU threads (default: the engine's own choice)")
	fl.StringVar(&f.isa, "isa", "", "instruction set of gocpu, such as avx2, neon or portable (default: this CPU's best)")
	fl.StringVar(&f.python, "python", "", "Python interpreter or environment with the framework in it")
	fl.DurationVar(&f.timeout, "timeout", timeout, "how long one step of an engine may take: starting, preparing, one sample")
	f.outputFlags.add(fl, kind)
}

// check looks for mistakes that need no engine.
func (f *measureFlags) check(fl *pflag.FlagSet) (matrix.DType, error) {
	if err := f.outputFlags.check(); err != nil {
		return "", err
	}
	return f.checkCommon(fl)
}

// checkCommon is check without where the result goes.
func (f *measureFlags) checkCommon(fl *pflag.FlagSet) (matrix.DType, error) {
	if fl.Changed("repeat") && f.repeat < 1 {
		return "", usagef("leave it out to let the noise decide", "--repeat %d: at least 1 run is needed", f.repeat)
	}
	if err := checkThreads(fl, f.threads, max(1024, runtime.NumCPU()), "to use what the engine chooses"); err != nil {
		return "", err
	}
	for name, d := range map[string]time.Duration{"time": f.budget, "timeout": f.timeout} {
		if d <= 0 {
			return "", usagef("for example --"+name+" 30s", "--%s %s: must be more than 0", name, d)
		}
	}
	if fl.Changed("sustain") && f.sustain < bench.LeastSustain {
		return "", usagef("for example --sustain 60s", "--sustain %s: less than %s do not show what is sustained", f.sustain, bench.LeastSustain)
	}
	d, err := matrix.ParseDType(f.dtype)
	if err != nil {
		return "", mistyped(f.dtype, dtypeNames(), "unknown dtype %q", f.dtype)
	}
	if f.inputs, err = matrix.ParseData(f.data); err != nil {
		return "", mistyped(f.data, dataNames(), "unknown data %q", f.data)
	}
	return d, nil
}

// checkThreads refuses a number of threads that is none, or so large that it can
// only be a slip.
func checkThreads(fl *pflag.FlagSet, threads, most int, without string) error {
	hint := "leave it out " + without
	switch {
	case fl.Changed("threads") && threads < 1:
		return usagef(hint, "--threads %d: at least 1 thread is needed", threads)
	case threads > most:
		return usagef(hint, "--threads %d: at most %d, on the %d CPUs that there are", threads, most, runtime.NumCPU())
	}
	return nil
}

// checkEngines refuses an engine that there is not, and an instruction set that this CPU
// lacks or that none of the engines heeds.
func (f *laneFlags) checkEngines(names []string) error {
	list, err := catalog.Select(names)
	if err != nil || f.isa == "" {
		return err
	}
	if !slices.Contains(isaNames(), f.isa) {
		return mistyped(f.isa, isaNames(), "--isa %s: not known, or not one of this CPU's", f.isa)
	}
	if !slices.ContainsFunc(list, func(e catalog.Entry) bool { return e.Name == "gocpu" }) {
		return usagef("leave it out", "--isa %s: only gocpu's instruction set can be chosen", f.isa)
	}
	return nil
}

// isaNames are the instruction sets that gocpu can compute with on this CPU.
func isaNames() []string {
	var names []string
	for _, isa := range gemm.ISAs() {
		names = append(names, string(isa))
	}
	return names
}

// size is a flag for a dimension, at least 1; 0 when not given.
type size int

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.Itoa(int(*s))
}

func (s *size) Set(text string) error {
	n, err := unit.ParseSize(text)
	if err != nil {
		return err
	}
	if n < 1 {
		return usagef("", "%d is not a size: at least 1 is needed", n)
	}
	*s = size(n)
	return nil
}

func (s *size) Type() string { return "n" }

// alternatives lists words of which one is chosen: "table, json or md".
func alternatives(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// oneOf returns a usage error for a flag whose word is not among the options.
func oneOf(flag, word string, options []string) error {
	if slices.Contains(options, word) {
		return nil
	}
	return mistyped(word, options, "--%s %s: unknown %s", flag, word, strings.TrimSuffix(flag, "s"))
}
