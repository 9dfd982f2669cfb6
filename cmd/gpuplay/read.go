package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/foreign"
	"github.com/gpuplay/gpuplay/internal/record"
)

// largestFile is how many bytes of a record are read at most. The record of an hour's
// sweep has a few million.
const largestFile = 256 << 20

// readRun reads a file that holds one run.
func readRun(name string) (*record.Run, error) {
	runs, err := readRuns(name)
	if err != nil {
		return nil, err
	}
	if len(runs) > 1 {
		return nil, fault.Errorf(fault.Invalid, "%s: holds %d runs, where one is needed", name, len(runs)).
			With(fault.Run("{} keeps each under a name of its own", "gpuplay", "results", "import", name))
	}
	return runs[0], nil
}

// readRuns reads the runs in a file: of gpuplay's own, or what another tool measured.
func readRuns(name string) ([]*record.Run, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, unread(name, err)
	}
	defer f.Close()
	when := time.Now()
	if info, err := f.Stat(); err == nil {
		when = info.ModTime()
	}
	return readFrom(f, name, when)
}

// readFrom is readRuns for what is open already. when is the time of a run that does not
// name its own.
func readFrom(in io.Reader, name string, when time.Time) ([]*record.Run, error) {
	text, err := readAll(in)
	if err != nil {
		return nil, unread(name, err)
	}
	runs, err := ownRuns(text)
	if err == nil && runs == nil {
		var r *record.Run
		r, err = foreign.Parse(text, when)
		runs = []*record.Run{r}
	}
	if err != nil {
		return nil, unread(name, err)
	}
	return runs, nil
}

// unread is the error for a file that no run can be read from.
func unread(name string, err error) error {
	ways := fault.Remedies{{Text: "{} writes a result file", Command: []string{"gpuplay", "race"}, Param: "output", Value: "race.json"}}
	if errors.Is(err, fs.ErrNotExist) {
		ways = fault.Remedies{
			fault.Run("{} lists the runs that are kept", "gpuplay", "results", "list"),
			{Text: "{} writes one into a file", Command: []string{"gpuplay", "results", "export", "last"}, Param: "output", Value: "run.json"},
		}
	}
	return fault.Errorf(fault.Invalid, "%s: %v", name, cause(err)).With(ways...)
}

func readAll(in io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, largestFile+1))
	if err == nil && len(text) > largestFile {
		err = errors.New("is larger than 256 MiB: no record is that large")
	}
	return inUTF8(text), err
}

// inUTF8 returns a text without a byte order mark, in UTF-8: Windows PowerShell redirects
// output to files in UTF-16.
func inUTF8(text []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(text, []byte{0xef, 0xbb, 0xbf}):
		return text[3:]
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	case !bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		return text
	}
	units := make([]uint16, len(text)/2-1)
	for i := range units {
		units[i] = order.Uint16(text[2*i+2:])
	}
	return []byte(string(utf16.Decode(units)))
}

// ownSchema is how a record of gpuplay's begins.
var ownSchema = regexp.MustCompile(`^\s*\{\s*"schema"\s*:\s*"gpuplay/`)

// ownRuns returns the runs in a text of gpuplay's; nil if it is none. Lines of one id are
// the parts of one run, as the formats jsonl have them; the same line twice is one.
func ownRuns(text []byte) ([]*record.Run, error) {
	var runs []*record.Run
	at, seen := map[string]int{}, map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var one json.RawMessage
		var head struct {
			Schema string `json:"schema"`
		}
		err := d.Decode(&one)
		if err == nil && (json.Unmarshal(one, &head) != nil || !strings.HasPrefix(head.Schema, "gpuplay/")) {
			err = errors.New("it is not a record of gpuplay's")
		}
		if err != nil {
			if len(runs) > 0 || ownSchema.Match(text) {
				return nil, fmt.Errorf("record %d cannot be read: %w", len(runs)+1, err)
			}
			return nil, nil
		}
		if seen[string(one)] {
			continue
		}
		seen[string(one)] = true
		r, err := record.Parse(one)
		if err != nil {
			return nil, err
		}
		if i, known := at[r.ID]; known && r.ID != "" {
			if err := runs[i].Join(r); err != nil {
				return nil, err
			}
			continue
		}
		at[r.ID] = len(runs)
		runs = append(runs, r)
	}
	return runs, nil
}
