package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var (
	live     = flag.String("live", "", "race, sweep and train on the page of -address, and write pictures and figures into this folder")
	withCard = flag.Bool("card", false, "Chromium draws, and computes with WebGPU, on a GPU through Vulkan")
)

// TestLive does on the page of a real server what a visitor does on a machine with a GPU: a race,
// this browser's lane, the map of a loss, a training by every engine that can take part, and a
// sweep. What the machine measures is written down and not judged; the page must show a result everywhere, and do nothing wrong.
//
//	gpuplay serve --token 0123456789abcdef &
//	go test -run TestLive -address 'http://127.0.0.1:PORT/#token=0123456789abcdef' -live FOLDER -card .
func TestLive(t *testing.T) {
	if *address == "" || *live == "" {
		t.Skip("no address, or no folder for what is measured")
	}
	found := map[string]any{}
	note := func(name string, what any) { // at once, so that nothing is lost if a later part fails
		found[name] = what
		b, err := json.MarshalIndent(found, "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join(*live, "live.json"), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, &site{address: *address}, wide, high)
	p.wait(`!gpuplay.client.current`)
	shot := func(name string) { saveShot(t, p, filepath.Join(*live, name+".png")) }
	text := func(selector string) []string {
		return eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%q)].map(x => x.innerText)`, selector))
	}

	p.do(chromedp.Evaluate[chromedp.Void](countLate), chromedp.Evaluate[chromedp.Void](clickRaceGo))
	p.wait(mode + ` === 'live'`)
	p.wait(mode + ` === 'done' || [...document.querySelectorAll('#race .lane:not(.c-web) canvas')].every(x => x.dataset.products > 0)`)
	shot("race-live")
	p.wait(mode + ` === 'done'`)
	shot("race-done")
	note("race", text("#race .say")[0])
	note("race_lanes", text("#race .lane"))
	note("race_late_frames", eval[[]int](p, `__late`))

	p.click("#web-join")
	p.wait(`!document.querySelector('#web-join').disabled || document.querySelector('#web-join').textContent !== 'Join'`)
	p.wait(`document.querySelector('#web-join').textContent === 'Again'`)
	note("browser", text(".lane.c-web")[0])

	p.show("touch")
	p.wait(`gpuplay.client.current !== null`)
	p.wait(`!gpuplay.client.current && document.querySelector('#touch canvas') !== null`)
	shot("touch")

	p.do(chromedp.Navigate(strings.Split(*address, "#")[0]+"?#train?train.with=torch-cuda-browser&train.pace=0"), chromedp.Evaluate[chromedp.Void](`document.getElementById('train').scrollIntoView()`))
	p.wait(`document.documentElement?.dataset.ready === 'true'`)
	p.show("train")
	p.wait(`!gpuplay.client.current && document.querySelector('#train .go') !== null`)
	p.click("#train .go")
	p.wait(`+document.querySelector('#train .stat b').textContent.replace(/,/g, '') > 2000`)
	p.do(chromedp.Sleep(10 * time.Second)) // for the other engines to start, and for all of them to settle
	shot("train")
	p.click("#train .go")
	p.wait(`!gpuplay.client.current`)
	note("train", text("#train .say2"))

	p.show("why")
	p.click("#why-go")
	p.wait(`document.querySelector('#why').dataset.mode === 'live'`)
	p.do(chromedp.Sleep(40 * time.Second)) // not for all sizes, which takes minutes
	p.click("#why-go")
	p.wait(`document.querySelector('#why').dataset.mode === 'done'`)
	shot("why")
	note("why", text("#why")[0])
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// countLate counts the frames of a live race, and those that took longer than two.
const countLate = `window.__late = [0, 0]; { let last = 0; const f = t => { if (last && ` + mode + ` === 'live') { __late[1]++; if (t - last > 34) __late[0]++; } last = t; requestAnimationFrame(f); }; requestAnimationFrame(f); }`
