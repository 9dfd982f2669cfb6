// Keep makes references of records of races:
//
//	go run ./internal/reference/keep FOLDER FILE...
//
// FILE is what gpuplay race --output FILE.json wrote; FOLDER gets one file for each.
// Nothing is written unless all of them can be kept.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/reference"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: keep FOLDER FILE...")
		os.Exit(2)
	}
	if err := keep(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "keep:", err)
		os.Exit(1)
	}
}

func keep(folder string, files []string) error {
	kept := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		r, err := record.Parse(text)
		if err == nil {
			r, err = reference.Keep(r)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if text, err = json.MarshalIndent(r, "", " "); err != nil {
			return err
		}
		kept[filepath.Join(folder, reference.FileName(r))] = append(text, '\n')
	}
	for name, text := range kept {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
		fmt.Println(name)
	}
	return nil
}
