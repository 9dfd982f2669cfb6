package card

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// A card is painted as the picture that is kept, but for rounding, which processors do
// in their own ways.
func TestPNG(t *testing.T) {
	var b bytes.Buffer
	if err := drawn(t, recordtest.Examples()["gpu"], Themes[0], command).PNG(&b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "gpu.light.png")
	if golden.Updating() {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, got := decoded(t, kept), decoded(t, b.Bytes())
	if got.Bounds() != want.Bounds() {
		t.Fatalf("the picture is %v", got.Bounds())
	}
	if largest, mean := difference(got, want); largest > 48 || mean > 0.02 {
		t.Errorf("pixels differ by up to %d, by %.4f on average (rewrite the file with -update)", largest, mean)
	}
}

func decoded(t *testing.T, text []byte) *image.RGBA {
	t.Helper()
	in, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out := image.NewRGBA(in.Bounds())
	draw.Draw(out, out.Bounds(), in, in.Bounds().Min, draw.Src)
	return out
}

// difference returns the largest difference of two pictures in any channel, and the mean.
func difference(a, b *image.RGBA) (largest int, mean float64) {
	sum := 0
	for i, v := range a.Pix {
		d := max(int(v)-int(b.Pix[i]), int(b.Pix[i])-int(v))
		largest, sum = max(largest, d), sum+d
	}
	return largest, float64(sum) / float64(len(a.Pix))
}

func BenchmarkPNG(b *testing.B) {
	r := recordtest.Examples()["gpu"]
	for b.Loop() {
		d, _ := New(r, Themes[0], command)
		if err := d.PNG(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
