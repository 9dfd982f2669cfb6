package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "write pictures of every chapter into this folder")

// TestShots writes pictures of every chapter, light and dark, wide and narrow.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no folder for pictures")
	}
	for name, sc := range map[string]scene{"wrong": wrong(4), "software": software(4), "no-gpu": noGPU(4)} {
		_, p := raced(t, sc)
		saveShot(t, p, filepath.Join(*shots, "state-"+name+".png"))
	}
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int{1440, 390} {
			w := newSite(t, manyLanes(24))
			p := open(t, w, width, 900)
			p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("gpuplay.setTheme(%q)", theme)))
			p.wait(`document.getAnimations().length === 0`)
			save := func(name string) {
				saveShot(t, p, filepath.Join(*shots, fmt.Sprintf("%s-%d-%s.png", name, width, theme)))
			}
			save("race-idle")
			p.do(chromedp.Click("#race-go"))
			p.wait(`document.querySelector('#race').dataset.mode === 'live' && +document.querySelector('#race .lane canvas').dataset.products > 12`)
			save("race-live")
			p.wait(`document.querySelector('#race').dataset.mode === 'done'`)
			save("race-done")
			p.do(chromedp.Click("#race-again"), chromedp.Sleep(400e6))
			save("race-replay")
			for _, id := range []string{"touch", "train", "why", "gpus", "talk", "result"} {
				if eval[bool](p, fmt.Sprintf(`document.getElementById(%q).hidden`, id)) {
					continue
				}
				p.wait(`!gpuplay.client.current`) // one thing is measured at a time
				if id == "why" && eval[bool](p, `document.querySelector('#why-go') !== null`) {
					p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#why-go').click()`))
					p.wait(`document.querySelector('#why').dataset.mode === 'done'`)
				}
				if id == "talk" && eval[bool](p, `document.querySelector('#talk-go') !== null`) {
					p.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#talk-go').click()`))
					p.wait(`document.querySelector('#talk').dataset.mode === 'done'`)
				}
				p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById(%q).scrollIntoView()`, id)), chromedp.Sleep(600e6))
				save(id)
				if id == "train" {
					p.click("#train [data-value=text]")
					p.wait(`!gpuplay.client.current`)
					p.click("#train .panel:has(.written) .go")
					p.wait(`document.querySelector('#train .written').textContent && +document.querySelector('#train .panel:has(.written) .stat b').textContent.replace(/,/g, '') > 60`)
					save("text")
					p.click("#train .panel:has(.written) .go")
				}
			}
			if wrong := p.wrong(); len(wrong) > 0 {
				t.Error(wrong)
			}
		}
	}
}

func saveShot(t *testing.T, p *tab, file string) {
	t.Helper()
	b, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
