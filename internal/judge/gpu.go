package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Sheet is what is known of one physical GPU: first of the card, then as each engine
// reaches it.
type Sheet struct {
	Title string // its name and number
	Parts []SheetPart
}

// A SheetPart has names with values.
type SheetPart struct {
	Title string // empty: the card itself
	Facts [][2]string
}

// Sheets returns the GPUs of a run, each once, and last the cards that no engine reached,
// with the engines' reasons, which also stand there where all GPUs are software.
func Sheets(r *record.Run) []Sheet {
	var sheets []Sheet
	of := map[int]int{} // a card's sheet
	for i := range r.GPUs {
		g := &r.GPUs[i]
		if g.Device.Card != nil {
			if at, known := of[*g.Device.Card]; known {
				sheets[at].Parts = append(sheets[at].Parts, reached(r, g))
				continue
			}
			of[*g.Device.Card] = len(sheets)
		}
		title := g.Device.Name
		if g.Device.Card != nil {
			title += fmt.Sprintf(", GPU %d", *g.Device.Card)
		}
		if g.Device.Kind == hardware.SoftwareGPU {
			title += " (software: a CPU does the work)"
		}
		sheets = append(sheets, Sheet{title, []SheetPart{{Facts: cardFacts(g)}, reached(r, g)}})
	}
	if len(sheets) == 0 { // the run's error says why
		return nil
	}
	var without [][2]string
	for _, c := range r.Cards {
		if _, known := of[c.Number]; !known {
			without = append(without, [2]string{fmt.Sprintf("GPU %d", c.Number), c.Name})
		}
	}
	if len(without) == 0 && ReachesGPU(r) {
		return sheets
	}
	for _, m := range r.Missing {
		without = append(without, [2]string{m.Engine, m.Reason})
	}
	return append(sheets, Sheet{"Not reached", []SheetPart{{Facts: without}}})
}

// ReachesGPU reports whether an engine reached a GPU that is no software.
func ReachesGPU(r *record.Run) bool {
	return slices.ContainsFunc(r.GPUs, func(g record.GPU) bool { return g.Device.Kind == hardware.GPU })
}

// cardFacts are those that do not depend on the engine.
func cardFacts(g *record.GPU) [][2]string {
	memory := "unknown"
	if g.Device.Memory != nil {
		memory = unit.Bytes(float64(*g.Device.Memory))
	}
	facts := [][2]string{{"memory", memory}}
	if len(g.Published) == 0 {
		facts = append(facts, [2]string{"published peaks", "unknown"})
	}
	for _, p := range g.Published {
		facts = append(facts, [2]string{"published " + string(p.DType), bench.Square(1, p.DType).Rate(p.Ops) + " (" + p.Source + ")"})
	}
	return append(facts, fastestFacts(g)...)
}

// reached are the facts of a GPU of a run through an engine.
func reached(r *record.Run, g *record.GPU) SheetPart {
	part := SheetPart{Title: g.Engine}
	add := func(name, value string) {
		if value != "" {
			part.Facts = append(part.Facts, [2]string{name, value})
		}
	}
	versions := g.Device.Versions
	for _, api := range [][2]string{{"cuda", "CUDA"}, {"vulkan", "Vulkan"}} {
		add(api[1], versions[api[0]])
	}
	driver := versions["driver"]
	if driver == "" {
		driver = "version unknown"
	}
	add("driver", driver)
	add("compute capability", versions["compute capability"])
	if g.Processors > 0 {
		add("multiprocessors", fmt.Sprint(g.Processors))
	}
	if g.Clock > 0 {
		add("highest clock", unit.Digits3(g.Clock/1e9)+" GHz")
	}
	if g.MemoryClock > 0 {
		add("memory clock", unit.Digits3(g.MemoryClock/1e9)+" GHz")
	}
	if g.MemoryBus > 0 {
		add("memory bus", fmt.Sprintf("%d bits", g.MemoryBus))
	}
	if g.Cache > 0 {
		add("L2 cache", unit.Bytes(float64(g.Cache)))
	}
	var has, lacks []string
	for _, f := range g.Features {
		if f.Found {
			has = append(has, f.Name)
		} else {
			lacks = append(lacks, f.Name)
		}
	}
	add("has", strings.Join(has, ", "))
	add("lacks", strings.Join(lacks, ", "))
	for _, c := range g.Copies {
		name := "copy " + string(c.Route)
		if c.Memory != "" {
			name = string(c.Route) + ", " + c.Memory
		}
		if c.Route == hardware.ToPeer {
			name = "copy " + toPeer(r, c)
		}
		if speed, ok := CopySpeed(c); ok {
			text := unit.Digits3(speed/1e9) + " GB/s"
			if c.Route == hardware.OnDevice {
				text += " copied, " + unit.Digits3(2*speed/1e9) + " GB/s read and written"
			}
			switch {
			case c.Direct:
				text += ", directly"
			case c.Route == hardware.ToPeer:
				text += ", through the host's memory"
			}
			add(name, text)
		}
	}
	add("launch and wait", launchTime(g.Launch, ""))
	add("launches in a row", launchTime(g.Launches, " each"))
	add("what is launched", strings.Join(g.Notes, "; "))
	if g.Error != nil {
		add("not measured", g.Error.Message)
	}
	return part
}

