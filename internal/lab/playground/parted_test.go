package playground

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// inSecondTurn makes a PyTorch worker that runs some Python in its second turn.
func inSecondTurn(t *testing.T, name, python string) func(context.Context, int) (*worker.Client, error) {
	start := torchWorker(t, name)
	return func(ctx context.Context, threads int) (*worker.Client, error) {
		c, err := start(ctx, threads)
		if err != nil {
			return nil, err
		}
		long := slices.Index(c.Args, strconv.Itoa(len(c.Source)))
		const steps = "    def steps(self, rows, batch, rate):\n"
		c.Source = []byte(strings.Replace(string(c.Source), steps, steps+"        self.turns = getattr(self, 'turns', 0) + 1\n        if self.turns == 2: "+python+"\n", 1))
		c.Args[long] = strconv.Itoa(len(c.Source))
		return c, nil
	}
}

// An engine that dies in the middle of a training ends it with an error; what this program has
// learned can be exported, and the next training starts from the first step, with a new worker.
func TestPeerDies(t *testing.T) {
	start := inSecondTurn(t, python.Network, "os._exit(3)")
	k := Keeper{Torch: func(ctx context.Context) (*worker.Client, error) { return start(ctx, 1) }}
	defer func() { k.last.close() }()
	o := options
	o.Torch, o.Continue = true, true
	dies(t, func() (running, error) { return k.New(o) }, k.Export, func(list []event.Event) bool {
		s := payloads[Started](list)[0]
		return s.Steps == 0 && !s.Continued
	})
}

// A training that is stopped ends though an engine does not finish its turn.
func TestPeerHangs(t *testing.T) {
	defer func(d time.Duration) { turnGrace = d }(turnGrace)
	turnGrace = time.Millisecond
	start := inSecondTurn(t, python.Network, "time.sleep(3600)")
	k := Keeper{Torch: func(ctx context.Context) (*worker.Client, error) { return start(ctx, 1) }}
	defer func() { k.last.close() }()
	o := options
	o.Torch = true
	training, err := k.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := event.NewStream("test", nil)
	made := 0 // turns of PyTorch
	s.Subscribe(func(e event.Event) {
		if _, ok := e.Data.(Learned); ok && e.Lane != Lane {
			made++
		} else if ok && made > 0 { // before its second one
			stop()
		}
	})
	err = training.Run(ctx, s)
	s.Close()
	if err == nil || fault.From(err).Message != "PyTorch: did not finish its turn within 1.00 ms after the training was stopped" {
		t.Errorf("error %v", err)
	}
	if e, err := k.Export(); err != nil || e.Steps == 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

// The same is true of a text whose engine dies.
func TestTextPeerDies(t *testing.T) {
	k := TextKeeper{Threads: 1, Torch: inSecondTurn(t, python.GPT, "os._exit(3)")}
	defer k.Close()
	o := fewSteps(12)
	o.Torch, o.Device, o.Continue = true, "cpu", true
	dies(t, func() (running, error) { return k.New(o) }, k.Export, func(list []event.Event) bool { return payloads[TextStarted](list)[0].Steps == 0 })
}

// dies runs a training whose engine dies in its second turn, twice.
func dies(t *testing.T, start func() (running, error), export func() (*Export, error), anew func([]event.Event) bool) {
	t.Helper()
	for range 2 {
		training, err := start()
		if err != nil {
			t.Fatal(err)
		}
		list, err := run(t.Context(), training)
		if err == nil || fault.From(err).Message != "PyTorch: ended with exit code 3 while training" {
			t.Errorf("error %v", err)
		}
		if !anew(list) {
			t.Errorf("it did not start from the first step: %+v", list[0])
		}
		if theirs := of[Learned](list); len(theirs) != 1 || theirs[0].Steps != firstTurn {
			t.Errorf("turns %+v", theirs)
		}
		if e, err := export(); err != nil || e == nil || e.Steps <= firstTurn {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

// running is a training of either kind.
type running interface {
	Run(context.Context, event.Sink) error
}

// run runs a training and returns what it told.
func run(ctx context.Context, r running) (list []event.Event, err error) {
	s := event.NewStream("test", nil)
	s.Subscribe(func(e event.Event) { list = append(list, e) })
	err = r.Run(ctx, s)
	s.Close()
	return list, err
}
