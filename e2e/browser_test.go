package e2e

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// chromium returns where a Chromium is. Without one, tests are skipped, or fail where
// GPUPLAY_REQUIRE names it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "google-chrome", "chromium-browser"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "chromium", "no Chromium")
	return ""
}

// missing skips a test for want of something, or fails it.
func missing(t *testing.T, what, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("GPUPLAY_REQUIRE"), ","), what) {
		t.Fatal(why)
	}
	t.Skip(why)
}

// tab is an open page.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// start starts the one Chromium of all tests; each has a tab of its own.
var start = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.NoSandbox, chromedp.Flag("enable-unsafe-webgpu", true))
	if *withCard {
		options = append(options, chromedp.Flag("disable-gpu", false), chromedp.Flag("enable-features", "Vulkan"), chromedp.Flag("use-angle", "vulkan"), chromedp.Flag("disable-vulkan-surface", true))
	} else {
		options = append(options, chromedp.Flag("use-webgpu-adapter", "swiftshader"), chromedp.Flag("enable-unsafe-swiftshader", true))
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	ends = append(ends, end)
	ctx, end = chromedp.NewContext(ctx)
	ends = append(ends, end)
	return ctx, chromedp.Do(ctx)
})

var (
	found string // the path of Chromium
	ends  []func()
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range slices.Backward(ends) {
		end()
	}
	os.Exit(code)
}

// patience is how long a test waits for one thing.
func patience() time.Duration {
	if *live != "" {
		return 4 * time.Minute // for a race of all engines of a machine
	}
	return time.Minute
}

// watch counts what a page must never do, from before its first script on.
const watch = `window.__wrong = []; addEventListener('securitypolicyviolation', e => __wrong.push('policy: ' + e.violatedDirective + ' ' + e.blockedURI));
addEventListener('error', e => __wrong.push('error: ' + (e.message ?? e.target?.src))); addEventListener('unhandledrejection', e => __wrong.push('rejected: ' + (e.reason?.stack ?? e.reason)));`

// open opens the page of a site at a size, and waits until it is ready.
func open(t *testing.T, w *site, width, height int, more ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	found = chromium(t)
	ctx, err := start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*patience())
	t.Cleanup(cancel)
	p := &tab{t, ctx}
	p.do(chromedp.EmulateViewport(int64(width), int64(height)))
	p.do(more...)
	p.do(addScript(watch+noTour), chromedp.Navigate(w.address))
	p.wait(`document.documentElement?.dataset.ready === 'true'`)
	return p
}

// do runs actions, or fails the test.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if len(actions) == 0 {
		return
	}
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for an expression to be true.
func (p *tab) wait(expression string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience()))); err != nil {
		p.t.Fatalf("%s: %v; the page says %q and %v", expression, err, eval[string](p, `document.querySelector('.say .big')?.textContent ?? document.body.textContent.slice(0, 300)`), p.wrong())
	}
}

// eval returns the value of an expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wrong returns what the page did that it must not.
func (p *tab) wrong() []string { return eval[[]string](p, `window.__wrong`) }

// call calls a method of the protocol that has no action.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// emulate has media features answered as asked.
func emulate(features ...*emulation.MediaFeature) chromedp.Action[chromedp.Void] {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
}

func addScript(source string) chromedp.Action[chromedp.Void] {
	return call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
}

// noTour has the page open as it does for whoever has seen the tour.
const noTour = `localStorage.setItem('gpuplay.tour', 'yes');`

func clearCookies() chromedp.Action[chromedp.Void] {
	return call(network.ClearBrowserCookies, cdp.Empty{})
}
