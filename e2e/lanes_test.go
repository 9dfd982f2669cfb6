package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/playground"
	"github.com/gpuplay/gpuplay/internal/network"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/web"
)

// others are scripted engines beside this program's real one, and how much faster they are.
var others = []struct {
	lane  string
	about event.Lane
	speed int64
}{
	{"torch/cuda:GPU-0", event.Lane{Name: "PyTorch 2.15 cuda, eager", Engine: "torch"}, 2},
	{"cuda/cuda:GPU-0", event.Lane{Name: "gpuplay on one of 132 multiprocessors", Engine: "cuda"}, 20},
}

// A chorus makes scripted engines learn what the real one learns.
type chorus struct {
	event.Sink
	engines map[string]bool
}

func (c chorus) Emit(lane string, data event.Data) {
	c.Sink.Emit(lane, data)
	for _, o := range others {
		if !c.engines[o.about.Engine] {
			continue
		}
		switch d := data.(type) {
		case event.Lane:
			c.Sink.Emit(o.lane, o.about)
			c.Sink.Emit(o.lane, playground.Check{Worst: 3e-7, Limit: 1e-5, OK: o.about.Engine == "cuda"})
		case playground.Learned:
			d.Busy, d.Weights = d.Busy/o.speed, nil
			c.Sink.Emit(o.lane, d)
		}
	}
}

// withLanes is chapter Train on a machine with more engines.
func withLanes() web.Activity {
	keeper := playground.Keeper{}
	real := web.Train(lab.Deps{})
	real.Get = func(context.Context) (any, error) {
		e, err := keeper.Export()
		return web.Trained{Engines: []string{"torch", "cuda", "abacus"}, Export: e}, err
	}
	real.Job = func(text []byte) (web.Job, error) {
		in := playground.TrainOptions{Points: playground.Points{Set: "spiral"}, Settings: network.Settings{}}
		if err := web.Decode(text, &in); err != nil {
			return web.Job{}, err
		}
		c := chorus{engines: map[string]bool{"torch": in.Torch, "cuda": in.CUDA}}
		in.Torch, in.CUDA = false, false
		training, err := keeper.New(in)
		return web.Job{Measure: func(ctx context.Context, s *event.Stream) (*record.Run, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			c.Sink = s
			if err := training.Run(ctx, c); ctx.Err() == nil {
				return nil, err
			}
			return nil, nil
		}}, err
	}
	return real
}

// Train with several engines: only those that are there are offered; each has a line, rows of the
// table and of the CSV, and its steps a second.
func TestTrainLanes(t *testing.T) {
	site := newSite(t, withGPU(1), withLanes())
	p := open(t, site, 1440, 900)
	toggle := `[aria-label="Engines beside this program"] `
	p.show("train")
	p.wait(fmt.Sprintf(`document.querySelectorAll('#train %sbutton').length === 3 && gpuplay.client.current === null`, toggle))
	p.click("#train " + toggle + "[data-value=cuda]")
	p.wait(`location.hash.includes('train.with=cuda') && gpuplay.client.current === null`)
	p.click("#train " + toggle + "[data-value=torch]")
	p.wait(`location.hash.includes('train.with=torch-cuda') && gpuplay.client.current === null`)
	p.click("#train .go")
	p.wait(`/Here gpuplay on CUDA is 10× as fast as PyTorch/.test(document.querySelector('#train .big').textContent)`)
	p.click("#train .go")
	p.wait(`gpuplay.client.current === null`)
	said := eval[string](p, `document.querySelector('#train .big').nextSibling.textContent`)
	for _, want := range []string{"by gpuplay on one of 132 multiprocessors;", "by PyTorch 2.15 cuda, eager;", "by this program on one thread of the CPU."} {
		if !strings.Contains(said, want) {
			t.Errorf("%q does not say %q", said, want)
		}
	}
	if chips := eval[string](p, `document.querySelector('#train .say2').textContent`); !strings.Contains(chips, "gpuplay on CUDA: gradients checked: worst 3·10⁻⁷") || !strings.Contains(chips, "PyTorch: the gradients are wrong") {
		t.Errorf("the checks are told as %s", chips)
	}
	if labels := eval[string](p, `[...document.querySelectorAll('#train .wall svg text')].map(e => e.textContent).join('|')`); !strings.Contains(labels, "this program") || !strings.Contains(labels, "PyTorch") || !strings.Contains(labels, "gpuplay on CUDA") {
		t.Errorf("the lines are called %s", labels)
	}
	names := eval[string](p, `(() => { const d = document.querySelector('#train details.data'); d.open = true; d.dispatchEvent(new Event('toggle')); return [...new Set([...d.querySelectorAll('tbody tr')].map(r => r.children[0].textContent))].join(); })()`)
	if names != "this program,PyTorch,gpuplay on CUDA" {
		t.Errorf("the table has rows of %s", names)
	}
	saved := eval[string](p, `new Promise(resolve => { URL.createObjectURL = b => { b.text().then(resolve); return '#'; }; [...document.querySelectorAll('#train .exports button')].find(b => b.textContent === 'The run').click(); })`)
	for _, engine := range []string{"gocpu,", "torch,", "cuda,"} {
		if !strings.Contains(saved, "\n"+engine) {
			t.Errorf("the CSV has no rows of %s: %.200s", engine, saved)
		}
	}
	p.axe("lanes")
	// One is enough, and the address keeps it.
	p.click("#train " + toggle + "[data-value=torch]")
	p.wait(`!location.hash.includes('torch') && gpuplay.client.current === null`)
	p.do(chromedp.Reload())
	p.wait(`document.documentElement?.dataset.ready === 'true'`)
	p.show("train")
	p.wait(fmt.Sprintf(`document.querySelectorAll('#train %sbutton').length === 3`, toggle))
	if pressed := eval[string](p, `[...document.querySelectorAll('#train `+toggle+`button')].map(b => b.getAttribute('aria-pressed')).join()`); pressed != "false,true,false" {
		t.Errorf("after a reload the toggles are %s", pressed)
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}
