package doctor

import (
	"context"
	"time"

	engine "github.com/gpuplay/gpuplay/internal/engine/metal"
	"github.com/gpuplay/gpuplay/internal/probe"
)

// Metal compares the messages that the engine metal sends with a Mac's frameworks.
type Metal struct {
	Agree  int      `json:"agree"`            // messages that the frameworks have, with the same types
	Differ []string `json:"differ,omitempty"` // those that they do not, and why
	Error  string   `json:"error,omitempty"`  // why the frameworks cannot be loaded
}

// metalLimit is as long as vulkanLimit: the frameworks are large.
const metalLimit = 3 * time.Second

// MetalProbe is the name of the probe of Metal.
const MetalProbe = "metal"

// gatherMetal has the frameworks loaded in a process of its own.
func gatherMetal(ctx context.Context, f *Facts, ask probe.Asker) {
	if ask == nil || f.OS != "darwin" {
		return
	}
	ctx, cancel := limited(ctx, metalLimit)
	defer cancel()
	m := &Metal{}
	if _, err := ask(ctx, MetalProbe, m); err != nil {
		m.Error = err.Error()
	}
	f.Metal = m
}

// ProbeMetal loads the frameworks and compares the messages; it sends none.
func ProbeMetal() Metal {
	agree, problems, err := engine.Verify()
	m := Metal{Agree: agree}
	for _, p := range problems {
		m.Differ = append(m.Differ, p.Error())
	}
	if err != nil {
		m.Error = err.Error()
	}
	return m
}
