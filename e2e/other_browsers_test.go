package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// However often a key moves the ball, the address changes seldom: Safari throws after 100 changes in
// 30 seconds.
func TestAddressChangesSeldom(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), wide, high)
	p.show("touch")
	p.wait(`/^120 tiles in \d/.test(document.querySelector('#touch .paint p').textContent)`)
	p.do(chromedp.Evaluate[chromedp.Void](`{
		window.__changes = 0;
		const change = history.replaceState;
		history.replaceState = (...a) => { __changes++; return change.apply(history, a); };
		const map = document.querySelector('#touch .map canvas');
		for (let i = 0; i < 150; i++) map.dispatchEvent(new KeyboardEvent('keydown', { key: i % 2 ? 'ArrowLeft' : 'ArrowRight', bubbles: true }));
		map.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
	}`))
	p.wait(`__changes > 0`)
	if n := eval[int](p, `__changes`); n > 3 {
		t.Errorf("the address changed %d times", n)
	}
	if hash := eval[string](p, `location.hash`); hash == "" {
		t.Error("the place of the ball is not in the address")
	}
}

// In a window that shows only a fifth of a chapter at a time, the chapter begins its work, too.
func TestLowWindow(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), 740, 300)
	p.show("train")
	p.wait(`/gradients checked/.test(document.querySelector('#train').textContent)`)
	t.Logf("%.0f pixels high", eval[float64](p, `document.querySelector('#train').getBoundingClientRect().height`))
}
