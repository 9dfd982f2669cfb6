// Package e2e tests the page in a real Chromium. What is measured is scripted, so that a test
// knows what the page has to show; server, page, stream and browser are the real ones.
package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/web"
)

const token = "a-token-of-the-end-to-end-tests"

// site is a server of the page whose measurements are scripted.
type site struct {
	address string // of the page, with its token
	host    string

	mu     sync.Mutex
	scene  scene
	emits  int // sample events of the latest race
	fly    int // products in them
	record *record.Run
	cut    func()      // ends all connections
	again  func()      // ends the server and starts another one at the same address
	frozen *sync.Mutex // while it is locked, nothing is sent

	refuses atomic.Bool  // to open streams
	refused atomic.Int64 // that it did not open
	gone    atomic.Bool  // closes every new connection
}

// A scene is what a scripted race finds.
type scene struct {
	lanes  []*bench.Result // templates: their device, speed and what was found of them
	rounds int
	pause  <-chan struct{} // holds the race after half of its rounds; nil: it goes on
	paused chan<- struct{}
	fast   bool // samples of one product each, a thousand a second in all
}

const (
	cpuSpeed = 1.54e12
	gpuSpeed = 50.4e12
)

func lane(engine string, d hardware.Device, speed float64, change ...func(*bench.Result)) *bench.Result {
	return recordtest.Result(d, speed, append([]func(*bench.Result){recordtest.Engine(engine)}, change...)...)
}

func withGPU(rounds int) scene {
	return scene{rounds: rounds, lanes: []*bench.Result{
		lane("torch", recordtest.TorchCPU, cpuSpeed),
		lane("torch", recordtest.TorchGPU, gpuSpeed, recordtest.On(0, 0)),
	}}
}

func manyLanes(rounds int) scene {
	s := withGPU(rounds)
	s.lanes = append(s.lanes, lane("gocpu", recordtest.BuiltIn, 1.47e12), lane("blas", recordtest.OpenBLAS, 1.21e12), lane("jax", recordtest.JAX, 46.1e12, recordtest.On(0, 0)))
	return s
}

func noGPU(rounds int) scene {
	return scene{rounds: rounds, lanes: []*bench.Result{lane("torch", recordtest.TorchCPU, cpuSpeed), lane("gocpu", recordtest.BuiltIn, 1.47e12)}}
}

func software(rounds int) scene {
	return scene{rounds: rounds, lanes: []*bench.Result{lane("torch", recordtest.TorchCPU, cpuSpeed), lane("vulkan", recordtest.Software, .5e12, recordtest.Warned(measure.SoftwareGPU, "a CPU does the work behind this GPU interface"))}}
}

func wrong(rounds int) scene {
	s := withGPU(rounds)
	s.lanes[1].Check.Passed = false
	s.lanes[1].Warnings.Add(measure.Arithmetic, "computed as tf32, not float32: error 2.9e-04 where at most 3.1e-05 is expected")
	return s
}

func otherType(rounds int) scene {
	s := withGPU(rounds)
	s.lanes[1].GEMM = bench.Square(4096, matrix.BFloat16)
	return s
}

// race plays a scene: lanes in turns, on the stream's own clock.
func (w *site) race(ctx context.Context, s *event.Stream) (*record.Run, error) {
	w.mu.Lock()
	sc := w.scene
	w.mu.Unlock()
	s.Emit("", event.Begin{Schema: event.Schema, Kind: "race"})
	r := recordtest.Run(record.Race)
	r.ID, r.Command, r.Created = s.Run(), nil, time.Now().UTC().Truncate(time.Second)
	r.Machine, r.Cards = machine(ctx)
	if len(sc.lanes) > 0 && sc.lanes[len(sc.lanes)-1].Device.Kind == hardware.CPU {
		r.Cards = nil
		r.Missing = []record.Missing{{Engine: "torch", API: "cuda", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "PyTorch 2.15.0 is a CPU-only build"}}
	}
	s.Emit("", record.Opened{Run: r})
	stop := sensors(ctx, s, r, sc)
	var results []*bench.Result
	for _, template := range sc.lanes {
		x := *template
		x.Samples = nil
		results = append(results, &x)
		s.Emit(x.Lane, event.Lane{Name: x.Label(), Engine: x.Engine, Device: x.Device.Name, Card: x.Device.Card, Op: "FLOP"})
	}
	for _, x := range results {
		s.Emit(x.Lane, event.Phase{Phase: string(bench.Preparing)})
		prepared := *x
		s.Emit(x.Lane, bench.Prepared(prepared))
	}
	emits, products := 0, 0
	for round := range sc.rounds {
		if round == sc.rounds/2 && sc.pause != nil {
			close(sc.paused)
			<-sc.pause
		}
		for i, x := range results {
			if ctx.Err() != nil {
				break
			}
			if round == 0 {
				s.Emit(x.Lane, event.Phase{Phase: string(bench.Sampling)})
			}
			template := sc.lanes[i].Samples[round%len(sc.lanes[i].Samples)]
			one := template.Wall / time.Duration(template.Iters)
			one = time.Duration(float64(one) * (1 + .03*float64((round*7+i*3)%10-4)/5)) // no device is perfectly even
			n := max(1, int(25*time.Millisecond/one))
			if sc.fast {
				one, n = time.Millisecond*9/10, 1
			}
			start := s.Now()
			time.Sleep(one * time.Duration(n))
			sample := bench.Sample{Iters: n, Wall: one * time.Duration(n), Start: start, End: max(s.Now(), start+one*time.Duration(n))}
			x.Samples = append(x.Samples, sample)
			s.Emit(x.Lane, sample)
			emits, products = emits+1, products+n
		}
	}
	for _, x := range results {
		s.Emit(x.Lane, bench.Checked{Check: *x.Check})
		s.Emit(x.Lane, x)
	}
	stop()
	r.Results, r.Elapsed, r.Interrupted = results, s.Now(), ctx.Err() != nil
	s.Emit("", r)
	w.mu.Lock()
	w.emits, w.fly, w.record = emits, products, r
	w.mu.Unlock()
	return r, nil
}

