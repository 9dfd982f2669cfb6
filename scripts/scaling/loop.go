package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// beside are the runs that were made on the same machine just before loop.py.
var beside = []string{"float32-2048", "bfloat16-2048"}

// large is the size in bytes from which the table has rows. Smaller operations take little
// longer than the smallest, so that their bus bandwidth says little of the link.
const large = 16 << 20

// comparison returns the bus bandwidths of runs beside those of loop.py, as Markdown.
func comparison(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, folder, "loop.jsonl"))
	if err != nil {
		return nil, err
	}
	var curves []map[scaling.Op]scaling.Curve
	var b bytes.Buffer
	b.WriteString("| operation | buffer | PyTorch's loop |")
	for _, name := range beside {
		r, err := read(filepath.Join(root, folder, name+".json"))
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(r.Scaling.Worlds, func(w record.World) bool { return w.Ranks == 2 && len(w.Collectives) > 0 })
		if i < 0 {
			return nil, fmt.Errorf("%s has no messages between 2 ranks", name)
		}
		curves = append(curves, judge.Curves(&r.Scaling.Worlds[i]))
		fmt.Fprintf(&b, " %s | off |", strings.TrimSuffix(name, "-2048"))
	}
	b.WriteString("\n|---|--:|--:|" + strings.Repeat("--:|--:|", len(beside)) + "\n")
	var most, mostSmall float64
	lines := json.NewDecoder(bytes.NewReader(text))
	for {
		var loop struct {
			Op      scaling.Op
			Bytes   float64
			Seconds float64
		}
		if err := lines.Decode(&loop); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		row := fmt.Sprintf("| %s | %s | %s |", strings.ReplaceAll(string(loop.Op), "_", "-"), unit.Bytes(loop.Bytes), bandwidth(loop.Op, loop.Bytes, loop.Seconds))
		for _, c := range curves {
			seconds := c[loop.Op].Seconds(loop.Bytes)
			off := loop.Seconds/seconds - 1
			row += fmt.Sprintf(" %s | %+.1f %% |", bandwidth(loop.Op, loop.Bytes, seconds), 100*off)
			if loop.Bytes < large {
				mostSmall = max(mostSmall, math.Abs(off))
			} else {
				most = max(most, math.Abs(off))
			}
		}
		if loop.Bytes >= large {
			b.WriteString(row + "\n")
		}
	}
	fmt.Fprintf(&b, "\nFrom %s on, the bus bandwidths differ by %.1f %% at most; of smaller buffers, whose time is mostly that of starting, by up to %.0f %%.\n",
		unit.Bytes(large), 100*most, 100*mostSmall)
	return b.Bytes(), nil
}

// bandwidth returns the bus bandwidth of an operation between two ranks.
func bandwidth(op scaling.Op, n, seconds float64) string {
	return unit.Digits3(n*op.Share(2)/seconds/1e9) + " GB/s"
}
