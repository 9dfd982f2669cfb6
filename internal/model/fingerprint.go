package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A Tensor is a tensor of weights in a safetensors file.
type Tensor struct {
	DType string // as safetensors writes it: "BF16"
	Shape []int64
}

// Tensors returns the tensors in a safetensors file, by their names.
func Tensors(file string) (map[string]Tensor, error) {
	found, _, _, err := readSafetensors(file)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Tensor, len(found))
	for name, t := range found {
		all[name] = Tensor{t.DType, t.Shape}
	}
	return all, nil
}

// Weights returns the tensors of the model in a folder that the frameworks load, by their
// names.
func Weights(folder string) (map[string]Tensor, error) {
	files, _, err := weightFiles(folder)
	if err != nil {
		return nil, err
	}
	all := map[string]Tensor{}
	for _, file := range files {
		found, err := Tensors(file)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	return all, nil
}

// How much of a tensor a fingerprint covers: all of it up to that many bytes, else pieces
// of equal size, evenly spaced, that make that many. A training changes all of a tensor.
const (
	fingerprintBytes  = 1 << 20
	fingerprintPieces = 16
)

// Fingerprint returns a hash by which the weights in a model's folder are known again,
// wherever they lie and in how many files: SHA-256 over every tensor's name, type and
// shape and of its content, of which 1 MiB at most is read.
func Fingerprint(folder string) (string, error) {
	files, _, err := weightFiles(folder)
	if err != nil {
		return "", err
	}
	type place struct {
		tensor
		file  string
		start int64 // of the data in the file
	}
	places := map[string]place{}
	for _, path := range files {
		found, start, _, err := readSafetensors(path)
		if err != nil {
			return "", err
		}
		for name, t := range found {
			places[name] = place{t, path, start}
		}
	}
	open := map[string]*os.File{}
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(places)) {
		p := places[name]
		f := open[p.file]
		if f == nil {
			if f, err = os.Open(p.file); err != nil {
				return "", err
			}
			open[p.file] = f
		}
		fmt.Fprintf(sum, "%q %q %d\n", name, p.DType, p.Shape)
		size := p.Offsets[1] - p.Offsets[0]
		binary.Write(sum, binary.LittleEndian, size)
		pieces, piece := int64(1), size
		if size > fingerprintBytes {
			pieces, piece = fingerprintPieces, fingerprintBytes/fingerprintPieces
		}
		for i := range pieces {
			at := p.start + p.Offsets[0]
			if i > 0 {
				at += (size - piece) * i / (pieces - 1)
			}
			if _, err := io.Copy(sum, io.NewSectionReader(f, at, piece)); err != nil {
				return "", fmt.Errorf("%s: %w", filepath.Base(p.file), err)
			}
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}
