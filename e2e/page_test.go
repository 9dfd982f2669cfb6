package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gpuplay/gpuplay/internal/bench"
)

const (
	wide, high    = 1440, 900
	mode          = `document.querySelector('#race').dataset.mode`
	big           = `document.querySelector('#race .big').textContent`
	sub           = `document.querySelector('#race .sub').textContent`
	badge         = `document.querySelector('#race .badge').textContent`
	cpuLane       = `document.querySelector('#race .lane.c-cpu:not(.small)')`
	gpuLane       = `document.querySelector('#race .lane.c-gpu:not(.small)')`
	products      = `.querySelector('canvas').dataset.products`
	clickRaceGo   = `document.querySelector('#race-go').click()`
	clickRaceAgin = `document.querySelector('#race-again').click()`
)

// raced opens a page, has it race, and waits for the result.
func raced(t *testing.T, sc scene, more ...chromedp.Action[chromedp.Void]) (*site, *tab) {
	w := newSite(t, sc)
	p := open(t, w, wide, high, more...)
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(mode + ` === 'done'`)
	return w, p
}

// The page asks no other server for anything, breaks no rule of its policy, and has no error.
func TestOwnOrigin(t *testing.T) {
	w, p := raced(t, withGPU(4))
	var foreign []string
	for _, name := range eval[[]string](p, `performance.getEntriesByType('resource').map(e => e.name)`) {
		if !strings.HasPrefix(name, "http://"+w.host+"/") {
			foreign = append(foreign, name)
		}
	}
	if wrong := p.wrong(); len(foreign) > 0 || len(wrong) > 0 {
		t.Errorf("asked for %v, and %v", foreign, wrong)
	}
	if address := eval[string](p, `location.href + ' ' + document.cookie`); strings.Contains(address, token) || strings.Contains(address, "gpuplay-") {
		t.Errorf("the page keeps its token or sees its cookie: %s", address)
	}
	t.Logf("first paint after %.0f ms", eval[float64](p, `performance.getEntriesByName('first-contentful-paint')[0].startTime`))
}

// A page without the token shows nothing of the machine.
func TestLocked(t *testing.T) {
	w := newSite(t, withGPU(4))
	w.address = "http://" + w.host + "/"
	p := open(t, w, wide, high, clearCookies())
	if text := eval[string](p, `document.body.innerText`); !strings.Contains(text, "This page is locked") || strings.Contains(text, "Example CPU") {
		t.Errorf("the page says %q", text)
	}
}

// Every product that was told is shown, and the figures are those of the samples.
func TestFigures(t *testing.T) {
	w, p := raced(t, withGPU(8))
	if got := eval[string](p, `document.querySelector('#race').dataset.received`); got != fmt.Sprint(w.fly) {
		t.Errorf("the page got %s products of %d", got, w.fly)
	}
	for i, lane := range []string{cpuLane, gpuLane} {
		speed, _ := w.record.Results[i].Speed()
		if got := eval[float64](p, `+`+lane+`.dataset.speed`); math.Abs(got/speed.Value-1) > 1e-9 {
			t.Errorf("lane %d: %g FLOP/s shown, %g measured", i, got, speed.Value)
		}
		if got, want := eval[string](p, lane+`.querySelector('.rate').textContent`), w.record.Results[i].GEMM.Rate(speed.Value); got != strings.ReplaceAll(want, " ", "") {
			t.Errorf("lane %d: %q shown, the command line says %q", i, got, want)
		}
	}
	ratio := eval[string](p, big)
	if !strings.HasSuffix(ratio, "× as fast on the GPU") {
		t.Errorf("the page says %q", ratio)
	}
	if badge := eval[string](p, badge); !strings.HasPrefix(badge, "RECORDED") {
		t.Errorf("the badge says %q", badge)
	}
}

// shownBy is how many products of a lane had completed at a time of its own, in ms.
func shownBy(r *bench.Result, at float64) int {
	n, t := 0, 0.0
	for _, s := range r.Samples {
		wall := float64(s.Wall) / 1e6
		if t+wall > at {
			return n + int(float64(s.Iters)*(at-t)/wall)
		}
		n, t = n+s.Iters, t+wall
	}
	return n
}

