package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// asked records what the page asks for, and holds the answers to requests for a run back while
// __hold is true.
const asked = `window.__asked = []; window.__hold = false; { const f = fetch; window.fetch = async (path, o) => {
	__asked.push((o?.method ?? 'GET') + ' ' + path.replace(/runs\/.*/, 'runs/ID'));
	const answer = await f(path, o);
	while (__hold && o?.method === 'POST') await new Promise(r => setTimeout(r, 10));
	return answer;
}; }`

// A click on Stop counts before the server has answered the click that started, and so does
// one more.
func TestSecondClick(t *testing.T) {
	w := newSite(t, withGPU(400))
	p := open(t, w, wide, high)
	p.do(chromedp.Evaluate[chromedp.Void](asked))
	stopped := func(button string) {
		t.Helper()
		p.do(chromedp.Evaluate[chromedp.Void](`__asked.length = 0; __hold = true`))
		p.click(button)
		p.wait(`__asked.includes('POST /api/v1/runs')`)
		p.click(button)
		p.do(chromedp.Evaluate[chromedp.Void](`__hold = false`))
		p.wait(`__asked.includes('DELETE /api/v1/runs/ID') && gpuplay.client.current === null`)
		if list := eval[[]string](p, `__asked.filter(x => x.startsWith('POST'))`); len(list) != 1 {
			t.Errorf("%s has the page ask for %q", button, list)
		}
	}
	stopped("#race-go")
	p.wait(mode + ` === 'done' || ` + mode + ` === 'idle'`)
	if says := eval[string](p, sub); strings.Contains(says, "is being measured") {
		t.Errorf("the page says %q", says)
	}
	p.show("train")
	p.wait(`/gradients checked/.test(document.querySelector('#train').textContent) && gpuplay.client.current === null`)
	stopped("#train .go")
	p.wait(`document.querySelector('#train .go').textContent === 'Train'`)
	// Stopped twice.
	p.click("#race-go")
	p.wait(mode + ` === 'live'`)
	p.click("#race-go")
	p.click("#race-go")
	p.wait(`gpuplay.client.current === null`)
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// midRace starts a race, which stays in its middle until resume is called.
func midRace(t *testing.T) (w *site, p *tab, resume func()) {
	t.Helper()
	sc := withGPU(12)
	pause, paused := make(chan struct{}), make(chan struct{})
	sc.pause, sc.paused = pause, paused
	w = newSite(t, sc)
	p = open(t, w, wide, high)
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
	<-paused
	return w, p, func() { close(pause) }
}

// After gpuplay was restarted, a page that was open before says that its session is over, and what
// to do; a run that was cut is over as well. It no longer asks for anything.
func TestSessionOver(t *testing.T) {
	w, p, resume := midRace(t)
	resume()
	w.again()
	p.wait(`/session of this page is over.*Open the address/.test(document.querySelector('.lost:not([hidden])')?.textContent)`)
	p.wait(mode + ` === 'idle'`)
	if says := eval[string](p, big+` + ' ' + `+sub); !strings.Contains(says, "restarted during the run") {
		t.Errorf("the page says %q", says)
	}
	p.do(chromedp.Evaluate[chromedp.Void](`performance.clearResourceTimings()`), chromedp.Sleep(3e9))
	if list := eval[[]string](p, `performance.getEntriesByType('resource').map(e => e.name)`); len(list) > 0 {
		t.Errorf("the page still asks for %q", list)
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// A page whose server does not answer says so, and goes on when it answers again.
func TestLost(t *testing.T) {
	w := newSite(t, withGPU(4))
	p := open(t, w, wide, high)
	w.refuses.Store(true)
	w.cut()
	p.wait(`/connection to gpuplay is lost/.test(document.querySelector('.lost:not([hidden])')?.textContent)`)
	p.axe("lost")
	w.refuses.Store(false)
	p.wait(`document.querySelector('.lost').hidden`)
	w.gone.Store(true) // which the browser itself notices, at each of its attempts
	w.cut()
	p.wait(`!document.querySelector('.lost').hidden`)
	w.gone.Store(false)
	p.wait(`document.querySelector('.lost').hidden`)
	p.do(chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(mode + ` === 'done'`)
}

// Too many points are refused with a message, however they arrive.
func TestTooManyPoints(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), wide, high)
	p.show("train")
	p.wait(`/gradients checked/.test(document.querySelector('#train').textContent) && gpuplay.client.current === null`)
	const problem = `document.querySelector('#train .problem').textContent`
	for _, c := range []struct{ name, does, says string }{
		{"dropped file", `const d = new DataTransfer(); d.items.add(new File(['1,2,a\n'.repeat(11000)], 'large.csv'));
			document.querySelector('#train .db canvas').dispatchEvent(new DragEvent('drop', { dataTransfer: d, bubbles: true, cancelable: true }))`, "The points have more than 60,000 characters"},
		{"chosen file", `const d = new DataTransfer(), f = document.querySelector('#train input[type=file]'); d.items.add(new File(['1,2,a\n'.repeat(11000)], 'large.csv'));
			f.files = d.files; f.dispatchEvent(new Event('change'))`, "The points have more than 60,000 characters"},
		{"dropped text", `const d = new DataTransfer(); d.setData('text', '1,2,a\n'.repeat(11000));
			document.querySelector('#train .db canvas').dispatchEvent(new DragEvent('drop', { dataTransfer: d, bubbles: true, cancelable: true }))`, "The points have more than 60,000 characters"},
		{"pasted text", `document.querySelector('#train textarea').value = '1,2,a\n'.repeat(11000); document.querySelector('#train .paste .go').click()`, "The points have more than 60,000 characters"},
		{"large on the way", `document.querySelector('#train textarea').value = '1,2,a\n'.repeat(9900); document.querySelector('#train .paste .go').click()`, "larger than 65536 bytes"},
	} {
		p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#train .problem').textContent = ''; { ` + c.does + ` }`))
		p.wait(problem + ` !== ''`)
		if says := eval[string](p, problem); !strings.Contains(says, c.says) {
			t.Errorf("%s: %q, want %q", c.name, says, c.says)
		}
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// An address that differs only after # is opened too when it is entered in a tab that has the page:
// one with a token in a page that is locked, one with settings in a page in use.
func TestOtherAddress(t *testing.T) {
	w := newSite(t, withGPU(4))
	printed := w.address
	w.address = "http://" + w.host + "/"
	p := open(t, w, wide, high, clearCookies())
	follow := func(address string) {
		t.Helper()
		p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`window.__old = true; location.href = %q`, address)))
		for {
			if ready, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`!window.__old && document.documentElement?.dataset.ready === 'true'`)); err == nil && ready {
				return
			}
			if p.ctx.Err() != nil { // else the page is on its way
				t.Fatalf("%s is not opened", address)
			}
		}
	}
	follow(printed)
	if !eval[bool](p, `document.querySelector('#race-go') !== null`) {
		t.Error("the page is still locked")
	}
	follow("/#touch?touch.eta=0.5&race.size=1024")
	if eta := eval[float64](p, `+document.querySelector('#touch-eta').value`); math.Abs(eta-math.Log10(.5)) > .01 {
		t.Errorf("the slider is at %v", eta)
	}
	if says := eval[string](p, sub); !strings.Contains(says, "1024 × 1024") {
		t.Errorf("the page says %q", says)
	}
}

// A page that is reloaded during a run, or opened in a second tab, shows the run from its
// beginning; a window that changes its size changes no number.
func TestReload(t *testing.T) {
	w, p, resume := midRace(t)
	p.do(chromedp.Reload())
	p.wait(`document.documentElement?.dataset.ready === 'true' && document.querySelector('#race').dataset.mode === 'live'`)
	second := open(t, w, wide, high)
	for _, width := range []int64{600, 1100, 360} {
		p.do(chromedp.EmulateViewport(width, high))
	}
	resume()
	for _, q := range []*tab{p, second} {
		q.wait(mode + ` === 'done'`)
		if got := eval[string](q, `document.querySelector('#race').dataset.received`); got != fmt.Sprint(w.fly) {
			t.Errorf("the page got %s products of %d", got, w.fly)
		}
		if wrong := q.wrong(); len(wrong) > 0 {
			t.Error(wrong)
		}
	}
}
