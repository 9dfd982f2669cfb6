package scale

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// settings are what a rank is told.
type settings struct {
	Model        scaling.Shape      `json:"model"`
	Batch        int                `json:"batch"`
	Chunks       int                `json:"chunks"` // in which one device computes the batch
	Microbatches int                `json:"microbatches"`
	Weak         bool               `json:"weak"`
	DType        string             `json:"dtype"`
	Device       string             `json:"device"`
	Seed         uint64             `json:"seed"`
	LearningRate float64            `json:"learning_rate"`
	Budget       float64            `json:"budget"`
	Timeout      float64            `json:"timeout"`
	Largest      int64              `json:"largest"`
	Collectives  bool               `json:"collectives"`
	Strategies   []scaling.Strategy `json:"strategies"`
	Shares       []part             `json:"shares"`
}

// A part is what a rank that is alone computes of the work of one of several.
type part struct {
	Strategy  scaling.Strategy `json:"strategy"`
	Parts     int              `json:"parts"`
	Sequences int              `json:"sequences"`
}

// A request has a host start its ranks.
type request struct {
	Do          string            `json:"do"`
	Program     string            `json:"program"`
	Arguments   []string          `json:"arguments"` // of torchrun
	Environment map[string]string `json:"environment"`
	Master      string            `json:"master"` // the address of the first of several hosts
	FirstRank   int               `json:"first_rank"`
}

// settings returns what the ranks of a world are told.
func (x *session) settings(p int) settings {
	o := x.o
	s := settings{
		Model: o.Shape, Batch: o.batch(p), Chunks: 1, Weak: o.Weak, DType: o.DType, Device: x.device, Seed: o.Seed, LearningRate: learningRate,
		Budget: o.Budget.Seconds(), Timeout: o.Timeout.Seconds(), Largest: largestCPU, Collectives: p > 1, Strategies: x.strategies(p), Shares: []part{},
	}
	if x.device == "cuda" {
		s.Largest = largestGPU
	}
	if o.Weak {
		s.Chunks = p
	}
	if slices.Contains(s.Strategies, scaling.PP) {
		s.Microbatches = scaling.Microbatches(s.Batch, p)
	}
	if p > 1 {
		return s
	}
	for _, parts := range x.shares() {
		for _, strategy := range o.Strategies {
			batch := o.batch(parts)
			if parts == 1 || o.Shape.Divisible(strategy, parts, batch) != nil {
				continue
			}
			sequences := batch / parts
			switch strategy {
			case scaling.TP:
				sequences = batch
			case scaling.PP:
				sequences = batch / scaling.Microbatches(batch, parts)
			}
			s.Shares = append(s.Shares, part{strategy, parts, sequences})
		}
	}
	return s
}

// arguments returns those of torchrun for a host with some of the ranks.
func (x *session) arguments(host, perHost, hosts int) []string {
	args := []string{"--nproc-per-node", strconv.Itoa(perHost)}
	if hosts == 1 {
		return append(args, "--standalone") // which takes a free port
	}
	return append(args, "--nnodes", strconv.Itoa(hosts), "--node-rank", strconv.Itoa(host), "--master-addr", x.master(), "--master-port", strconv.Itoa(cmp.Or(x.o.Port, x.machines[0].Port)))
}

// master returns the address of the first host.
func (x *session) master() string {
	if len(x.o.Hosts) == 0 {
		return ""
	}
	_, address, ok := strings.Cut(x.o.Hosts[0], "@")
	if !ok {
		address = x.o.Hosts[0]
	}
	return address
}

// world trains on p ranks. Where a strategy fails, such as for lack of memory, those behind
// it are trained with the ranks started again.
func (x *session) world(ctx context.Context, p int) error {
	s := x.settings(p)
	w := record.World{Ranks: p, Batch: s.Batch, Microbatches: s.Microbatches}
	x.r.Scaling.Worlds = append(x.r.Scaling.Worlds, w)
	at := &x.r.Scaling.Worlds[len(x.r.Scaling.Worlds)-1]
	for {
		err := x.train(ctx, p, s, at)
		e := fault.From(err)
		done := slices.IndexFunc(s.Strategies, func(n scaling.Strategy) bool { return string(n) == x.phase })
		if e == nil || x.group == nil || done < 0 || p == 1 {
			return err
		}
		lab.Note(x.s, e.Message)
		at.Steps = append(at.Steps, record.Trained{Strategy: s.Strategies[done], Error: e})
		s.Strategies, s.Collectives = s.Strategies[done+1:], false
		x.tell()
		if len(s.Strategies) == 0 {
			return nil
		}
	}
}

// tell tells the run so far.
func (x *session) tell() {
	now := *x.r.Scaling
	now.Worlds = slices.Clone(now.Worlds)
	for i, w := range now.Worlds {
		now.Worlds[i].Collectives, now.Worlds[i].Shares, now.Worlds[i].Steps = slices.Clip(w.Collectives), slices.Clip(w.Shares), slices.Clip(w.Steps)
	}
	run := *x.r
	run.Scaling = &now
	lab.Opened(x.s, &run)
}