// A replay has each lane's own time: at any moment, the products that are shown are those that
// the samples had completed by then. It says that it is a replay as long as it lasts.
func TestReplay(t *testing.T) {
	w, p := raced(t, withGPU(20))
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceAgin))
	seen := 0
	for range 40 {
		got := eval[[]any](p, fmt.Sprintf(`[%s, %s, %s.querySelector('canvas').dataset.at, %s%s, %s%s]`, mode, badge, cpuLane, cpuLane, products, gpuLane, products))
		if got[0] != "replay" {
			break
		}
		var at float64
		var cpu, gpu int
		fmt.Sscan(got[2].(string), &at)
		fmt.Sscan(got[3].(string), &cpu)
		fmt.Sscan(got[4].(string), &gpu)
		if !strings.Contains(got[1].(string), "REPLAY") {
			t.Errorf("at %.0f ms the badge says %q", at, got[1])
		}
		wantCPU, wantGPU := shownBy(w.record.Results[0], at), shownBy(w.record.Results[1], at)
		if at > 0 && (abs(cpu-wantCPU) > 1 || abs(gpu-wantGPU) > 1) {
			t.Errorf("at %.0f ms %d and %d products are shown, and %d and %d were measured", at, cpu, gpu, wantCPU, wantGPU)
		}
		seen++
		time.Sleep(20 * time.Millisecond)
	}
	if seen < 3 {
		t.Errorf("%d looks at the replay", seen)
	}
	p.wait(mode + ` === 'done'`)
}

func abs(x int) int { return max(x, -x) }

// A stream that stops stops the page, the cards in the air too, and the page says so.
func TestStall(t *testing.T) {
	w := newSite(t, withGPU(60))
	p := open(t, w, wide, high)
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(gpuLane + products + ` > 40`)
	w.frozen.Lock()
	const picture = `[...document.querySelectorAll('#race .lane canvas')].map(c => c.toDataURL().length + ':' + c.dataset.products + ':' + c.dataset.at).join(' ')`
	time.Sleep(1200 * time.Millisecond)
	before := eval[string](p, picture)
	time.Sleep(800 * time.Millisecond)
	after, says := eval[string](p, picture), eval[string](p, badge)
	w.frozen.Unlock()
	if before != after {
		t.Errorf("without events the page went on: %s, then %s", before, after)
	}
	if !strings.HasPrefix(says, "NO EVENTS FOR ") {
		t.Errorf("the badge says %q", says)
	}
	p.wait(badge + ` === '● LIVE' || ` + mode + ` === 'done'`)
}

// A stream that is cut in the middle of a run goes on without loss and without repetition, also
// after the browser gave up since the server refused to open it.
func TestCut(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		t.Run(fmt.Sprint(refuses), func(t *testing.T) {
			w, p, resume := midRace(t)
			w.refuses.Store(refuses)
			w.cut()
			p.wait(`!gpuplay.client.connected`)
			for refuses && w.refused.Load() < 2 { // by the browser, and by the page
				p.wait(`true`)
			}
			w.refuses.Store(false)
			resume()
			p.wait(mode + ` === 'done'`)
			if got := eval[string](p, `document.querySelector('#race').dataset.received`); got != fmt.Sprint(w.fly) {
				t.Errorf("the page got %s products of %d", got, w.fly)
			}
		})
	}
}

// No ratio is shown of what cannot be compared, and the reason is.
func TestNoRatio(t *testing.T) {
	for name, c := range map[string]struct {
		scene scene
		says  []string
	}{
		"failed check":  {wrong(4), []string{"No ratio", "tf32"}},
		"another type":  {otherType(4), []string{"No ratio", "differ"}},
		"software GPU":  {software(4), []string{"enters no comparison"}},
		"no GPU":        {noGPU(4), []string{"No GPU was found"}},
		"a GPU, proven": {withGPU(4), []string{"× as fast"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, p := raced(t, c.scene)
			says := eval[string](p, big+` + ' ' + `+sub)
			for _, want := range c.says {
				if !strings.Contains(says, want) {
					t.Errorf("the page says %q, without %q", says, want)
				}
			}
			if ratio := strings.Contains(says, "×") && !strings.Contains(says, "proven"); ratio != (name == "a GPU, proven") {
				t.Errorf("the page says %q", says)
			}
			if speed := eval[string](p, gpuLane+`.dataset.speed ?? ''`); (speed != "") != (name != "failed check" && name != "no GPU") {
				t.Errorf("the GPU lane has the figure %q", speed)
			}
			if name == "no GPU" && !strings.Contains(eval[string](p, gpuLane+`.innerText`), "CPU-only build") {
				t.Error("the lane of the GPU does not say why there is none")
			}
		})
	}
}

