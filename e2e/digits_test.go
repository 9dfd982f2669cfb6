package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// written is how somebody writes digits: strokes of x and y, of 100.
const written = `{
	0: [[[50,5],[30,15],[22,50],[30,85],[50,95],[70,85],[78,50],[70,15],[50,5]]],
	1: [[[38,22],[55,5],[55,95]]],
	3: [[[24,16],[46,5],[70,16],[66,40],[46,50],[74,62],[72,86],[46,96],[22,84]]],
	5: [[[75,6],[32,6],[28,45],[52,42],[74,56],[74,80],[52,95],[28,88]]],
	7: [[[20,8],[80,8],[42,95]]],
}`

// Digits: a network learns them, names those that are held out, and those that are written on the pad.
func TestDigits(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), wide, high)
	p.show("train")
	p.wait(`/gradients checked/.test(document.querySelector('#train').textContent) && gpuplay.client.current === null`)
	p.click("#train [data-value=digits]")
	p.wait(`/of these 60 are right. They belong to 1,797 digits/.test(document.querySelector('#train .digits').textContent) && gpuplay.client.current === null`)
	held := `parseFloat(document.querySelectorAll('#train .stat b')[2].textContent)`
	p.click("#train .go")
	p.wait(held + ` > 90`)
	p.click("#train .go")
	p.wait(`gpuplay.client.current === null`)
	// What is written with the mouse.
	read := eval[map[string]string](p, `(() => {
		const pad = document.querySelector('#train .db canvas'), out = {}, b = pad.getBoundingClientRect();
		const tell = (type, [x, y]) => pad.dispatchEvent(new PointerEvent(type, { pointerId: 1, bubbles: true, clientX: b.left + x / 100 * b.width, clientY: b.top + y / 100 * b.height }));
		pad.setPointerCapture = () => {};
		for (const [digit, strokes] of Object.entries(`+written+`)) {
			document.querySelector('#train .digits button').click();
			for (const s of strokes) { tell('pointerdown', s[0]); for (const q of s.slice(1)) tell('pointermove', q); tell('pointerup', s.at(-1)); }
			out[digit] = document.querySelector('#train .digits p').textContent;
		}
		return out;
	})()`)
	right := 0
	for digit, says := range read {
		if strings.Contains(says, "your digit as "+digit+" (") {
			right++
		} else {
			t.Logf("of a %s: %s", digit, says)
		}
	}
	if right < 4 {
		t.Errorf("%d of %d digits that were written are recognised", right, len(read))
	}
	// The keyboard chooses one of those held out.
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#train .digits canvas').focus()`), chromedp.KeyEvent("\u0303"))
	if says := eval[string](p, `document.querySelector('#train .digits p').textContent`); !strings.Contains(says, "reads this ") {
		t.Error(says)
	}
	p.axe("digits, light")
	p.do(chromedp.Evaluate[chromedp.Void](`gpuplay.setTheme('dark')`))
	p.wait(`document.getAnimations().length === 0`)
	p.axe("digits, dark")
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}
