package network

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
)

// Digits is the name of the data set of handwritten digits.
const Digits = "digits"

// digitPixels is the number of pixels of a digit: 8×8.
const digitPixels = 64

// digits are 65 bytes each, compressed: the pixels, 0 to 16, and the digit. digits/README.md
// names the source and the licence.
//
//go:embed digits/digits.gz
var digits []byte

// ReadDigits returns the handwritten digits that are part of the program: 8×8 pixels each, row
// by row, from 0, white, to 1, and ten classes. Those that are held out were written by other
// people than those to be learned.
func ReadDigits() *Data {
	z, err := gzip.NewReader(bytes.NewReader(digits))
	if err != nil {
		panic(err) // it is a part of the program
	}
	all, err := io.ReadAll(z)
	if err != nil {
		panic(err)
	}
	d := &Data{Name: Digits, Inputs: digitPixels, Classes: 10, Held: 1797}
	for ; len(all) > 0; all = all[digitPixels+1:] {
		for _, dark := range all[:digitPixels] {
			d.X = append(d.X, float64(dark)/16)
		}
		d.Y = append(d.Y, float64(all[digitPixels]))
	}
	return d
}