// More than two lanes: the best of each device first, the others folded at 96 pixels.
func TestManyLanes(t *testing.T) {
	_, p := raced(t, manyLanes(4))
	if got := eval[string](p, `document.querySelector('.more > summary').textContent`); !strings.HasPrefix(got, "3 more lanes: ") {
		t.Errorf("folded: %q", got)
	}
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.more').open = true`))
	if got := eval[[]float64](p, `[...document.querySelectorAll('.lane.small canvas')].map(c => c.getBoundingClientRect().height)`); len(got) != 3 || slices.Max(got) != 96 || slices.Min(got) != 96 {
		t.Errorf("heights %v", got)
	}
	if got := eval[string](p, gpuLane+`.innerText`); !strings.Contains(got, "PyTorch") {
		t.Errorf("the first GPU lane is %q", got)
	}
}

// Another choice begins anew: nothing of the result before stays on the screen.
func TestIdleAgain(t *testing.T) {
	_, p := raced(t, wrong(4))
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#race .seg button[data-value="2048"]').click()`))
	for _, lane := range []string{cpuLane, gpuLane} {
		if text := eval[string](p, lane+`.querySelector('.who').innerText`); strings.Contains(text, "verified") || strings.Contains(text, "products") || eval[string](p, lane+`.dataset.speed`) != "" {
			t.Errorf("the lane says %q", text)
		}
	}
	if says := eval[string](p, big+` + `+badge); strings.Contains(says, "ratio") || strings.Contains(says, "RECORDED") {
		t.Errorf("the page says %q", says)
	}
}

