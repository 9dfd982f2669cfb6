package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// full opens a page on which every chapter shows something: a race, a map, a network that has
// learned, a sweep, many GPUs, answers, a card; data tables are open.
func full(t *testing.T, width, height int, more ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	p := open(t, newSite(t, manyLanes(4)), width, height, more...)
	free := `gpuplay.client.current === null`
	p.click("#race-go")
	p.wait(mode + ` === 'done'`)
	for _, id := range []string{"why", "talk"} {
		p.click("#" + id + "-go")
		p.wait(`document.querySelector('#` + id + `').dataset.mode === 'done' && ` + free)
	}
	p.do(chromedp.Evaluate[chromedp.Void](`import('/gpus.js').then(m => m.view(document.querySelector('#gpus'), ` + cards + `, {Figure: '3.81×', Unit: '', Claim: 'as fast on four cards as on one', Proof: 'checked against one card', Trust: 1}))`))
	p.show("touch")
	p.wait(`/^120 tiles in \d/.test(document.querySelector('#touch .paint p').textContent) && ` + free)
	p.show("train")
	p.wait(`/gradients checked/.test(document.querySelector('#train').textContent) && ` + free)
	p.click("#train .strip button:nth-child(2)")
	p.wait(`document.querySelector('#train .stat b').textContent === '1' && ` + free)
	p.do(chromedp.Evaluate[chromedp.Void](`for (const d of document.querySelectorAll('details')) d.open = true; scrollTo(0, 0)`))
	p.wait(`document.getAnimations().length === 0`)
	return p
}