// sensors tells readings ten times a second until stop is called, and puts them into the record.
func sensors(ctx context.Context, s *event.Stream, r *record.Run, sc scene) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	history := record.TelemetrySource{Name: "NVML"}
	zero := 0
	list := []event.Sensor{{Quantity: event.Utilization, Card: &zero}, {Quantity: event.Power, Card: &zero}}
	source := "NVML"
	if len(r.Cards) == 0 {
		list = []event.Sensor{{Quantity: event.Utilization}}
		source = "system"
	}
	for _, x := range list {
		history.Series = append(history.Series, record.TelemetrySeries{Sensor: x})
	}
	history.Name = source
	wg.Go(func() {
		power, i := 76.0, 0
		for tick := time.NewTicker(100 * time.Millisecond); ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			power += (520 - power) * .08
			values := []float64{float64(60 + i*13%35), power}[:len(list)]
			data := event.Telemetry{Source: source}
			for k, x := range list {
				data.Readings = append(data.Readings, event.Reading{Sensor: x, Value: values[k]})
				history.Series[k].Values = append(history.Series[k].Values, &values[k])
			}
			history.At = append(history.At, s.Now())
			s.Emit("", data)
		}
	})
	return func() {
		cancel()
		wg.Wait()
		if len(history.At) > 0 {
			r.Telemetry = &record.Telemetry{Sources: []record.TelemetrySource{history}}
		}
	}
}

func machine(context.Context) (host.Machine, []hardware.Card) {
	memory := uint64(126e9)
	return host.Machine{OS: "linux", Arch: "amd64", CPU: recordtest.Chip, Cores: 16, CPUs: 32, Memory: &memory},
		[]hardware.Card{{Number: 0, Name: recordtest.Card, Vendor: "NVIDIA", UUID: "GPU-00000000"}}
}

// A listener has connections that send nothing while a mutex is locked.
type listener struct {
	net.Listener
	frozen *sync.Mutex
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return conn{c, l.frozen}, err
}

type conn struct {
	net.Conn
	frozen *sync.Mutex
}

func (c conn) Write(b []byte) (int, error) {
	c.frozen.Lock()
	defer c.frozen.Unlock()
	return c.Conn.Write(b)
}

// newSite serves the page until the test ends. Activities in the place of others of their kind
// may be given.
func newSite(t *testing.T, sc scene, instead ...web.Activity) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &site{host: ln.Addr().String(), scene: sc, frozen: new(sync.Mutex)}
	kept := map[string]*record.Run{}
	activities := []web.Activity{
		{Kind: "race", Job: func([]byte) (web.Job, error) { return web.Job{Measure: w.race}, nil }},
		{Kind: "sweep", Job: func([]byte) (web.Job, error) { return web.Job{Measure: w.sweep}, nil }},
		web.Touch(lab.Deps{}), web.Train(lab.Deps{}), web.Text(lab.Deps{}), // these are real
		{Kind: "llm", Get: talkers, Job: func([]byte) (web.Job, error) { return web.Job{Measure: w.talk}, nil }},
	}
	for i, a := range activities {
		if k := slices.IndexFunc(instead, func(b web.Activity) bool { return b.Kind == a.Kind }); k >= 0 {
			activities[i] = instead[k]
		}
	}
	options := web.Options{
		Hosts: []string{w.host}, Token: token, Machine: machine, Activities: activities,
		Measure: func(ctx context.Context, m web.Measurement, watch func(event.Event)) (*record.Run, string, error) {
			s := event.NewStream(record.NewID(), nil)
			s.Subscribe(watch)
			r, err := m(ctx, s)
			s.Close()
			if r != nil {
				kept[r.ID] = r
			}
			return r, "", err
		},
		Repeating: func(r *record.Run) string { return fmt.Sprintf("gpuplay %s", r.Kind) },
	}
	var page http.Handler
	var end func()
	begin := func() *http.Server {
		ctx, cancel := context.WithCancel(t.Context())
		server := web.New(ctx, options)
		h := server.HTTP()
		w.mu.Lock()
		defer w.mu.Unlock()
		page, end = h.Handler, func() { cancel(); server.Wait() }
		return h
	}
	h := begin()
	h.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		page := page
		w.mu.Unlock()
		if r.URL.Path == "/api/v1/events" && w.refuses.Load() {
			w.refused.Add(1)
			http.Error(rw, "not now", http.StatusServiceUnavailable)
			return
		}
		page.ServeHTTP(rw, r)
	})
	var conns sync.Map
	h.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew && w.gone.Load() {
			c.Close()
		}
		if state == http.StateClosed {
			conns.Delete(c)
		} else {
			conns.Store(c, true)
		}
	}
	w.cut = func() { conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true }) }
	w.again = func() { w.cut(); end(); begin() }
	go h.Serve(listener{ln, w.frozen}) //nolint:errcheck // it ends with the test
	t.Cleanup(func() { end(); h.Close() })
	w.address = "http://" + w.host + "/#token=" + token
	return w
}
