package plan

import (
	"fmt"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Lesson shows what one way to divide a model means for each GPU.
type Lesson struct {
	Name   string           `json:"name"` // "dp", "fsdp", "pp"
	Idea   string           `json:"idea"`
	Holds  []scaling.Memory `json:"holds,omitempty"`  // of each GPU; one for all where they hold the same
	Sends  float64          `json:"sends"`            // bytes that each GPU sends in a step, at most
	What   string           `json:"what,omitempty"`   // is sent, and how
	Step   float64          `json:"step,omitempty"`   // seconds
	Faster float64          `json:"faster,omitempty"` // than one GPU, as a factor
	Fits   bool             `json:"fits"`
	Cannot string           `json:"cannot,omitempty"` // why it does not work with these numbers; then there is nothing else
}

// Lessons are the ways to divide one model over the GPUs of one node, each alone.
type Lessons struct {
	Model     string
	Shape     scaling.Shape
	GPU       GPU
	GPUs      int
	Sequences int // of a step: one for each GPU
	List      []Lesson
}

// Learn returns the lessons of a model on one node. Each step has one sequence for each GPU,
// so that every way computes the same.
func Learn(model string, s scaling.Shape, g GPU, gpus int) (*Lessons, error) {
	if err := sensible(s); err != nil {
		return nil, err
	}
	if gpus < 2 || gpus > Node {
		return nil, fault.Errorf(fault.Invalid, "%d GPUs: the ways to divide a model are shown on 2 to %d, which a node has", gpus, Node).With(fault.Set("gpus", Node, ""))
	}
	n, _ := LookupNetwork(Networks()[0]) // which a node does not use
	c := cluster{g, n, Node}
	l := &Lessons{Model: model, Shape: s, GPU: g, GPUs: gpus, Sequences: gpus}
	params, tokens := float64(s.Params()), float64(gpus*s.Seq)
	p := gpus
	values := tokens * float64(s.Width) * precision.Activations // between two blocks
	way := func(name, idea string, x scaling.Split, sends float64, what string) {
		x.Microbatch, x.Recompute = 1, scaling.RecomputeAttention
		x.Microbatches = gpus / x.Data
		lesson := Lesson{Name: name, Idea: idea, Sends: sends, What: what}
		switch {
		case x.Tensor > 1 && !divides(s, x.Tensor):
			lesson = Lesson{Name: name, Idea: idea, Cannot: fmt.Sprintf("%s: %d GPUs cannot divide them equally", parts(s), p)}
		case x.Pipeline > s.Layers:
			lesson = Lesson{Name: name, Idea: idea, Cannot: fmt.Sprintf("%s for %d stages", unit.Plural(s.Layers, "block"), p)}
		default:
			layout := c.layout(s, x, 1, true)
			lesson.Step, lesson.Fits = layout.Seconds, layout.Fits(g)
			for stage := range x.Pipeline {
				lesson.Holds = append(lesson.Holds, s.StageMemory(x, precision, stage))
			}
			lesson.Faster = 1
			if len(l.List) > 0 {
				lesson.Faster = l.List[0].Step / lesson.Step
			}
		}
		l.List = append(l.List, lesson)
	}
	share, reduce := scaling.AllGather.Share(p), scaling.AllReduce.Share(p)
	gradients, weights := precision.Gradients*params, precision.Weights*params
	way("one GPU", "holds everything and computes the sequences one after the other", scaling.Split{Data: 1, Tensor: 1, Pipeline: 1}, 0, "nothing")
	way("dp", "each GPU has the whole model and computes its own sequence", scaling.Split{Data: p, Tensor: 1, Pipeline: 1},
		reduce*gradients, "all gradients, summed over all GPUs: all-reduce")
	way("zero1", "like dp, but each GPU has the optimizer's state of only a part of the weights", scaling.Split{Data: p, Tensor: 1, Pipeline: 1, Zero: 1},
		share*(gradients+weights), "gradients to the GPU that updates them, and new weights back: reduce-scatter, all-gather")
	way("fsdp", "like zero1, and each GPU has only a part of the weights and gradients; a block is gathered when it is needed", scaling.Split{Data: p, Tensor: 1, Pipeline: 1, Zero: 3},
		share*(gradients+2*weights), "weights twice, for the forward and the backward pass, and gradients")
	way("tp", "each GPU has a part of every block: some heads, some columns", scaling.Split{Data: 1, Tensor: p, Pipeline: 1, Sequence: true},
		share*8*float64(s.Layers)*values, "the values between the parts of a block, eight times for each block")
	way("pp", "each GPU has some of the blocks; sequences go from one to the next", scaling.Split{Data: 1, Tensor: 1, Pipeline: p},
		2*values, "the values between two blocks, forward and back")
	return l, nil
}

// Sentences say what is to be seen.
func (l *Lessons) Sentences() []string {
	one := l.List[0]
	first := fmt.Sprintf("Modelled: %s has %s parameters; training it on one GPU takes %s, and this one has %s", l.Model, unit.Count(float64(l.Shape.Params())), unit.Bytes(one.Holds[0].Total()), unit.Bytes(l.GPU.Memory.Value))
	var fit []string
	for _, x := range l.List[1:] {
		if x.Fits {
			fit = append(fit, x.Name)
		}
	}
	if len(fit) == 0 {
		first += fmt.Sprintf("; no single way fits on %d, but several can be combined, and more GPUs help", l.GPUs)
	} else {
		first += fmt.Sprintf("; of the ways to use %d, these fit: %s", l.GPUs, strings.Join(fit, ", "))
	}
	return []string{
		first + ".",
		"dp makes a step faster and saves no memory. zero1 and fsdp divide what dp copies, and send about as much. tp divides everything, but its messages wait for each other in every block, so it stays on one node. pp sends least, and waits while the pipeline fills and empties.",
	}
}