// train has torchrun start p ranks and reads what they say until they have ended.
func (x *session) train(ctx context.Context, p int, s settings, w *record.World) error {
	x.phase = "starting"
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	hosts := len(x.group.hosts)
	if p == 1 {
		hosts = 1
	}
	lab.Note(x.s, "starting "+unit.Plural(p, "rank")+" with torchrun")
	for i, h := range x.group.hosts[:hosts] {
		environment := x.found.Mode.Variables()
		environment["GPUPLAY_SCALE"], environment["OMP_NUM_THREADS"] = string(text), strconv.Itoa(x.threads)
		q := request{Do: "run", Program: x.program, Arguments: x.arguments(i, p/hosts, hosts), Environment: environment, FirstRank: i * (p / hosts)}
		if hosts > 1 {
			q.Master = x.master()
		}
		if err := h.tell(q); err != nil {
			return err
		}
	}
	// Ranks wait for one another no longer than the limit; one that computes alone, with
	// several steps in a measurement, may take more. Before torchrun tells that a rank failed, it
	// waits up to 30 s for the others to end.
	limit := 3*x.o.Timeout + 30*time.Second
	var failures []failure
	var first error
	for ended := 0; ended < hosts; {
		m, err := x.group.next(ctx, limit)
		switch {
		case errors.Is(err, errSilent):
			x.close(func(m message) { collect(m, &failures) })
			switch {
			case first != nil:
				return first
			case len(failures) > 0:
				return blame(failures, x.phase)
			}
			return fault.Errorf(fault.Timeout, "the ranks said nothing for %s during %s", limit, x.phase).With(fault.Change("timeout", "{} allows more time"))
		case err != nil:
			x.close(func(message) {})
			return err
		}
		switch m.kind {
		case "gone":
			h := x.group.hosts[m.from]
			x.close(func(m message) { collect(m, &failures) })
			return fault.Errorf(fault.Crashed, "%s ended during %s: %s", h.title(), x.phase, lastLine(h.stderr.String()))
		case "ended":
			ended++
			if len(failures) > 0 || first != nil { // the other hosts have little time to say why
				limit = patience
			}
		case "not_started":
			first = x.notStarted(said(m), m.from)
			limit = patience
		default:
			if err := x.read(m, w, &failures); err != nil {
				return err
			}
		}
	}
	if len(failures) > 0 {
		return blame(failures, x.phase)
	}
	return first
}

// notStarted is the error of ranks that torchrun could not start.
func (x *session) notStarted(reason string, host int) error {
	e := fault.Errorf(fault.Crashed, "torchrun could not start the ranks: %s", firstLine(reason))
	switch {
	case strings.Contains(reason, "EADDRINUSE") || strings.Contains(strings.ToLower(reason), "address already in use"):
		e = fault.Errorf(fault.Unavailable, "port %d of %s is taken", cmp.Or(x.o.Port, x.machines[0].Port), x.o.Hosts[0]).With(fault.Change("master-port", ""))
	case peers.MatchString(reason) && len(x.o.Hosts) > 0:
		e = fault.Errorf(fault.Unavailable, "host %s does not reach port %d of %s: %s", x.o.Hosts[host], cmp.Or(x.o.Port, x.machines[0].Port), x.master(), firstLine(reason)).
			With(fault.Change("master-port", "one that no firewall closes"))
	}
	return e
}

// read takes what a rank says into the record.
func (x *session) read(m message, w *record.World, failures *[]failure) error {
	switch m.kind {
	case "phase":
		var said struct {
			Phase string `json:"phase"`
		}
		if err := decode(m, &said); err != nil {
			return err
		}
		x.phase = said.Phase
		lab.Note(x.s, fmt.Sprintf("%d of %d ranks: %s", w.Ranks, x.o.Worlds[len(x.o.Worlds)-1], said.Phase))
	case "world":
		var said struct {
			record.World
			Told []struct {
				Host string `json:"host"`
			} `json:"told"`
		}
		if err := decode(m, &said); err != nil {
			return err
		}
		w.Torch, w.Backend, w.NCCL, w.Threads, w.Devices, w.Memory = said.Torch, said.Backend, said.NCCL, said.Threads, said.Devices, said.Memory
		w.Hosts = nil
		for _, t := range said.Told {
			w.Hosts = append(w.Hosts, t.Host)
		}
	case "collective":
		var c record.Collective
		if err := decode(m, &c); err != nil {
			return err
		}
		w.Collectives = append(w.Collectives, c)
		return nil // a line for each would be too much
	case "overlap":
		w.Overlap = new(record.Overlap)
		if err := decode(m, w.Overlap); err != nil {
			return err
		}
	case "share":
		var c record.Share
		if err := decode(m, &c); err != nil {
			return err
		}
		w.Shares = append(w.Shares, c)
		if c.Failed != "" {
			lab.Note(x.s, fmt.Sprintf("nothing is predicted for %s over %d ranks: %s", c.Strategy, c.Parts, c.Failed))
		}
	case "step":
		var t record.Trained
		if err := decode(m, &t); err != nil {
			return err
		}
		w.Steps = append(w.Steps, t)
	default:
		collect(m, failures)
		return nil
	}
	x.tell()
	return nil
}

// collect takes what a rank has left that failed.
func collect(m message, failures *[]failure) {
	var f failure
	if m.kind == "rank_failed" && decode(m, &f) == nil {
		*failures = append(*failures, f)
	}
}

// decode reads a message into what p points to.
func decode(m message, p any) error {
	if err := json.Unmarshal(m.text, p); err != nil {
		return fault.Errorf(fault.Internal, "a rank said something that is not understood: %v", err)
	}
	return nil
}

// said returns the text of a message.
func said(m message) string {
	var text struct {
		Message string `json:"message"`
	}
	json.Unmarshal(m.text, &text)
	return text.Message
}
