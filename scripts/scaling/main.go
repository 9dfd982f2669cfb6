// Scaling fills in the tables of docs/SCALING-RUN.md, and draws docs/scaling.svg, from the runs
// in docs/scaling, and of PyTorch's own loop of messages there. With arguments it keeps runs there first, without the readings of
// sensors, which are most of them, and without what tells one machine from another:
//
//	go run ./scripts/scaling [NAME=FILE.json...]
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/record"
)

const (
	folder   = "docs/scaling"
	document = "docs/SCALING-RUN.md"
	picture  = "docs/scaling.svg"
	drawn    = "float32-small" // the run that the picture is of
)

func main() {
	log.SetFlags(0)
	for _, arg := range os.Args[1:] {
		name, file, ok := strings.Cut(arg, "=")
		if !ok {
			log.Fatalf("%s is not NAME=FILE.json", arg)
		}
		if err := keep(name, file); err != nil {
			log.Fatal(err)
		}
	}
	text, svg, err := write(".")
	if err == nil {
		err = os.WriteFile(document, text, 0o644)
	}
	if err == nil {
		err = os.WriteFile(picture, svg, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// keep copies a run.
func keep(name, file string) error {
	r, err := read(file)
	if err != nil {
		return err
	}
	r.Telemetry, r.Cards, r.Machine.ID, r.Machine.Kernel = nil, nil, "", ""
	if i := slices.Index(r.Command, "--output"); i >= 0 && i+1 < len(r.Command) {
		r.Command = slices.Delete(r.Command, i, i+2)
	}
	var b bytes.Buffer
	if err := record.Write(&b, r); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name+".json"), b.Bytes(), 0o644)
}

func read(file string) (*record.Run, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := record.Parse(text)
	if err == nil && r.Scaling == nil {
		err = errors.New("it is no run of gpuplay scale run")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// table is where the tables of a run are in the document.
var table = regexp.MustCompile(`(?s)<!-- ([\w-]+) -->\n.*?<!-- end -->`)

// write returns the document below root with its tables, and the picture.
func write(root string) (text, svg []byte, err error) {
	old, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		return nil, nil, err
	}
	text = table.ReplaceAllFunc(old, func(match []byte) []byte {
		name := string(table.FindSubmatch(match)[1])
		var b bytes.Buffer
		fmt.Fprintf(&b, "<!-- %s -->\n", name)
		if name == "loop" {
			rows, failed := comparison(root)
			b.Write(rows)
			err = errors.Join(err, failed)
		} else {
			r, failed := read(filepath.Join(root, folder, name+".json"))
			if failed == nil {
				failed = encode.Write(&b, r, "md", nil)
			}
			err = errors.Join(err, failed)
		}
		return append(bytes.TrimRight(b.Bytes(), "\n"), "\n<!-- end -->"...)
	})
	r, failed := read(filepath.Join(root, folder, drawn+".json"))
	var b bytes.Buffer
	if failed == nil {
		failed = encode.Write(&b, r, "svg", nil)
	}
	return text, b.Bytes(), errors.Join(err, failed)
}
