package term

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/screen"
)

// What a terminal of 80×24 shows of a race and of a sweep, below a line what is in its
// window. The pictures are for a browser and have the colours.
func TestScreens(t *testing.T) {
	for name, r := range map[string]string{"race": "cards", "race.failed": "troubled", "sweep": "mixed"} {
		window := screen.New(80, 24)
		if err := Table(window, recordtest.Examples()[r], Style{Width: 80, Lines: 24, Color: true, Unicode: true, Words: recordtest.Flags{}}); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "screen."+name+".80x24.txt", window.Window())
		var picture strings.Builder
		if err := window.SVG(&picture, "gpuplay "+name); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "screen."+name+".80x24.svg", picture.String())
	}
}
