package e2e

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var (
	address = flag.String("address", "", "take a picture of the page of a server that runs, at this address with its token")
	picture = flag.String("picture", "", "the file for it")
	theme   = flag.String("theme", "light", "light or dark")
	chapter = flag.String("chapter", "race", "the chapter that it shows")
)

// TestPicture takes the pictures of the documentation, see .ci/pictures.
func TestPicture(t *testing.T) {
	if *address == "" {
		t.Skip("no address")
	}
	p := open(t, &site{address: *address}, wide, high)
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`gpuplay.setTheme(%q); if (%[2]q !== 'race') document.getElementById(%[2]q).scrollIntoView()`, *theme, *chapter)))
	if *chapter == "race" {
		p.do(chromedp.Evaluate[chromedp.Void](`const s = document.querySelector('select[aria-label="Stored races"]'); s.selectedIndex = 1; s.dispatchEvent(new Event('change'))`))
		p.wait(mode + ` === 'done'`)
	}
	if *chapter == "touch" {
		p.wait(`gpuplay.client.current !== null`) // it paints as soon as it is seen
	}
	p.wait(`!gpuplay.client.current && document.getAnimations().length === 0`)
	p.do(chromedp.Sleep(time.Second)) // the rest of what was told is shown
	saveShot(t, p, *picture)
}
