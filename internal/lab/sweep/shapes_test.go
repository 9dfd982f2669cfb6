package sweep

import (
	"slices"
	"strings"
	"testing"
)

func squares(sizes ...int) []Shape {
	var s []Shape
	for _, n := range sizes {
		s = append(s, Shape{n, n, n})
	}
	return s
}

func TestParseSizes(t *testing.T) {
	for text, want := range map[string][]Shape{
		"64":             squares(64),
		"16,17,4k":       squares(16, 17, 4096),
		"64:512":         squares(64, 128, 256, 512),
		"64:600":         squares(64, 128, 256, 512),
		"96:400":         squares(96, 192, 384),
		"64:128:+32":     squares(64, 96, 128),
		"64:128:32":      squares(64, 96, 128),
		"100:400:*1.5":   squares(100, 150, 225, 338),
		"1:4:*1.01":      squares(1, 2, 3, 4),
		"64:128, 64, 65": squares(64, 128, 65),
		"1k:2k":          squares(1024, 2048),
	} {
		if got, err := ParseSizes(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"":                "not a size",
		"64:":             "not a size",
		"0":               "at least 1",
		"-3:5":            "at least 1",
		"512:64":          "smaller than the first",
		"64:128:256:512":  "first:last:step",
		"64:128:+0":       "not a step",
		"64:128:*1":       "above 1",
		"64:128:*NaN":     "above 1",
		"64:128:x":        "not a step",
		"1:1000000:+1":    "larger steps",
		"1:9000000000000": "",
	} {
		if _, err := ParseSizes(text); says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: error %v, want one that says %q", text, err, says)
		}
	}
}

func TestParseShapes(t *testing.T) {
	got, err := ParseShapes("5x4096x4096, 64×64×100000,1X1k x2")
	if err == nil || !strings.Contains(err.Error(), "not a size") {
		t.Errorf("a blank inside: %v, %v", got, err)
	}
	got, err = ParseShapes("5x4096x4096, 64×64×100000")
	if want := []Shape{{5, 4096, 4096}, {64, 64, 100000}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "5x5", "5x5x5x5", "0x1x1", "axbxc"} {
		if _, err := ParseShapes(text); err == nil {
			t.Errorf("%q is a shape", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"64:8192", "64:8192:+256", "1:9:*1.5,7", "5x4096x4096"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) ([]Shape, error){ParseSizes, ParseShapes} {
			shapes, err := parse(text)
			if err == nil && (len(shapes) == 0 || len(shapes) > most) {
				t.Errorf("%q: %d shapes", text, len(shapes))
			}
			for _, s := range shapes {
				if s.M < 1 || s.N < 1 || s.K < 1 {
					t.Errorf("%q: %v", text, s)
				}
			}
		}
	})
}
