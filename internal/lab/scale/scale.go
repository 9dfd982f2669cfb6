// Package scale is the lab of training on several devices: a transformer is trained on
// one of them and then on more, with each strategy of torch.distributed, checked against
// the one, and timed. torchrun of the user's own PyTorch starts the ranks.
package scale

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// Options say what is trained, and how.
type Options struct {
	Strategies []scaling.Strategy
	All        bool          // those that do not divide the model are left out; otherwise they are an error
	Worlds     []int         // numbers of ranks; empty: 1, 2, 4, … as far as there are devices
	Model      string        // the name of the shape; empty for one of its own
	Shape      scaling.Shape // zero: small on GPUs and tiny on CPUs
	Batch      int           // sequences of a step, of each rank where Weak; 0: 8
	DType      string        // float32 or bfloat16
	Weak       bool          // the batch grows with the ranks
	Hosts      []string      // as ssh takes them, each with as many ranks; empty: this machine
	Port       int           // on which the first of several hosts listens; 0: a free one
	Python     string        // an interpreter that was asked for, the same on all hosts
	CPU        bool          // train on CPUs although there are GPUs
	Budget     time.Duration // how long each strategy is timed
	Timeout    time.Duration // how long ranks wait for one another
	Seed       uint64
}

const (
	usualBatch   = 8
	learningRate = 1e-4
	// largest messages, in bytes
	largestGPU = 1 << 30
	largestCPU = 4 << 20
)

// Check refuses what needs no machine to be refused.
func (o Options) Check() error {
	if err := o.Shape.Check(); o.Shape != (scaling.Shape{}) && err != nil {
		return err
	}
	switch {
	case len(o.Strategies) == 0:
		return fault.Errorf(fault.Invalid, "no strategy to train with").With(fault.Set("strategy", "all", ""))
	case o.Shape != (scaling.Shape{}) && (o.Shape.Gated || o.Shape.KVHeads != 0 || o.Shape.Hidden != 0):
		return fault.Errorf(fault.Invalid, "only models of the form of GPT-2 are trained here").With(fault.Set("model", "gpt2", "for example"))
	case o.Batch < 0:
		return fault.Errorf(fault.Invalid, "a batch of %d: at least 1 sequence is needed", o.Batch).With(fault.Change("batch", ""))
	case o.DType != "float32" && o.DType != "bfloat16":
		return fault.Errorf(fault.Invalid, "no training in %q: float32 or bfloat16", o.DType).With(fault.Change("dtype", ""))
	case o.Budget <= 0:
		return fault.Errorf(fault.Invalid, "%s to measure: more than 0 is needed", o.Budget).With(fault.Set("time", "2s", ""))
	case o.Timeout < time.Second:
		return fault.Errorf(fault.Invalid, "ranks that wait for %s: at least 1s is needed", o.Timeout).With(fault.Set("timeout", "2m", ""))
	case o.Port < 0 || o.Port > 65535:
		return fault.Errorf(fault.Invalid, "port %d: from 1 to 65535 is possible", o.Port).With(fault.Change("master-port", ""))
	}
	for _, p := range o.Worlds {
		switch {
		case p < 1:
			return fault.Errorf(fault.Invalid, "%d ranks: at least 1 is needed", p).With(fault.Change("world", ""))
		case p > 1 && p%max(1, len(o.Hosts)) != 0:
			return fault.Errorf(fault.Invalid, "%d ranks cannot be divided equally over %d hosts", p, len(o.Hosts)).With(fault.Change("world", "a multiple of the number of hosts"))
		}
	}
	return nil
}

// A machine is what a host says of itself.
type machine struct {
	Torch       string   `json:"torch"`
	GPUs        []string `json:"gpus"`
	Memory      int64    `json:"memory"`
	MPS         bool     `json:"mps"`
	CPUs        int      `json:"cpus"`
	Distributed bool     `json:"distributed"`
	Port        int      `json:"port"`
}

// session is one run of the lab.
type session struct {
	o        Options
	d        *lab.Deps
	s        *event.Stream
	r        *record.Run
	found    python.Interpreter
	program  string // of a rank
	group    *group
	machines []machine
	device   string // cuda or cpu
	threads  int
	phase    string // what the ranks do
}

