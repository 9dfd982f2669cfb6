package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The keyboard alone chooses a size, starts and stops, and one sees where it is.
func TestKeyboard(t *testing.T) {
	w := newSite(t, withGPU(40))
	p := open(t, w, wide, high)
	reach := func(what string) {
		t.Helper()
		for range 80 {
			p.do(chromedp.KeyEvent(kb.Tab))
			if eval[bool](p, `document.activeElement?.matches(`+fmt.Sprintf("%q", what)+`)`) {
				if outline := eval[string](p, `getComputedStyle(document.activeElement).outlineStyle + ' ' + getComputedStyle(document.activeElement).outlineWidth`); outline != "solid 3px" {
					t.Errorf("%s: the focus has the outline %q", what, outline)
				}
				return
			}
		}
		t.Fatalf("no way to %s by Tab", what)
	}
	reach("#race-go")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.wait(mode + ` === 'live'`)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.wait(mode + ` === 'done' || ` + mode + ` === 'idle'`)
	reach(`#race .seg button[data-value="1024"]`)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.wait(`location.hash.includes('race.size=1024') && ` + sub + `.includes('1024')`)
	reach("#save-json")
}

// axe reports what axe finds wrong with the page as it is.
func (p *tab) axe(when string) {
	p.t.Helper()
	if !eval[bool](p, `'axe' in window`) {
		source, err := os.ReadFile(".cache/axe.min.js")
		if err != nil {
			missing(p.t, "axe", "no axe-core: .ci/e2e downloads it")
		}
		p.do(chromedp.Evaluate[chromedp.Void](string(source)))
	}
	type violation struct {
		ID    string
		Nodes []struct{ Target []any }
	}
	text := eval[string](p, `axe.run({resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v => ({id: v.id, nodes: v.nodes.map(n => ({target: n.target}))}))))`)
	var list []violation
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range list {
		p.t.Errorf("%s: %s at %v", when, v.ID, v.Nodes)
	}
}

// axe finds nothing, in any chapter, light and dark, before and after a race.
func TestAccessibility(t *testing.T) {
	p := open(t, newSite(t, manyLanes(4)), wide, high)
	p.axe("idle, light")
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(mode + ` === 'done'`)
	p.do(chromedp.Evaluate[chromedp.Void](`for (const d of document.querySelectorAll('details')) d.open = true; document.querySelector('#why-go').click()`))
	p.wait(`document.querySelector('#why').dataset.mode === 'done'`)
	p.axe("done, light")
	p.do(chromedp.Evaluate[chromedp.Void](`gpuplay.setTheme('dark')`))
	p.wait(`document.getAnimations().length === 0`) // colours of controls ease
	p.axe("done, dark")
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#tour-go').click()`))
	p.axe("tour, dark")
}

// With reduced motion the page is drawn at most twice a second, with the same numbers.
func TestReducedMotion(t *testing.T) {
	w := newSite(t, withGPU(30))
	p := open(t, w, wide, high, emulate(&emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"}))
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(mode + ` === 'live'`)
	drawn := eval[float64](p, `new Promise(f => { const a = gpuplay.frames.drawn; setTimeout(() => f(gpuplay.frames.drawn - a), 2000); })`)
	if drawn > 4 || drawn == 0 {
		t.Errorf("%v frames in 2 s", drawn)
	}
	p.wait(mode + ` === 'done'`)
	speed, _ := w.record.Results[1].Speed()
	if got := eval[float64](p, `+`+gpuLane+`.dataset.speed`); math.Abs(got/speed.Value-1) > 1e-9 {
		t.Errorf("%g FLOP/s shown, %g measured", got, speed.Value)
	}
}

// On a phone nothing scrolls sideways, and a finger hits every target.
func TestPhone(t *testing.T) {
	w := newSite(t, manyLanes(4))
	p := open(t, w, 360, 740)
	p.fits("idle")
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(mode + ` === 'done'`)
	p.do(chromedp.Evaluate[chromedp.Void](`for (const d of document.querySelectorAll('details')) d.open = true`))
	p.fits("done")
}

// fits checks that nothing scrolls sideways, and that a finger hits every target.
func (p *tab) fits(when string) {
	p.t.Helper()
	if over := eval[float64](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		p.t.Errorf("%s: the page is %v pixels too wide: %v", when, over, eval[[]string](p, `[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll')).slice(0, 5).map(e => e.tagName + '.' + e.className)`))
	}
	small := eval[[]string](p, `[...document.querySelectorAll('button, a[href], select, summary, input')].filter(e => {
			const r = e.getBoundingClientRect(), after = getComputedStyle(e, '::after');
			if (!r.width || e.matches('.skip')) return false;
			const more = after.content !== 'none' && after.position === 'absolute' ? 8 : 0;
			return Math.round(r.height) + more < 44 || Math.round(r.width) < 44;
		}).map(e => e.tagName + ' ' + e.textContent.slice(0, 30) + ' ' + e.getBoundingClientRect().width + '×' + e.getBoundingClientRect().height)`)
	if len(small) > 0 {
		p.t.Errorf("%s: too small for a finger: %v", when, small)
	}
}