// What a model writes is text, never markup.
func TestMarkup(t *testing.T) {
	w := newSite(t, withGPU(4))
	p := open(t, w, wide, high)
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#talk-go').click()`))
	p.wait(`document.querySelector('#talk').dataset.mode === 'done'`)
	for _, side := range []string{"c-cpu", "c-gpu"} {
		if got := eval[string](p, `document.querySelector('#talk .`+side+` .txt').textContent`); got != strings.Join(answer, "") {
			t.Errorf("%s: %q", side, got)
		}
	}
	if eval[bool](p, `Boolean(window.hacked) || document.querySelector('#talk img') !== null`) {
		t.Error("the answer became a part of the page")
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// The files agree with the screen, and hold what is needed to doubt them.
func TestFiles(t *testing.T) {
	_, p := raced(t, withGPU(8))
	p.wait(`Boolean(document.querySelector('#result img')?.complete && document.querySelector('#save-json').href)`)
	var doc struct {
		Created time.Time
		Machine struct{ CPU string }
		Results []struct {
			Engine string
			Device struct{ Name string }
			GEMM   struct {
				N  int
				In string
			}
			Samples []any
			Speed   struct{ Value float64 }
		}
	}
	if err := json.Unmarshal([]byte(eval[string](p, `fetch(document.querySelector('#save-json').href).then(r => r.text())`)), &doc); err != nil {
		t.Fatal(err)
	}
	for i, lane := range []string{cpuLane, gpuLane} {
		r := doc.Results[i]
		if got := eval[float64](p, `+`+lane+`.dataset.speed`); math.Abs(got/r.Speed.Value-1) > 1e-9 {
			t.Errorf("%g FLOP/s shown, %g in the file", got, r.Speed.Value)
		}
		if r.Engine == "" || r.Device.Name == "" || r.GEMM.N != 4096 || r.GEMM.In != "float32" || len(r.Samples) != 8 || doc.Created.IsZero() || doc.Machine.CPU == "" {
			t.Errorf("the file lacks something: %+v", doc)
		}
	}
	figure := eval[string](p, `document.querySelector('#race .big b').textContent`)
	svg := eval[string](p, `fetch(document.querySelector('#save-svg').href).then(r => r.text())`)
	if !strings.Contains(svg, strings.TrimSuffix(figure, "×")) || !strings.Contains(eval[string](p, `document.querySelector('#result img').alt`), figure) {
		t.Errorf("the card does not say %s", figure)
	}
	if size := eval[float64](p, `fetch(document.querySelector('#save-png').href).then(r => r.blob()).then(b => b.type === 'image/png' ? b.size : 0)`); size < 5000 {
		t.Errorf("a PNG of %v bytes", size)
	}
}

// A page that stays open does not grow: after more races it has as many elements, and as many
// things that are drawn again, as after two.
func TestGrowth(t *testing.T) {
	_, p := raced(t, manyLanes(3))
	again := func() float64 {
		p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
		p.wait(mode + ` === 'live'`)
		p.wait(mode + ` === 'done'`)
		p.wait(`document.querySelectorAll('#race .data tbody tr').length === 5`)
		return eval[float64](p, `document.querySelectorAll('*').length - document.querySelectorAll('option').length + gpuplay.frames.themed`)
	}
	two := again()
	for range 3 {
		again()
	}
	if five := again(); five > two {
		t.Errorf("%v elements after two races, %v after six", two, five)
	}
}

// With a thousand samples a second everything is still counted, and frames keep their pace. How
// many are late depends on the machine, which draws without a GPU here: that is only logged.
func TestThousandEvents(t *testing.T) {
	sc := withGPU(800)
	sc.fast = true
	w := newSite(t, sc)
	p := open(t, w, wide, high)
	p.do(chromedp.Evaluate[chromedp.Void](`window.__texts = 0; new MutationObserver(list => { __texts += list.length; }).observe(document.querySelector('#race-go'), { childList: true, subtree: true });`))
	p.do(chromedp.Evaluate[chromedp.Void](countLate), chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(mode + ` === 'live'`)
	p.wait(mode + ` === 'done'`)
	if got := eval[string](p, `document.querySelector('#race').dataset.received`); got != fmt.Sprint(w.fly) {
		t.Errorf("the page got %s products of %d", got, w.fly)
	}
	if texts := eval[int](p, `__texts`); texts < 2 || texts > 4 { // Race, Stop, Race again
		t.Errorf("the text of the button was set %d times", texts)
	}
	late := eval[[]int](p, `__late`)
	t.Logf("%d of %d frames took longer than two", late[0], late[1])
}

// This browser joins as a lane of its own, named as such; a software adapter says so.
func TestWebGPU(t *testing.T) {
	w := newSite(t, withGPU(4))
	p := open(t, w, wide, high)
	if !eval[bool](p, `Boolean(navigator.gpu) && navigator.gpu.requestAdapter().then(Boolean)`) {
		missing(t, "webgpu", "this Chromium has no WebGPU adapter")
	}
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#web-join').click()`))
	p.wait(`document.querySelector('#web-join').textContent === 'Again'`)
	says := eval[string](p, `document.querySelector('.lane.c-web').innerText`)
	if !strings.Contains(says, "64 elements right") || !strings.Contains(says, "no ratio") || !strings.Contains(says, "software GPU") {
		t.Errorf("the lane says %q", says)
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// Chapter Why shows where the time of a product goes that was timed with its copies: a bar to
// scale, the same numbers in its table, and the size from which the GPU wins even so.
func TestCopies(t *testing.T) {
	p := open(t, newSite(t, withGPU(4)), wide, high)
	if eval[bool](p, `document.querySelector('#why .hist').offsetHeight > 0`) {
		t.Error("there is a picture of the sensors before there is a sweep")
	}
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#why-go').click()`))
	p.wait(`document.querySelector('#why').dataset.mode === 'done'`)
	p.wait(`document.querySelector('#why .hist b').textContent === 'Sensors of GPU 0'`)
	bars := eval[[]string](p, `[...document.querySelectorAll('#why .split svg')].map(x => x.getAttribute('aria-label'))`)
	if len(bars) != 3 || bars[2] != "copying in 44 %, launching and waiting 0 %, computing 34 %, copying out 22 %" {
		t.Errorf("bars %q", bars)
	}
	wide := eval[[]float64](p, `[...document.querySelectorAll('#why .split div:last-child rect')].map(x => Math.round(x.getAttribute('width') / 3))`)
	if len(wide) != 4 || wide[0] != 43 || wide[2] != 34 || wide[3] != 22 { // there is a gap between two parts
		t.Errorf("parts of the last bar take %v %%", wide)
	}
	rows := eval[[]string](p, `[...document.querySelectorAll('#why .parts tbody tr')].map(x => [...x.children].map(y => y.textContent).join('|'))`)
	if len(rows) != 4 || rows[3] != "4096|6.72 ms|12 µs|5.27 ms|3.36 ms|15.4 ms|gpuplay cuda" {
		t.Errorf("rows %q", rows)
	}
	if text := eval[string](p, `document.querySelector('#why').textContent`); !strings.Contains(text, "with copies: n = 1024") || !strings.Contains(text, "From 1024³ on, the GPU wins even with the copies") {
		t.Errorf("the chapter says %q", text)
	}
}
