package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// cards is a training on four cards as its record has it.
const cards = `{model: 'example', dtype: 'float32', worlds: [
  {ranks: 1, batch: 8, backend: 'nccl', devices: ['Example GPU X'], steps: [{strategy: 'single', seconds: [0.4, 0.4, 0.4], losses: [1, 1], gradient_error: 0}]},
  {ranks: 4, batch: 32, backend: 'nccl', devices: ['Example GPU X', 'Example GPU X', 'Example GPU X', 'Example GPU X'], steps: [
    {strategy: 'ddp', seconds: [0.42, 0.43, 0.42], peak: [31e9, 31e9, 31e9, 31e9], held: [{weights: 6.44e9, gradients: 6.44e9, optimizer: 12.88e9}], timeline: [{compute: {busy: 0.4, spans: []}, communicate: {busy: 0.1, spans: []}, hidden: 0.08}]},
    {strategy: 'fsdp', seconds: [0.45, 0.45, 0.45], peak: [12e9, 12e9, 12e9, 12e9], held: [{weights: 1.61e9, gradients: 1.61e9, optimizer: 3.22e9}]},
    {strategy: 'tp', seconds: [], error: {code: 'out_of_memory', message: 'too big'}}]}]}`

// Many GPUs: what was measured is solid, what was modelled hatched and called so; what failed
// is not there.
func TestManyGPUs(t *testing.T) {
	w := newSite(t, withGPU(4))
	p := open(t, w, wide, high)
	if !eval[bool](p, `document.querySelector('#gpus').hidden`) {
		t.Error("the chapter is there without a run")
	}
	p.do(chromedp.Evaluate[chromedp.Void](`import('/gpus.js').then(m => m.view(document.querySelector('#gpus'), ` + cards + `, {Figure: '3.81×', Unit: '', Claim: 'as fast on four cards as on one', Proof: 'checked against one card', Trust: 1}))`))
	p.wait(`document.querySelector('#gpus svg') !== null`)
	text := eval[string](p, `document.querySelector('#gpus').innerText`)
	for _, want := range []string{"31 GB", "3.81×", "as fast on four cards as on one", "9.66 GB", "modelled"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
	if strings.Contains(text, "Tensor") {
		t.Error("what has failed is shown")
	}
	if got := eval[int](p, `document.querySelectorAll('#gpus path[fill="url(#hatch)"]').length`); got != 3 {
		t.Errorf("%d hatched arrows", got)
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
	if *shots != "" {
		p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#gpus').scrollIntoView()`), chromedp.Sleep(3e8))
		saveShot(t, p, *shots+"/gpus.png")
	}
}
