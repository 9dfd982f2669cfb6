package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// A Contender is an engine that was started, with what it found or why it did not.
type Contender struct {
	Entry
	Client *worker.Client // nil when it could not even be tried
	Found  hardware.Inventory
	Err    error
	Start  time.Duration // from starting the engine to knowing its devices
	Notes  []string      // what a reader of its results must know of how it was found and started
}

// Discover starts engines side by side, each within the limit, asks for their devices
// and reports each as soon as it has answered; report is called from several
// goroutines at once and may be nil. The answers are in the list's order.
func (c *Catalog) Discover(ctx context.Context, list []Entry, o Options, report func(Contender)) []Contender {
	out := make([]Contender, len(list))
	var wg sync.WaitGroup
	for i, e := range list {
		wg.Go(func() {
			out[i] = c.start(ctx, e, o)
			if report != nil {
				report(out[i])
			}
		})
	}
	wg.Wait()
	return out
}

// start starts one engine.
func (c *Catalog) start(ctx context.Context, e Entry, o Options) Contender {
	begin := time.Now()
	out := Contender{Entry: e}
	step, cancel := context.WithCancel(ctx)
	if o.Timeout > 0 {
		step, cancel = context.WithTimeout(ctx, o.Timeout)
	}
	defer cancel()
	var found python.Interpreter
	failed := map[string]string{} // interpreters in which the framework does not start, with why
	var without []string          // variables that are left out of its environment
	for {
		client, chosen, err := c.client(step, e, o, failed)
		if err == nil && len(failed) > 0 && !chosen.Has { // no other has it: the first error counts
			break
		}
		if out.Client != nil {
			out.Client.Close()
		}
		found = chosen
		out.Client, out.Err, out.Notes = client, err, found.Notes()
		if err == nil {
			client.Env = slices.DeleteFunc(slices.Clone(client.Env), func(pair string) bool { return slices.Contains(without, pair) })
			out.Found, out.Err = client.Devices(step)
		}
		if pair := blamed(out.Err, client); pair != "" {
			without = append(without, pair)
			continue
		}
		for _, pair := range without {
			out.Notes = append(out.Notes, pair+" is left out: "+e.Name+" does not start with it")
		}
		if !found.Has || !errors.Is(out.Err, fault.Crashed) && !errors.Is(out.Err, fault.Unavailable) {
			break
		}
		failed[found.Path] = out.Err.Error()
	}
	switch {
	case out.Err != nil && ctx.Err() != nil: // whatever it says, this is why
		out.Err = fault.Errorf(fault.Interrupted, "interrupted while it started")
	case errors.Is(out.Err, fault.Unavailable) && len(out.Notes) > 0:
		out.Err = fault.Errorf(fault.Unavailable, "%v; %s", out.Err, strings.Join(out.Notes, "; ")).With(fault.From(out.Err).Remedies...)
	case errors.Is(out.Err, context.DeadlineExceeded):
		out.Err = fault.Errorf(fault.Timeout, "did not start within %s", unit.Seconds(o.Timeout)).With(fault.Change("timeout", "{} gives it longer"))
	case errors.Is(out.Err, fault.Crashed) && !e.BuiltIn() && len(fault.From(out.Err).Remedies) == 0:
		out.Err = fault.Errorf(fault.Crashed, "%v (started by %s)", out.Err, found.Path).With(found.Replace(e.Name)...)
	}
	var why *fault.Error
	if errors.As(out.Err, &why) && !e.BuiltIn() {
		why.Remedies = obtainable(why.Remedies, found, e.Name)
	}
	out.Found.Devices = slices.Clone(out.Found.Devices) // the client keeps its own
	out.Start = time.Since(begin)
	return out
}

// obtainable returns a worker's remedies with another one for setting up the framework,
// where that would change nothing: a worker does not know how its interpreter was chosen.
func obtainable(list fault.Remedies, found python.Interpreter, framework string) fault.Remedies {
	var out fault.Remedies
	for _, r := range list {
		if r.Text == "" && r.Param == "" && slices.Equal(r.Command, []string{"gpuplay", "setup", framework}) {
			out = append(out, found.Obtain(framework)...)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// settings are the beginnings of the names of variables that frameworks and their
// libraries read.
var settings = []string{"JAX_", "XLA_", "PJRT_", "TF_", "TORCH_", "PYTORCH_", "MLX_", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_", "NPROC"}

// choices are those with which a user chooses devices: they are never left out.
var choices = []string{"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "JAX_PLATFORMS"}

// blamed returns the variable of a worker's environment, as NAME=value, that its error
// names; empty for none. JAX writes jax_num_cpu_devices for JAX_NUM_CPU_DEVICES.
func blamed(err error, w *worker.Client) string {
	if w == nil || !errors.Is(err, fault.Crashed) && !errors.Is(err, fault.Unavailable) {
		return ""
	}
	words := strings.FieldsFunc(strings.ToUpper(err.Error()), func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, pair := range w.Env {
		name, _, _ := strings.Cut(pair, "=")
		ours := slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(name, s) })
		if ours && !slices.Contains(choices, name) && slices.Contains(words, name) {
			return pair
		}
	}
	return ""
}

// Close ends the contenders' workers.
func Close(list []Contender) {
	var wg sync.WaitGroup
	for _, c := range list {
		if c.Client != nil {
			wg.Go(c.Client.Close)
		}
	}
	wg.Wait()
}

// Cards returns the cards of this machine by number, those that its drivers list
// joined with those that engines found, and notes in every device of the contenders
// which card it is on.
func Cards(listed []hardware.Card, list []Contender) []hardware.Card {
	var found []hardware.Device
	for _, c := range list {
		found = append(found, c.Found.Devices...)
	}
	cards := hardware.Cards(listed, found...)
	for _, c := range list {
		for i, d := range c.Found.Devices {
			c.Found.Devices[i].Card = hardware.CardOf(d, cards)
		}
	}
	return cards
}

// Missing lists what was looked for and is not there: engines, and devices of those
// that are.
func Missing(list []Contender) []record.Missing {
	var out []record.Missing
	for _, c := range list {
		if e := fault.From(c.Err); e != nil {
			out = append(out, record.Missing{Engine: c.Name, Code: e.Code, Reason: e.Message, Remedies: e.Remedies})
		}
		for _, m := range c.Found.Missing {
			out = append(out, record.Missing{Engine: c.Name, API: m.API, Kind: m.Kind, Code: fault.Unavailable, Reason: m.Reason, Remedies: m.Remedies})
		}
	}
	return out
}

// Racing returns the devices that a race gives a lane: all but further copies of a
// CPU library, of which the environments on a machine hold many, and software GPUs beside
// a real one, which Mesa's drivers for Vulkan always bring along.
func (c Contender) Racing() []hardware.Device {
	var out []hardware.Device
	gpu := func(d hardware.Device) bool { return d.Kind == hardware.GPU }
	for _, d := range c.Found.Devices {
		copied := func(o hardware.Device) bool { return o.API == d.API && o.Kind == hardware.CPU }
		switch {
		case d.Kind == hardware.CPU && slices.ContainsFunc(out, copied):
		case d.Kind == hardware.SoftwareGPU && slices.ContainsFunc(c.Found.Devices, gpu):
		default:
			out = append(out, d)
		}
	}
	return out
}