// Every chapter, with what it shows: by name, with axe, by finger and by keyboard.
func TestEverywhere(t *testing.T) {
	p := full(t, wide, high)
	p.names()
	p.axe("light")
	p.do(chromedp.Evaluate[chromedp.Void](`gpuplay.setTheme('dark')`))
	p.wait(`document.getAnimations().length === 0`)
	p.axe("dark")
	p.do(chromedp.EmulateViewport(360, 740))
	p.fits("all chapters")
	p.do(chromedp.EmulateViewport(wide, high))
	p.keyboard()
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// keyboard checks that Tab reaches every control, that one sees where it is, and that keys start
// and stop, drop the ball, step, and export.
func (p *tab) keyboard() {
	t := p.t
	p.do(chromedp.Evaluate[chromedp.Void](`
		const shown = e => e.checkVisibility({ visibilityProperty: true }) && !e.disabled;
		window.__left = new Set([...document.querySelectorAll('a[href], button, select, input, textarea, summary, [tabindex="0"]')].filter(shown));
		window.__dim = [];
		document.addEventListener('focusin', e => {
			__left.delete(e.target);
			const { outlineStyle, outlineWidth } = getComputedStyle(e.target);
			if (outlineStyle !== 'solid' || outlineWidth !== '3px') __dim.push(e.target.outerHTML.slice(0, 80));
		});
		document.activeElement.blur()`))
	for range eval[int](p, `__left.size`) + 5 {
		p.do(chromedp.KeyEvent(kb.Tab))
	}
	if left := eval[[]string](p, `[...__left].map(e => e.outerHTML.slice(0, 80))`); len(left) > 0 {
		t.Errorf("Tab does not reach %q", left)
	}
	if dim := eval[[]string](p, `[...new Set(__dim)]`); len(dim) > 0 {
		t.Errorf("nobody sees the focus on %q", dim)
	}
	on := func(selector string, keys ...string) {
		t.Helper()
		p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).focus()`, selector)))
		for _, key := range keys {
			p.do(chromedp.KeyEvent(key))
		}
	}
	ball := `document.querySelector('#touch details.data tbody tr').textContent`
	on("#touch .map canvas", kb.ArrowRight, kb.Enter)
	p.wait(ball + `.startsWith('SGD1')`)
	on("#train .net canvas", kb.ArrowRight, kb.ArrowDown)
	p.wait(`document.querySelector('#train .net [role=status]').textContent === 'Hidden layer 1, neuron 2 of 8'`)
	on("#touch-eta", kb.ArrowRight)
	p.wait(`location.hash.includes('touch.eta')`)
	const posted = `performance.getEntriesByType('resource').filter(e => e.name.endsWith('/runs')).length`
	for _, c := range []struct{ button, kind string }{{"#train .go", "train"}, {"#why-go", "sweep"}, {"#talk-go", "llm"}} {
		before := eval[int](p, posted)
		on(c.button, kb.Enter)
		if c.kind == "train" {
			p.wait(`document.querySelector('#train .go').textContent === 'Stop'`)
			on(c.button, kb.Enter)
		}
		p.wait(fmt.Sprintf(`%s > %d && !gpuplay.client.has(%q)`, posted, before, c.kind))
	}
	p.do(chromedp.Evaluate[chromedp.Void](`window.__saved = []; HTMLAnchorElement.prototype.click = function () { __saved.push(this.download); }`))
	on("#train .exports button", kb.Enter)
	p.wait(`__saved.includes('network.safetensors')`)
}

// With reduced motion no chapter is drawn more than twice a second, and the balls roll to where
// single steps take them.
func TestReducedMotionEverywhere(t *testing.T) {
	p := full(t, wide, high, emulate(&emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"}))
	drawn := `gpuplay.frames.drawn`
	p.do(chromedp.Evaluate[chromedp.Void](`window.__steps = 0; new MutationObserver(() => __steps++).observe(document.querySelector('#train .stat b'), { childList: true })`))
	const race, talk, touch, train = "#race-again", "#talk .prompt .acts button:not(.go)", "#touch .side > .acts .go", "#train .go"
	for _, does := range [][]string{{race, touch}, {touch, train}, {train, race, talk, touch}} { // touch the second time and train end
		p.wait(mode + ` === 'done' && document.querySelector('#talk').dataset.mode === 'done'`)
		before, steps := eval[float64](p, drawn), eval[float64](p, `__steps`)
		for _, button := range does {
			p.click(button)
		}
		if n := eval[float64](p, `new Promise(f => setTimeout(() => f(`+drawn+`), 1500))`) - before; n > 4 || n == 0 {
			t.Errorf("%s: %v updates in 1.5 s", does, n)
		}
		if n := eval[float64](p, `__steps`) - steps; n > 5 || slices.Contains(does, train) && n == 0 {
			t.Errorf("%s: the steps of Train changed %v times in 1.5 s", does, n)
		}
	}
	p.click("#touch .side > .acts .go") // pauses
	const rows = `document.querySelector('#touch details.data tbody').innerText`
	still, n := eval[string](p, rows), eval[int](p, `+document.querySelector('#touch details.data tbody td').textContent`)
	if n < 10 {
		t.Errorf("%d steps in 1.5 s", n)
	}
	p.do(chromedp.Evaluate[chromedp.Void](`gpuplay.motion.reduced = false`))
	p.click("#touch [data-value=minima]") // the same map, from the start
	p.wait(`gpuplay.client.current !== null`)
	p.wait(`gpuplay.client.current === null && /^120 tiles in/.test(document.querySelector('#touch .paint p').textContent)`)
	for range n {
		p.click("#touch .side > .acts button:nth-child(2)")
	}
	if moves := eval[string](p, rows); still != moves {
		t.Errorf("with reduced motion the balls come to\n%s\nelse to\n%s", still, moves)
	}
}

// names checks that everything that can be operated, every picture and every lane has a name of
// its own within its chapter.
func (p *tab) names() {
	t := p.t
	var tree accessibility.GetFullAXTreeResult
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) (err error) {
		tree, err = cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		return err
	}))
	var lines []string
	nodes := map[accessibility.NodeID]*accessibility.Node{}
	for _, n := range tree.Nodes {
		nodes[n.NodeID] = n
	}
	text := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		return strings.Trim(string(v.Value), `"`)
	}
	var walk func(n *accessibility.Node, depth int, chapter string, seen map[string]int)
	walk = func(n *accessibility.Node, depth int, chapter string, seen map[string]int) {
		role, name := text(n.Role), text(n.Name)
		if !n.Ignored && role != "InlineTextBox" {
			lines = append(lines, strings.Repeat("  ", depth)+role+" "+name)
			depth++
			if role == "region" && chapter == "" {
				chapter, seen = name, map[string]int{}
			}
			if slices.Contains([]string{"button", "link", "combobox", "textbox", "slider", "image", "img", "region", "article", "group", "application"}, role) {
				if name == "" && role != "group" {
					t.Errorf("%s: a %s without a name", chapter, role)
				}
				if seen[role+name]++; seen[role+name] == 2 && role != "img" && role != "image" && name != "" {
					t.Errorf("%s: two of %s %q", chapter, role, name)
				}
			}
		}
		for _, id := range n.ChildIDs {
			if c := nodes[id]; c != nil {
				walk(c, depth, chapter, seen)
			}
		}
	}
	walk(tree.Nodes[0], 0, "", map[string]int{})
	if *shots != "" {
		if err := os.WriteFile(*shots+"/names.txt", []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
