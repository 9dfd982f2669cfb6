package monitor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
)

// longestLine bounds the bytes of a recorded event. The last one of a run has all samples.
const longestLine = 256 << 20

// Read reads a recording: events as lines of JSON, of gpuplay monitor or of a run. Types that
// it does not know are passed over. A last line that is cut off, because whoever wrote it was
// killed, is no error; a recording without any reading is one.
func Read(r io.Reader, each func(event.Event)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	readings := 0
	var cut error
	for n := 1; lines.Scan(); n++ {
		if cut != nil { // it was not the last one
			return cut
		}
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		e, known, err := parse(text)
		if err != nil {
			cut = fmt.Errorf("line %d is no event: %w", n, err)
			continue
		}
		if _, ok := e.Data.(event.Telemetry); ok {
			readings++
		}
		if known {
			each(e)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("a line is longer than %d MB", longestLine>>20)
	case err != nil:
		return err
	case readings == 0 && cut != nil:
		return cut
	case readings == 0:
		return errors.New("it has no readings of sensors")
	}
	return nil
}

// parse reads an event of a type that is known here.
func parse(text []byte) (e event.Event, known bool, err error) {
	var x struct {
		event.Event
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &x); err != nil {
		return e, false, err
	}
	e = x.Event
	if e.At < 0 || e.At > 1000*24*time.Hour {
		return e, false, fmt.Errorf("its time is %s", e.At)
	}
	switch e.Type {
	case event.TypeBegin:
		e.Data, err = decode[event.Begin](x.Data)
	case event.TypeSensors:
		e.Data, err = decode[event.Sensors](x.Data)
	case event.TypeTelemetry:
		e.Data, err = decode[event.Telemetry](x.Data)
	case event.TypeProcesses:
		e.Data, err = decode[event.ProcessList](x.Data)
	case event.TypeLane:
		e.Data, err = decode[event.Lane](x.Data)
	case event.TypePhase:
		e.Data, err = decode[event.Phase](x.Data)
	case event.TypeSample:
		e.Data, err = decode[bench.Sample](x.Data)
	case event.TypeRound:
		e.Data, err = decode[llm.Sample](x.Data)
	case event.TypeNote:
		e.Data, err = decode[event.Note](x.Data)
	case "":
		return e, false, errors.New("it has no type")
	default:
		return e, false, nil
	}
	return e, err == nil, err
}

func decode[T event.Data](text []byte) (event.Data, error) {
	var d T
	err := json.Unmarshal(text, &d)
	return d, err
}

// OfRecord tells the history in a record as the events that it was made from.
func OfRecord(r *record.Run, each func(event.Event)) error {
	if r.Telemetry == nil {
		return errors.New("the run has no readings of sensors")
	}
	each(event.Event{Type: event.TypeBegin, Data: event.Begin{Kind: string(r.Kind), Created: r.Created}})
	for _, s := range r.Telemetry.Sources {
		found := event.Sensors{Source: s.Name}
		for _, x := range s.Series {
			y := event.FoundSensor{Sensor: x.Sensor, Max: x.Max}
			for _, c := range r.Cards {
				if x.Card != nil && c.Number == *x.Card {
					y.Name = c.Name
				}
			}
			if x.Card == nil {
				y.Name = r.Machine.CPU
			}
			found.Sensors = append(found.Sensors, y)
		}
		each(event.Event{Type: event.TypeSensors, Data: found})
		for i, at := range s.At {
			told := event.Telemetry{Source: s.Name}
			for _, x := range s.Series {
				if i < len(x.Values) && x.Values[i] != nil {
					told.Readings = append(told.Readings, event.Reading{Sensor: x.Sensor, Value: *x.Values[i]})
				}
			}
			each(event.Event{At: at, Type: event.TypeTelemetry, Data: told})
		}
		if s.Problem != "" {
			each(event.Event{Type: event.TypeNote, Data: event.Note{Text: s.Name + ": " + s.Problem}})
		}
	}
	lanes(r, each)
	return nil
}

// lanes tells when the lanes of a record computed.
func lanes(r *record.Run, each func(event.Event)) {
	tell := func(lane string, at time.Duration, d event.Data) {
		each(event.Event{Lane: lane, At: at, Type: d.EventType(), Data: d})
	}
	for _, x := range r.Results {
		tell(x.Lane, 0, event.Lane{Name: x.Label()})
		for _, s := range x.Samples {
			tell(x.Lane, s.End, s)
		}
		if b := x.Block; b != nil && len(b.Samples) > 0 {
			tell(x.Lane, b.Samples[0].Start, event.Phase{Phase: string(bench.InBlock)})
			end := b.Samples[len(b.Samples)-1].End
			tell(x.Lane, end, event.Phase{Phase: string(bench.Finished)})
		}
	}
	if r.Tokens == nil {
		return
	}
	for _, x := range r.Tokens.Results {
		tell(x.Lane, 0, event.Lane{Name: x.Name})
		for _, s := range x.Samples {
			tell(x.Lane, s.End, s)
		}
	}
}