// toPeer names the other GPU of a copy by its number: "to GPU 1".
func toPeer(r *record.Run, c hardware.Copy) string {
	for _, g := range r.GPUs {
		if g.Device.ID == c.Peer && g.Device.Card != nil {
			return fmt.Sprintf("to GPU %d", *g.Device.Card)
		}
	}
	return string(c.Route)
}

// CopySpeed returns the median speed of a copy in bytes copied per second; ok is false where
// there is none.
func CopySpeed(c hardware.Copy) (speed float64, ok bool) {
	if len(c.Seconds) == 0 {
		return 0, false
	}
	speed = float64(c.Bytes) / stats.Median(c.Seconds)
	return speed, finite(speed)
}

// launchTime is the median of a series of seconds; empty where there is none.
func launchTime(seconds []float64, each string) string {
	if len(seconds) == 0 {
		return ""
	}
	median := stats.Median(seconds)
	if !finite(median) || median > time.Hour.Seconds() {
		return ""
	}
	return unit.Seconds(time.Duration(median*float64(time.Second))) + each
}

// gpuSentences say how fast the fastest products are, and what a copy over the bus costs next to one on the device.
func gpuSentences(r *record.Run) []string {
	out := fastestSentences(r)
	for i := range r.GPUs {
		g := &r.GPUs[i]
		speed := func(route hardware.Route, memory string) (float64, bool) {
			at := slices.IndexFunc(g.Copies, func(c hardware.Copy) bool { return c.Route == route && c.Memory == memory })
			if at < 0 {
				return 0, false
			}
			return CopySpeed(g.Copies[at])
		}
		device, ok := speed(hardware.OnDevice, "")
		pinned, known := speed(hardware.HostToDevice, "pinned")
		const clearly = 1.5
		if ok && known && pinned > 0 && finite(device/pinned) && device/pinned >= clearly && g.Device.Kind == hardware.GPU {
			out = append(out, fmt.Sprintf("%s copies %s times as fast within its memory as into it from the host: what stays on the GPU need not wait for the bus.",
				g.Device.Name, unit.Times(device/pinned)))
			break
		}
	}
	if r.Interrupted {
		out = append(out, interrupted)
	}
	return out
}

// gpuHeadline is that of the first GPU whose copies were timed.
func gpuHeadline(r *record.Run) Headline {
	h := Headline{Subject: "what this GPU is, and what reaching it takes"}
	for _, g := range r.GPUs {
		if best := bestOf(&g); best != nil {
			speed, _ := best.Speed()
			e := Entry{Kind: g.Device.Kind, Name: g.Device.Name, By: fastestName(best.GEMM) + ", " + best.Engine, Speed: best.GEMM.Rate(speed.Value), Value: speed.Value, Verified: true}
			h.Figure, h.Unit, _ = strings.Cut(e.Speed, " ")
			h.Claim, h.Winner, h.Proof, h.Trust = "in the fastest product found", g.Device.Kind, "every product checked", Proven
			h.Entries = []Entry{e}
			return h
		}
	}
	for _, g := range r.GPUs {
		for _, c := range g.Copies {
			speed, ok := CopySpeed(c)
			if !ok {
				continue
			}
			e := Entry{Kind: g.Device.Kind, Name: g.Device.Name, By: strings.TrimSpace("copy " + string(c.Route) + " " + c.Memory), Speed: unit.Digits3(speed/1e9) + " GB/s", Value: speed, Verified: true}
			if h.Figure == "" && c.Route == hardware.OnDevice {
				h.Figure, h.Unit, _ = strings.Cut(e.Speed, " ")
				h.Claim, h.Winner = "copied "+string(c.Route), g.Device.Kind
			}
			h.Entries = append(h.Entries, e)
		}
		if h.Figure != "" {
			h.Proof, h.Trust = "every copy compared", Proven
			break
		}
	}
	return h
}

// gpuSummary is the task and the figure of a run in a list of runs.
func gpuSummary(r *record.Run) (task, figure string) {
	g := &r.GPUs[0]
	for _, c := range g.Copies {
		if speed, ok := CopySpeed(c); ok && c.Route == hardware.OnDevice {
			figure = unit.Digits3(speed/1e9) + " GB/s copied"
		}
	}
	if best := bestOf(g); best != nil {
		speed, _ := best.Speed()
		figure = best.GEMM.Rate(speed.Value) + " in " + fastestName(best.GEMM)
	}
	return g.Device.Name, figure
}
