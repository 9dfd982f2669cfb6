package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// show brings a chapter into view, which begins its computation.
func (p *tab) show(id string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById(%q).scrollIntoView()`, id)))
}

// click clicks the element of a selector, wherever it is on the page.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).click()`, selector)))
}

// The page moves its balls as the engine moves them: by the same gradients and the same rules.
func TestRulesAgree(t *testing.T) {
	pool, err := gemm.NewPool(gemm.ISAs()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	shape := network.Shape{Inputs: 2, Hidden: []int{6, 6}, Outputs: 1, Activation: network.Tanh}
	d, err := network.Make("moons", 96, 3)
	if err != nil {
		t.Fatal(err)
	}
	plane, err := network.FindPlane(t.Context(), pool, shape, d, network.Minima, 22)
	if err != nil {
		t.Fatal(err)
	}
	surface, err := network.NewSurface(pool, shape, d, plane)
	if err != nil {
		t.Fatal(err)
	}
	const rate, steps = 0.02, 30
	start := [2]float64{0.3, -0.6}
	in, err := json.Marshal(map[string]any{"shape": shape, "x": d.X, "y": d.Y, "center": plane.Center, "u": plane.U, "v": plane.V, "scale": plane.Scale, "start": start, "rate": rate, "steps": steps})
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	ends := eval[map[network.Rule][3]float64](p, `(async () => {
		const { MLP, rules } = await import('/mlp.js'), o = `+string(in)+`, net = new MLP(o.shape), g = new Float64Array(o.center.length), out = {};
		const data = { x: Float64Array.from(o.x), y: Float64Array.from(o.y), n: o.y.length };
		const at = p => Float64Array.from(o.center, (c, i) => c + o.scale * (p[0] * o.u[i] + p[1] * o.v[i]));
		for (const [rule, make] of Object.entries(rules)) {
			const step = make(), p = [...o.start];
			for (let n = 0; n < o.steps; n++) {
				net.loss(data, at(p), g);
				step(p, [o.u, o.v].map(d => o.scale * d.reduce((t, x, i) => t + x * g[i], 0)), o.rate);
			}
			out[rule] = [...p, net.loss(data, at(p))];
		}
		return out;
	})()`)
	for _, rule := range network.Rules {
		want, err := surface.Roll(t.Context(), rule, rate, start, steps)
		if err != nil {
			t.Fatal(err)
		}
		got, end := ends[rule], want.Points[steps]
		if math.Hypot(got[0]-end[0], got[1]-end[1]) > 1e-6 || math.Abs(got[2]-want.Losses[steps]) > 1e-6 {
			t.Errorf("%s: the page comes to %v, the engine to %v with a loss of %v", rule, got, end, want.Losses[steps])
		}
	}
}

// Touch: the map fills with tiles; keys move the ball, step and roll; what diverges says so.
func TestTouch(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	p.show("touch")
	p.wait(`/^120 tiles in \d/.test(document.querySelector('#touch .paint p').textContent)`)
	if text := eval[string](p, `document.querySelector('#touch .foot').textContent`); !strings.Contains(text, "gradients checked: worst ") || !strings.Contains(text, "this page agrees with the engine") {
		t.Error(text)
	}
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#touch .map canvas').focus()`), chromedp.KeyEvent("\u0303"), chromedp.KeyEvent("\r"))
	rows := func() [][]string {
		return eval[[][]string](p, `(() => { const d = document.querySelector('#touch details.data'); d.open = true; d.dispatchEvent(new Event('toggle')); return [...d.querySelectorAll('tbody tr')].map(r => [...r.children].map(c => c.textContent)); })()`)
	}
	if list := rows(); len(list) != 6 || list[0][0] != "SGD" || list[0][1] != "1" {
		t.Errorf("after a step: %q", list)
	}
	p.wait(`location.hash.includes('touch.a=0.05')`)
	p.do(chromedp.KeyEvent(" "))
	p.wait(`+document.querySelector('#touch details.data tbody td').textContent > 3`)
	p.do(chromedp.KeyEvent(" "))
	if text := eval[string](p, `document.querySelector('#touch .go').textContent`); text != "Let them roll" {
		t.Errorf("after the pause the button says %q", text)
	}
	// A learning rate that is far too high.
	p.do(chromedp.Evaluate[chromedp.Void](`(() => { const r = document.querySelector('#touch-eta'); r.value = r.max; r.dispatchEvent(new Event('input')); r.dispatchEvent(new Event('change')); })()`))
	for range 12 {
		p.click("#touch .side > .acts button:nth-child(2)")
	}
	p.wait(`/diverged: lower the learning rate/.test(document.querySelector('#touch .dv').textContent)`)
	// Another map.
	p.click("#touch [data-value=random]")
	p.wait(`/Two random directions/.test(document.querySelector('#touch .foot').textContent) && /^120 tiles in/.test(document.querySelector('#touch .paint p').textContent)`)
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// Train: steps, stop, go on, reset; points from CSV; what is exported is what was trained.
func TestTrain(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	steps := `+document.querySelector('#train .stat b').textContent.replace(/,/g, '')`
	p.show("train")
	p.wait(`/gradients checked/.test(document.querySelector('#train').textContent)`)
	p.click("#train .strip button:nth-child(2)")
	p.wait(steps + ` === 1`)
	p.wait(`gpuplay.client.current === null`)
	p.click("#train .go")
	p.wait(steps + ` > 200`)
	p.click("#train .go")
	p.wait(`gpuplay.client.current === null && document.querySelector('#train .go').textContent === 'Train'`)
	at := eval[int](p, steps)
	p.click("#train .strip button:nth-child(2)")
	p.wait(fmt.Sprintf("%s === %d", steps, at+1))
	p.wait(`gpuplay.client.current === null`)
	var export struct {
		Steps       int
		Safetensors []byte
		Torch       string
	}
	if err := json.Unmarshal([]byte(eval[string](p, `gpuplay.client.get('train').then(JSON.stringify)`)), &export); err != nil {
		t.Fatal(err)
	}
	if export.Steps != at+1 || len(export.Safetensors) < 85*4 || !strings.Contains(export.Torch, "nn.Linear(8, 6)") {
		t.Errorf("%d steps, %d bytes, %s", export.Steps, len(export.Safetensors), export.Torch)
	}
	p.click("#train .strip button:nth-child(3)")
	p.wait(steps + ` === 0`)
	// Points that are refused, and points of three classes, one of which would be markup.
	p.click("#train [data-value=csv]")
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#train textarea').value = '1,2\n'`))
	p.click("#train .paste .go")
	p.wait(`/line 1 has 2 fields/.test(document.querySelector('#train .problem').textContent)`)
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#train textarea').value = '0,0,a\n1,1,<img src=x onerror=hacked=1>\n0.5,-1,c\n'`))
	p.click("#train .paste .go")
	p.wait(`document.querySelector('#train .problem').textContent === ''`)
	p.wait(`gpuplay.client.current === null`)
	p.click("#train .go")
	p.wait(`document.querySelectorAll('#train .stat b')[2].textContent === '100 %'`)
	p.click("#train .go")
	p.wait(`gpuplay.client.current === null`)
	if eval[bool](p, `'hacked' in window`) {
		t.Error("a label became markup")
	}
	if values := eval[string](p, `[...document.querySelectorAll('#train [aria-label="Engines beside this program"] button')].map(b => b.dataset.value).join()`); values != "browser" {
		t.Errorf("the engines %q are offered, and only this browser is here", values)
	}
	// Values instead of classes.
	p.click("#train [data-value=plane]")
	p.wait(`gpuplay.client.current === null && /17|weights/.test(document.querySelector('#train').textContent)`)
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}