// Run trains in each world and returns what it came to. A world that fails is the
// record's error; those before it are kept.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.Scale)
	x := &session{o: o, d: &d, s: s, r: r}
	var err error
	if x.found, err = d.Catalog.Interpreter(ctx, "torch", o.Python); err != nil {
		return nil, err
	}
	if !x.found.Has && x.found.Broken == "" {
		return nil, fault.Errorf(fault.Unavailable, "%s has no PyTorch, which trains", x.found.Path).With(x.found.Obtain("torch")...)
	}
	defer x.close(func(message) {})
	if err := x.look(ctx); err != nil {
		if ctx.Err() != nil {
			return d.Finish(ctx, s, r), nil
		}
		return nil, err
	}
	if err := x.settle(); err != nil {
		return nil, err
	}
	lab.Opened(s, x.r)
	for _, p := range x.o.Worlds {
		if err := x.world(ctx, p); err != nil {
			if ctx.Err() == nil {
				r.Error = fault.From(err)
			}
			break
		}
	}
	return d.Finish(ctx, s, r), nil
}

func (x *session) close(each func(message)) {
	if x.group != nil {
		x.group.close(each)
		x.group = nil
	}
}

// connect starts what starts ranks, on every host.
func (x *session) connect() error {
	interpreter, mode := x.found.Path, x.found.Mode
	args, starter, program, err := python.Torchrun(interpreter, mode)
	if err != nil {
		return err
	}
	x.program = program
	x.group = &group{out: make(chan message, 1024), gone: map[int]bool{}}
	names := x.o.Hosts
	if len(names) == 0 {
		names = []string{""}
	}
	for i, name := range names {
		h, err := connect(i, name, args, x.d.Catalog.Environ(), starter, x.group.out)
		if err != nil {
			return err
		}
		x.group.hosts = append(x.group.hosts, h)
	}
	return nil
}

// look asks every host what it has.
func (x *session) look(ctx context.Context) error {
	lab.Note(x.s, "starting PyTorch"+onHosts(x.o.Hosts))
	if err := x.connect(); err != nil {
		return err
	}
	for i, h := range x.group.hosts {
		port := 0
		if i == 0 && len(x.group.hosts) > 1 { // the one that listens
			port = x.o.Port
		}
		h.tell(map[string]any{"do": "look", "port": port}) // one that has ended says so by being gone, when all of its stderr is read
	}
	x.machines = make([]machine, len(x.group.hosts))
	for answered := 0; answered < len(x.group.hosts); {
		m, err := x.group.next(ctx, x.o.Timeout)
		if errors.Is(err, errSilent) {
			return fault.Errorf(fault.Timeout, "PyTorch did not start within %s%s", x.o.Timeout, onHosts(x.o.Hosts)).With(fault.Change("timeout", "{} allows more time"))
		}
		if err != nil {
			return err
		}
		h := x.group.hosts[m.from]
		switch m.kind {
		case "gone":
			return x.noAnswer(h)
		case "missing":
			return fault.Errorf(fault.Unavailable, "%s cannot use PyTorch: %s", h.title(), said(m)).With(x.found.Obtain("torch")...)
		case "taken":
			return fault.Errorf(fault.Unavailable, "%s cannot listen on port %d: %s", h.title(), x.o.Port, said(m)).With(fault.Change("master-port", ""))
		case "host":
			if err := decode(m, &x.machines[m.from]); err != nil {
				return err
			}
			answered++
		}
	}
	for i, m := range x.machines {
		switch {
		case !m.Distributed:
			return fault.Errorf(fault.Unavailable, "PyTorch %s was built without torch.distributed", m.Torch).With(x.found.Obtain("torch")...)
		case m.Torch != x.machines[0].Torch:
			return fault.Errorf(fault.Invalid, "different versions of PyTorch: %s has %s, %s has %s", x.o.Hosts[0], x.machines[0].Torch, x.o.Hosts[i], m.Torch).
				With(fault.Change("python", "{} names an interpreter that is the same on all hosts"))
		}
	}
	return nil
}

// noAnswer is the error of a host that ended before it had said anything.
func (x *session) noAnswer(h *host) error {
	reason := lastLine(h.stderr.String())
	if h.name == "" {
		return fault.Errorf(fault.Crashed, "%s ended when it was started: %s", x.found.Path, reason).With(x.found.Replace("torch")...)
	}
	return fault.Errorf(fault.Unavailable, "host %s does not answer: %s", h.name, reason).
		With(fault.Run("this must work without a password", "ssh", h.name, x.found.Path, "--version"))
}

