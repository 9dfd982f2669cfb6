package worker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// describer is an engine that says more of its devices.
type describer struct {
	bench.Engine
	err error
}

func (d describer) Describe(_ context.Context, device hardware.Device) (hardware.Description, error) {
	return hardware.Description{Processors: len(device.ID)}, d.err
}

// An engine that can describe devices says so in hello, and answers for those that it has.
func TestServeDescribe(t *testing.T) {
	ask := func(e bench.Engine, device string) []response {
		return serveAll(t, e, helloLine+"\n"+`{"id":2,"op":"describe","args":{"device":"`+device+`"}}`+"\n")
	}
	can := func(all []response) bool { return strings.Contains(string(all[0].Result), `"describe"`) }
	if all := ask(describer{Engine: scripted()}, "one"); !can(all) || string(all[1].Result) != `{"processors":3}` {
		t.Errorf("%+v", all)
	}
	for name, all := range map[string][]response{
		"no device":    ask(describer{Engine: scripted()}, "two"),
		"no operation": ask(scripted(), "one"),
	} {
		if all[1].Error == nil || !strings.Contains(all[1].Error.Message, name) || can(all) == (name == "no operation") {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

// What an engine measured before an error is kept.
func TestPartialDescription(t *testing.T) {
	d, err := client(t, "partial").Describe(limit(t), hardware.Device{ID: "one"})
	if !errors.Is(err, fault.Wrong) || err.Error() != "copies differ" || d.Processors != 3 {
		t.Errorf("%+v, %v", d, err)
	}
}

// A worker without the operation is not asked, and can be used afterwards.
func TestClientDescribe(t *testing.T) {
	c := client(t, "honest")
	if _, err := c.Describe(limit(t), hardware.Device{ID: "one"}); !errors.Is(err, fault.Unsupported) {
		t.Errorf("error %v", err)
	}
	if slices.Contains(c.idle, nil) || len(c.idle) != 1 {
		t.Errorf("%d idle workers", len(c.idle))
	}
}
