package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/monitor"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/telemetry"
)

// monitorFlags are those of monitor.
type monitorFlags struct {
	once   bool
	json   bool
	prom   string
	record string
	replay string
	every  time.Duration
}

// leastEvery is the shortest time between two readings: NVIDIA's driver renews its own ten
// times a second at most.
const leastEvery = 100 * time.Millisecond

func newMonitor(a *app) *cobra.Command {
	var f monitorFlags
	c := &cobra.Command{
		Use:   "monitor",
		Short: "Watch the GPUs and the CPU: history, power, temperature, clocks, processes",
		Long: `monitor reads the sensors of this machine ten times a second and shows their history: how
busy each GPU and the CPU are, their memory, power, temperature and clocks, whether a
driver throttles a clock and why, and which processes use the GPUs. The last 24 hours are
kept.

Keys: q quits, space pauses, left and right move through the history, + and - zoom, up and
down choose a device, enter shows it alone. With the mouse, a click shows a device alone,
and the wheel zooms.`,
		Example: `  gpuplay monitor
  gpuplay monitor --once                    what the sensors read now
  gpuplay monitor --record night.jsonl      keep the readings, and show them again:
  gpuplay monitor --replay night.jsonl
  gpuplay monitor --record night.csv --interval 1s
  gpuplay monitor --prom 9400               for Prometheus, on 127.0.0.1:9400`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.monitor(c.Context(), f)
		},
	}
	c.Flags().BoolVar(&f.once, "once", false, "show what the sensors read now, and end")
	c.Flags().BoolVar(&f.json, "json", false, "write readings to stdout as lines of JSON: the events that docs/event.schema.json describes")
	c.Flags().StringVar(&f.prom, "prom", "", "serve the readings to Prometheus on this port of 127.0.0.1")
	c.Flags().StringVar(&f.record, "record", "", "write all readings to this file: as CSV if it ends in .csv, else as lines of JSON")
	c.Flags().StringVar(&f.replay, "replay", "", "show what was recorded in a file instead of this machine, or the history of a run: last, a tag, a file")
	c.Flags().DurationVar(&f.every, "interval", leastEvery, "time between two readings of a sensor, at least 100ms")
	return c
}

// check refuses what makes no sense.
func (f monitorFlags) check(shown bool) error {
	switch {
	case f.every < leastEvery:
		return usagef("leave it out for 100ms", "--interval %s: at least %s are needed", f.every, leastEvery)
	case f.replay != "" && f.prom != "":
		return usagef("leave one of them out", "--replay and --prom: Prometheus takes what is read now")
	case !shown && !f.once && !f.json && f.record == "" && f.prom == "":
		return usagef("--once shows the readings once, --json writes all of them, --record keeps them", "monitor needs a terminal")
	}
	return nil
}

// monitor shows the sensors of this machine, or a recording.
func (a *app) monitor(ctx context.Context, f monitorFlags) error {
	_, shown := terminal(a.stdout)
	if err := f.check(shown); err != nil {
		return err
	}
	h := monitor.NewHistory()
	readers := []func(event.Event){h.Observe}
	var ends []func() error
	if f.json {
		each, failed := encode.Events(a.stdout)
		readers, ends = append(readers, each), append(ends, failed)
	}
	if f.record != "" {
		each, end, err := recording(f.record)
		if err != nil {
			return err
		}
		readers, ends = append(readers, each), append(ends, end)
	}
	if f.prom != "" {
		end, err := a.servePrometheus(h, f.prom)
		if err != nil {
			return err
		}
		defer end()
	}
	defer a.work()()
	show := func(o monitor.Options) error { return nil }
	if shown && !f.once && !f.json {
		show = func(o monitor.Options) error {
			o.In, o.Out, o.Style, o.Env = a.stdin, fileOf(a.stdout), a.env.style(a.stdout), a.env.engines.Children
			return monitor.Show(ctx, h, o)
		}
	} else if f.replay == "" {
		show = func(monitor.Options) error { wait(ctx, f.once); return nil }
	}
	measure := a.watch
	if f.replay != "" {
		measure = a.replay
	}
	err := measure(f, readers, show)
	for _, end := range ends {
		err = errors.Join(err, end())
	}
	if err == nil && ctx.Err() != nil { // what was recorded is complete
		return &reportedError{exitInterrupted}
	}
	if err == nil && f.once && !f.json {
		_, err = io.WriteString(a.stdout, h.Once(a.env.style(a.stdout)))
	}
	return err
}

