package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Train with a text: a play that ships, then a text that is pasted; what the network writes is
// text, never markup.
func TestTrainText(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	const panel = "#train .panel:has(.written) "
	steps := `+document.querySelector('` + panel + `.stat b').textContent.replace(/,/g, '')`
	written := `document.querySelector('#train .written').textContent`
	p.show("train")
	p.click("#train [data-value=text]")
	p.wait(`document.querySelector('` + panel + `').offsetHeight > 0 && document.querySelector('#train .net').offsetHeight === 0 && location.hash.includes('train.data=text')`)
	p.wait(`gpuplay.client.current === null`)
	p.click(panel + ".go")
	p.wait(steps + ` > 0 && /gradients checked: worst/.test(document.querySelector('` + panel + `').textContent)`)
	p.wait(written + `.length === 240`)
	p.wait(`/L/.test(document.querySelector('` + panel + `.wall path')?.getAttribute('d'))`) // the loss has a line
	p.click(panel + ".go")
	p.wait(`gpuplay.client.current === null`)
	p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#train details:not([hidden])').open = true`))
	p.axe("text, light")
	p.do(chromedp.Evaluate[chromedp.Void](`gpuplay.setTheme('dark')`))
	p.wait(`document.getAnimations().length === 0`)
	p.axe("text, dark")
	at := eval[int](p, steps)
	p.click(panel + ".go") // it goes on
	p.wait(steps + ` > 0 && gpuplay.client.current !== null`)
	if now := eval[int](p, steps); now < at {
		t.Errorf("%d steps, then %d", at, now)
	}
	p.click(panel + ".go")
	p.wait(`gpuplay.client.current === null`)

	// Another size starts anew, and is in the address.
	weights := `document.querySelector('` + panel + `.say2').textContent`
	p.do(chromedp.Evaluate[chromedp.Void](`{ const s = [...document.querySelectorAll('` + panel + `.pick')].find(e => e.textContent.startsWith('width')).querySelector('select'); s.value = '32'; s.dispatchEvent(new Event('change')); }`))
	p.wait(`location.hash.includes('text.width=32')`)
	if n := eval[int](p, steps); n != 0 {
		t.Errorf("%d steps of another network", n)
	}
	p.click(panel + ".go")
	p.wait(steps + ` > 0 && /28,736 weights/.test(` + weights + `)`)
	p.click(panel + ".go")
	p.wait(`gpuplay.client.current === null`)

	// What can be taken along: the weights, programs that write with them, and the run.
	p.do(chromedp.Evaluate[chromedp.Void](`{ const url = URL.createObjectURL; URL.createObjectURL = b => { b.text().then(t => { window.taken = t; }); return url.call(URL, b); }; }`))
	for i, want := range []string{`"blocks.1.norm1.weight"`, "import torch", "import mlx.core", "gocpu/cpu,"} {
		p.do(chromedp.Evaluate[chromedp.Void](`window.taken = ''`))
		p.click(fmt.Sprintf("%s.exports button:nth-of-type(%d)", panel, i+1))
		p.wait(`window.taken !== ''`)
		if text := eval[string](p, `window.taken`); !strings.Contains(text, want) {
			t.Errorf("no %s in %.300q", want, text)
		}
	}

	paste := func(text string) {
		p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('` + panel + `textarea').value = ` + text))
		p.click(panel + ".paste button")
		p.click(panel + ".go")
	}
	paste(`'short'`)
	p.wait(`/the text has 5 characters: it needs at least 1000/.test(document.querySelector('` + panel + `.problem').textContent)`)
	paste(`'a'.repeat(70000)`)
	p.wait(`/at most 64,000 are accepted here/.test(document.querySelector('` + panel + `.problem').textContent)`)
	paste(`'<img src=x onerror=hacked=1>\n'.repeat(200)`)
	p.wait(written + `.length === 240`)
	p.click(panel + ".go")
	p.wait(`gpuplay.client.current === null`)
	if text := eval[string](p, written); !strings.Contains(text, "<") || eval[int](p, `document.querySelectorAll('#train .written *').length`) > 0 || eval[bool](p, `'hacked' in window`) {
		t.Errorf("wrote %q", text)
	}
	p.click("#train [data-value=moons]")
	p.wait(`document.querySelector('#train .net').offsetHeight > 0 && gpuplay.client.current === null`)
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}