func onHosts(hosts []string) string {
	if len(hosts) == 0 {
		return ""
	}
	return " on " + strings.Join(hosts, ", ")
}

// settle fills in what follows from the hosts, and refuses what they cannot do.
func (x *session) settle() error {
	o := &x.o
	least := x.machines[0]
	for _, m := range x.machines {
		least.CPUs = min(least.CPUs, m.CPUs)
		if len(m.GPUs) < len(least.GPUs) {
			least.GPUs = m.GPUs
		}
	}
	x.device = "cuda"
	devices, what := len(least.GPUs)*len(x.machines), "GPU"
	if len(least.GPUs) == 0 || o.CPU {
		x.device, devices, what = "cpu", least.CPUs*len(x.machines), "CPU"
	}
	o.fill(x.device)
	if len(o.Worlds) == 0 {
		o.Worlds = []int{1}
		for p := max(2, len(x.machines)); p <= devices; p *= 2 {
			o.Worlds = append(o.Worlds, p)
		}
	}
	slices.Sort(o.Worlds)
	o.Worlds = slices.Compact(o.Worlds)
	if o.Worlds[0] != 1 {
		o.Worlds = slices.Insert(o.Worlds, 0, 1) // which the others are compared with
	}
	most := o.Worlds[len(o.Worlds)-1]
	if most > devices {
		fits := slices.DeleteFunc(slices.Clone(o.Worlds), func(p int) bool { return p > devices })
		return fault.Errorf(fault.Invalid, "%d ranks need as many %ss; there are %d%s", most, what, devices, onHosts(o.Hosts)).
			With(fault.Set("world", strings.ReplaceAll(strings.Trim(fmt.Sprint(fits), "[]"), " ", ","), "what fits"))
	}
	leftOut, err := o.divide()
	if err != nil {
		return err
	}
	for _, why := range leftOut {
		lab.Note(x.s, why)
	}
	// The same number of threads in every world: torchrun gives a rank one thread only
	// where there are several, and then one rank alone seems fast.
	perHost := max(1, most/len(x.machines))
	x.threads = max(1, least.CPUs/perHost)
	x.r.Scaling = &record.Scaling{Model: o.Model, Shape: o.Shape, DType: o.DType, Weak: o.Weak, Rehearsal: x.device == "cpu"}
	if x.r.Scaling.Rehearsal {
		lab.Note(x.s, "a rehearsal: the ranks are processes on CPUs, which share cores and memory")
		if least.MPS {
			lab.Note(x.s, "Apple's GPU cannot take part in torch.distributed; mlx.launch starts MLX on several Macs")
		}
	}
	return nil
}

// fill sets what was left out and depends on the device alone.
func (o *Options) fill(device string) {
	if o.Shape == (scaling.Shape{}) {
		o.Model = map[string]string{"cuda": "small", "cpu": "tiny"}[device]
		m, _ := scaling.Lookup(o.Model)
		o.Shape = m.Shape
	}
	o.Batch = cmp.Or(o.Batch, usualBatch)
}

// divide refuses a strategy that cannot divide the model. Where all were asked for, it
// returns a line for each that is left out instead.
func (o Options) divide() (leftOut []string, err error) {
	for _, p := range o.Worlds {
		for _, strategy := range o.Strategies {
			if err := o.Shape.Divisible(strategy, p, o.batch(p)); err != nil && p > 1 {
				if !o.All {
					return nil, fault.From(err).With(fault.Change("world", ""), fault.Change("strategy", ""))
				}
				leftOut = append(leftOut, fmt.Sprintf("%s over %d ranks is left out: %v", strategy, p, err))
			}
		}
	}
	return leftOut, nil
}

// batch returns the sequences of a step of p ranks.
func (o Options) batch(p int) int {
	if o.Weak {
		return o.Batch * p
	}
	return o.Batch
}

// strategies returns those that divide the model over p ranks.
func (x *session) strategies(p int) []scaling.Strategy {
	var list []scaling.Strategy
	for _, s := range x.o.Strategies {
		if x.o.Shape.Divisible(s, p, x.o.batch(p)) == nil {
			list = append(list, s)
		}
	}
	return list
}

// shares returns over how many ranks parts are measured alone: those of the worlds, and
// twice as many as the largest, to which the model extends what was measured.
func (x *session) shares() []int {
	most := x.o.Worlds[len(x.o.Worlds)-1]
	return append(slices.Clone(x.o.Worlds), 2*most)
}
