package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/lab/playground"
	"github.com/gpuplay/gpuplay/internal/network"
)

// webgpu skips the test, or fails it, if this Chromium has no WebGPU.
func (p *tab) webgpu() {
	p.t.Helper()
	if !eval[bool](p, `Boolean(navigator.gpu) && navigator.gpu.requestAdapter().then(Boolean)`) {
		missing(p.t, "webgpu", "this Chromium has no WebGPU adapter")
	}
}

// little returns numbers as little-endian bytes, which JSON writes in base64.
func little[T any](x []T) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, x); err != nil {
		panic(err) // into a buffer
	}
	return b.Bytes()
}

func singles[T network.Real](x []T) []float32 {
	s := make([]float32, len(x))
	for i, v := range x {
		s[i] = float32(v)
	}
	return s
}

// The WGSL of chapter Train makes the steps of the engine: with each optimizer, activation and
// loss, in the workgroup's memory and in the device's.
func TestTrainingInWGSL(t *testing.T) {
	pool, err := gemm.NewPool(gemm.ISAs()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	p.webgpu()
	const steps = 20
	for _, tt := range []struct {
		set        string
		hidden     []int
		activation network.Activation
		rule       network.Rule
		batch      int
		shared     bool
	}{
		{"moons", []int{8, 8}, network.Tanh, network.SGD, 32, true},
		{"hills", []int{8, 5}, network.ReLU, network.Momentum, 7, false},
		{"spiral", []int{3}, network.Sigmoid, network.Nesterov, 300, true},
		{"plane", []int{}, network.Identity, network.RMSProp, 8, true},
		{"moons", []int{8, 8}, network.Tanh, network.Adam, 32, true},
		{"moons", []int{8, 3}, network.Tanh, network.Muon, 32, true},
		{"circle", []int{2, 6}, network.Sigmoid, network.Muon, 32, false},
		{network.Digits, []int{16}, network.Tanh, network.Momentum, 8, false},
	} {
		t.Run(fmt.Sprintf("%s/%s", tt.set, tt.rule), func(t *testing.T) {
			d := network.ReadDigits()
			if tt.set != network.Digits {
				if d, err = network.Make(tt.set, 240, 3); err != nil {
					t.Fatal(err)
				}
			}
			s := network.Settings{Hidden: tt.hidden, Activation: tt.activation, Optimizer: tt.rule, Rate: 0.01, Batch: tt.batch, Seed: 1}
			trainer, err := network.NewTrainer[float32](pool, d, s)
			if err != nil {
				t.Fatal(err)
			}
			weights, rows := little(trainer.Network.Weights), []uint16{}
			for range steps {
				some := trainer.Rows()
				for _, row := range some {
					rows = append(rows, uint16(row))
				}
				if _, err := trainer.StepOn(t.Context(), some); err != nil {
					t.Fatal(err)
				}
			}
			kind, _ := d.Loss()
			batch := len(rows) / steps
			in, err := json.Marshal(map[string]any{
				"started": map[string]any{"shape": s.Shape(d), "loss": kind},
				"join": playground.Join{
					Batch: batch, X: little(singles(d.X[:d.Rows()*d.Inputs])), Y: little(singles(d.Y[:d.Rows()])), Weights: weights,
					Shaders: []network.Shader{network.NewShader(s.Shape(d), kind, tt.rule, batch, tt.shared)},
				},
				"turn": playground.Turn{Rows: little(rows), Rate: s.Rate},
			})
			if err != nil {
				t.Fatal(err)
			}
			p.t = t
			got := eval[struct {
				Worst, Busy, Loss float64
				Weights           []float64
			}](p, `(async () => {
				const { GPUNetwork } = await import('/train-gpu.js'), o = `+string(in)+`, n = await GPUNetwork.open(o.started, o.join);
				const now = await n.turn(o.turn);
				n.gpu.close();
				return { worst: n.check.worst, busy: now.busy_ns, loss: now.loss, weights: [...n.net.weights] };
			})()`)
			worst := 0.0
			for i, w := range trainer.Network.Weights {
				worst = max(worst, math.Abs(got.Weights[i]-float64(w)))
			}
			score, err := trainer.Evaluate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("gradient %.1e, weights %.1e, %.1f ms, loss %.6f", got.Worst, worst, got.Busy/1e6, got.Loss)
			if !(got.Worst > 0 && got.Worst < 1e-5) || !(worst < 1e-5) || got.Busy <= 0 || math.Abs(got.Loss-score.Loss) > 1e-5 {
				t.Errorf("gradients off by %g, weights after %d steps by %g; losses of %g and %g", got.Worst, steps, worst, got.Loss, score.Loss)
			}
		})
	}
}

// A page that takes part makes all steps of the server, in its turns, and comes to the server's
// weights; one whose gradients are wrong leaves, and the training goes on.
func TestTurnsOfThisBrowser(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	p.webgpu()
	p.do(chromedp.Evaluate[chromedp.Void](`(async () => {
		const { BrowserLane } = await import('/train-gpu.js'), { floats } = await import('/mlp.js'), { client } = gpuplay;
		let own, turns, spoil, ended;
		const lane = new BrowserLane(client, () => {});
		client.on('train', e => {
			if (e.type === 'network') turns = 0;
			if (e.type === 'turn') turns++;
			if (e.type === 'join' && spoil) for (const s of e.data.shaders) s.code = s.code.replace('1.0 - y * y', '1.0 - y');
			if (['network', 'join', 'turn', 'left'].includes(e.type)) lane.take(e);
			if (e.type === 'learned') own = e.data;
			if (e.type === 'end') ended(e.data.error?.message ?? '');
		});
		window.__train = async (settings, wrong) => {
			spoil = wrong;
			const over = new Promise(f => { ended = f; });
			await client.start('train', { activation: 'tanh', rate: .01, batch: 32, seed: 1, browser: true, ...settings });
			const error = await over, w = floats(own.weights);
			return { error, turns, why: lane.why, steps: lane.now?.steps ?? 0, own: own.steps, points: lane.history.length, off: Math.max(...w.map((v, i) => Math.abs(v - (lane.network?.net.weights[i] ?? NaN)))) };
		};
	})()`))
	p.wait(`'__train' in window`)
	type result struct {
		Error, Why                string
		Turns, Steps, Own, Points int
		Off                       float64
	}
	run := func(settings string, wrong bool) result {
		t.Helper()
		r := eval[result](p, fmt.Sprintf(`__train(%s, %v).then(r => ({ ...r, off: Number.isFinite(r.off) ? r.off : -1 }))`, settings, wrong))
		t.Logf("%s: %+v", settings, r)
		return r
	}
	check := func(r result, steps int) {
		t.Helper()
		if r.Error != "" || r.Why != "" || r.Steps != steps || r.Own != steps || r.Turns < 1 || !(r.Off >= 0 && r.Off < 1e-5) {
			t.Errorf("%+v", r)
		}
	}
	check(run(`{ set: 'moons', hidden: [8, 8], optimizer: 'adam', steps: 40 }`, false), 40)
	check(run(`{ set: 'moons', hidden: [8, 8], optimizer: 'adam', steps: 20, continue: true, rate: .02 }`, false), 60)
	check(run(`{ set: 'digits', hidden: [16], optimizer: 'momentum', steps: 10 }`, false), 10)
	if r := run(`{ set: 'moons', hidden: [8, 8], optimizer: 'adam', steps: 40 }`, true); r.Error != "" || r.Why != "Its gradients are wrong." || r.Turns != 0 || r.Steps != 0 || r.Own != 40 {
		t.Errorf("%+v", r)
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// In chapter Train this browser is offered as an engine; it has a curve, rows in the table and in
// the CSV, and steps a second, but enters no ratio. A page that is hidden leaves.
func TestTrainInThisBrowser(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	p.webgpu()
	p.show("train")
	toggle := `#train [aria-label="Engines beside this program"] [data-value=browser]`
	p.wait(fmt.Sprintf(`document.querySelector('%s') && gpuplay.client.current === null`, toggle))
	p.click(toggle)
	p.wait(`location.hash.includes('train.with=browser') && gpuplay.client.current === null`)
	rows := `[...document.querySelectorAll('#train details.data tbody tr')].map(r => [...r.children].map(c => c.textContent))`
	p.click("#train .go")
	p.wait(`/by this browser through WebGPU/.test(document.querySelector('#train .say2').textContent)`)
	text := eval[string](p, `document.querySelector('#train .say2').textContent`)
	for _, want := range []string{"steps a second by this program", "by this browser through WebGPU on ", "software GPU", "enters no ratio", "this browser: gradients checked: worst "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if strings.Contains(text, "× as fast") {
		t.Errorf("there is a ratio: %q", text)
	}
	p.axe("train, this browser")
	p.do(chromedp.Evaluate[chromedp.Void](`Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })`))
	p.wait(`/no longer takes part: The page was hidden/.test(document.querySelector('#train .say2').textContent)`)
	steps := `+document.querySelector('#train .stat b').textContent.replace(/,/g, '')`
	p.wait(fmt.Sprintf("%s > %d", steps, eval[int](p, steps)+100)) // it goes on
	p.click("#train .go")
	p.wait(`gpuplay.client.current === null`)
	p.do(chromedp.Evaluate[chromedp.Void](`(() => { const d = document.querySelector('#train details.data'); d.open = true; d.dispatchEvent(new Event('toggle')); })()`))
	var own, theirs = map[string]string{}, map[string]string{}
	for _, r := range eval[[][]string](p, rows) {
		if r[0] == "this browser" {
			theirs[r[1]] = r[3]
		} else {
			own[r[1]] = r[3]
		}
	}
	if len(theirs) == 0 {
		t.Error("the table has no rows of this browser")
	}
	for steps, loss := range theirs {
		a, err1 := strconv.ParseFloat(loss, 64)
		b, err2 := strconv.ParseFloat(own[steps], 64)
		if err := errors.Join(err1, err2); err != nil || math.Abs(a-b) > 1e-3 {
			t.Errorf("after %s steps a loss of %s, the engine's is %s: %v", steps, loss, own[steps], err)
		}
	}
	saved := eval[string](p, `new Promise(resolve => { URL.createObjectURL = b => { b.text().then(resolve); return '#'; }; document.querySelector('#train .exports').lastChild.click(); })`)
	if !strings.Contains(saved, "\nbrowser,") {
		t.Errorf("the CSV has no rows of the browser: %.200s", saved)
	}
	if wrong := p.wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// A page that is asked to go on with steps that another page has made leaves, and says why.
func TestTurnOfAnotherPage(t *testing.T) {
	p := open(t, newSite(t, withGPU(1)), 1440, 900)
	got := eval[string](p, `(async () => {
		const { BrowserLane } = await import('/train-gpu.js'), told = [], lane = new BrowserLane({ tell: m => told.push(m) }, () => {});
		await lane.take({ type: 'turn', data: { turn: 7, steps: 40, rows: '', rate: .1 } });
		return lane.why + JSON.stringify(told);
	})()`)
	if want := `Another page has made the first steps.[{"turn":7,"leaves":true,"took_ns":0}]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
