//go:build unix

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// used is the processor time that this process has used, which has the server in it.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// While a page is open and nothing is measured, the server needs at most 1 % of a core. It is
// processor time, which other load on the machine does not change.
func TestIdleServer(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), wide, high)
	p.wait(`gpuplay.client.connected`)
	p.do(chromedp.Sleep(500 * time.Millisecond))
	const d = 4 * time.Second
	before := used(t)
	time.Sleep(d)
	share := float64(used(t)-before) / float64(d)
	t.Logf("%.2f %% of a core", 100*share)
	if share > .01 {
		t.Errorf("the server uses %.2f %% of a core", 100*share)
	}
}

// metrics returns the page's counters, after the garbage was collected.
func (p *tab) metrics() map[string]float64 {
	p.t.Helper()
	out := map[string]float64{}
	p.do(call(performance.Enable, performance.EnableParams{}), call(heapprofiler.CollectGarbage, cdp.Empty{}), call(heapprofiler.CollectGarbage, cdp.Empty{}),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			r, err := cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
			for _, m := range r.Metrics {
				out[m.Name] = m.Value
			}
			return err
		}))
	return out
}

// A day with the page open, compressed: races, replays and connections that break. Neither its
// heap nor its elements and listeners grow.
func TestDay(t *testing.T) {
	w, p := raced(t, withGPU(3))
	some := func(n int) {
		for range n {
			p.click("#race-go")
			p.wait(mode + ` === 'live'`)
			p.wait(mode + ` === 'done'`)
			p.click("#race-again")
			p.wait(mode + ` === 'replay'`)
			p.click("#race-go")
			w.cut()
			p.wait(`gpuplay.client.connected`)
		}
		p.do(chromedp.Evaluate[chromedp.Void](`for (const o of document.querySelectorAll('option')) o.remove()`)) // one for each race
	}
	some(3)
	before := p.metrics()
	some(8)
	after := p.metrics()
	for name, most := range map[string]float64{"JSHeapUsedSize": 400e3, "Nodes": 60, "JSEventListeners": 8} {
		t.Logf("%s: %.0f, then %.0f", name, before[name], after[name])
		if after[name]-before[name] > most {
			t.Errorf("%s grew from %.0f to %.0f in 8 races", name, before[name], after[name])
		}
	}
}

// With a thousand samples a second, at most 1 % of frames need more processor time of the page's
// thread than a frame lasts: for what arrived since the frame before, scripts, style, layout and
// paint. It is time of the thread, not time that passes: on a machine with other load, or that
// draws without a GPU, frames are late for other reasons.
func TestFrameCost(t *testing.T) {
	sc := withGPU(1500)
	sc.fast = true
	p := open(t, newSite(t, sc), wide, high)
	type work struct {
		Name   string
		Tid    int
		Ts     float64
		Thread float64 `json:"tdur"` // µs
	}
	var list []work
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		b := chromedp.FromContext(ctx).Browser
		events, end := b.Subscribe(tracing.DataCollected.Method)
		defer end()
		if _, err := cdp.Call(ctx, b, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: []string{"devtools.timeline"}}}); err != nil {
			return err
		}
		p.click("#race-go")
		p.wait(mode + ` === 'live'`)
		p.wait(mode + ` === 'done'`)
		if _, err := cdp.Call(ctx, b, tracing.End, cdp.Empty{}); err != nil {
			return err
		}
		for {
			select {
			case e := <-events:
				var data struct{ Value []work }
				if err := json.Unmarshal(e, &data); err != nil {
					return err
				}
				list = append(list, data.Value...)
			case <-time.After(2 * time.Second): // everything has come
				return nil
			}
		}
	}))
	slices.SortFunc(list, func(a, b work) int { return cmp.Compare(a.Ts, b.Ts) })
	thread := -1
	if i := slices.IndexFunc(list, func(x work) bool { return x.Name == "FireAnimationFrame" }); i >= 0 {
		thread = list[i].Tid
	}
	var frames []float64 // ms
	since := 0.0
	for _, x := range list {
		if x.Tid != thread || !slices.Contains([]string{"EventDispatch", "FireAnimationFrame", "UpdateLayoutTree", "Layout", "PrePaint", "Paint", "Layerize"}, x.Name) {
			continue
		}
		if x.Name == "FireAnimationFrame" {
			frames, since = append(frames, since), 0
		}
		since += x.Thread / 1000
	}
	late := 0
	slices.Sort(frames)
	for _, ms := range frames {
		if ms > 1000./60 {
			late++
		}
	}
	if len(frames) < 20 || frames[len(frames)/2] == 0 || float64(late) > .01*float64(len(frames)) {
		t.Fatalf("%d of %d frames needed longer than they last", late, len(frames))
	}
	t.Logf("%d frames: %.1f ms in the middle, %.1f ms at 99 %%, %.1f ms at most", len(frames), frames[len(frames)/2], frames[len(frames)*99/100], frames[len(frames)-1])
}