// watch reads the sensors of this machine until show returns.
func (a *app) watch(f monitorFlags, readers []func(event.Event), show func(monitor.Options) error) error {
	s := event.NewStream(record.NewID(), nil)
	for _, each := range readers {
		s.Subscribe(each)
	}
	s.Emit("", event.Begin{Schema: event.Schema, Kind: "monitor", Command: append([]string{"gpuplay"}, a.args...), Created: time.Now().UTC().Truncate(time.Millisecond)})
	cards := host.Cards()
	sampler := telemetry.Watch(s, f.every, cards, telemetry.Watched(f.every, cards)...)
	err := show(monitor.Options{Now: s.Now})
	sampler.Stop(nil)
	s.Close()
	return err
}

// replay reads a recording, or the history of a run, and plays it.
func (a *app) replay(f monitorFlags, readers []func(event.Event), show func(monitor.Options) error) error {
	each := func(e event.Event) {
		for _, r := range readers {
			r(e)
		}
	}
	if err := a.recorded(f.replay, each); err != nil {
		return err
	}
	begun := time.Now()
	return show(monitor.Options{Now: func() time.Duration { return time.Since(begun) }, Replay: true})
}

// recorded tells what was recorded in a file of events, or the history of a run.
func (a *app) recorded(name string, each func(event.Event)) error {
	file, err := os.Open(name)
	if err == nil {
		defer file.Close()
		text := bufio.NewReader(file)
		if begins, _ := text.Peek(len(streamBegins)); string(begins) == streamBegins {
			if err := monitor.Read(text, each); err != nil {
				return fmt.Errorf("--replay %s: %w", name, cause(err))
			}
			return nil
		}
	}
	r, err := a.loadRun(name)
	if err != nil {
		return err
	}
	if err := monitor.OfRecord(r, each); err != nil {
		return fmt.Errorf("--replay %s: %w", name, err)
	}
	return nil
}

// streamBegins is how a stream of events begins, unlike a record.
const streamBegins = `{"run":`

// onceTime is how long sensors are read for a single answer: rates and the use of CPUs are
// known after two readings.
const onceTime = 1100 * time.Millisecond

// wait waits for the end of ctx, or for a single answer.
func wait(ctx context.Context, once bool) {
	var enough <-chan time.Time
	if once {
		enough = time.After(onceTime)
	}
	select {
	case <-ctx.Done():
	case <-enough:
	}
}

// recording returns what writes events to a file, in the format of its ending.
func recording(name string) (each func(event.Event), end func() error, err error) {
	to, err := newDestination("record", name)
	if err != nil {
		return nil, nil, err
	}
	if to == nil {
		return nil, nil, usagef("--json writes to stdout", "--record %s: a file is needed", name)
	}
	file, err := to.stream()
	if err != nil {
		return nil, nil, err
	}
	format := encode.Events
	if strings.EqualFold(filepath.Ext(name), ".csv") {
		format = monitor.CSV
	}
	each, failed := format(file)
	return each, func() error {
		if err := errors.Join(failed(), to.close()); err != nil {
			return fmt.Errorf("--record %s: %w", name, cause(err))
		}
		return nil
	}, nil
}

// servePrometheus serves a history to Prometheus on a port of this machine alone.
func (a *app) servePrometheus(h *monitor.History, port string) (end func(), err error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, usagef("name a port that is free, such as 9400, or 0 for any", "--prom %s: %v", port, cause(err))
	}
	server := &http.Server{Handler: h, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	go server.Serve(listener)
	say(a.stderr, "http://%s/metrics\n", listener.Addr())
	return func() { server.Close() }, nil
}

// addWatch defines the flag that shows the history of the sensors beside what is measured.
func (f *outputFlags) addWatch(fl *pflag.FlagSet) {
	fl.BoolVar(&f.watch, "watch", false, "show the history of the sensors while it runs, and below the table")
}

// historyLines is how many lines a history below a table has at most.
const historyLines = 30

// writeHistory writes the history of what was measured.
func (a *app) writeHistory(w io.Writer) error {
	s := a.env.style(w)
	s.Lines = historyLines
	for _, l := range append([]string{""}, a.history.Watch(s, a.history.Now())...) {
		if _, err := io.WriteString(w, l+"\n"); err != nil {
			return err
		}
	}
	return nil
}
