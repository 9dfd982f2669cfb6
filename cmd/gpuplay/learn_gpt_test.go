package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/lab/playground"
)

// The loss of an engine that has diverged is not shown as the number that stands for it.
func TestGPTDiverges(t *testing.T) {
	reached := playground.Learned{Steps: 8, Loss: 2.5, Busy: int64(time.Second)}
	diverged := playground.Learned{Steps: 8, Loss: -1, Busy: int64(time.Second), Diverged: true}
	for _, tt := range []struct {
		own, other playground.Learned
		want       string
	}{
		{reached, reached, "1.00 times the speed of this program. Its loss: 2.500."},
		{reached, diverged, "Its loss: not a finite number."},
		{diverged, diverged, "After 8 steps the loss is not a finite number: the training diverged."},
	} {
		var out bytes.Buffer
		v := gptView{out: &out, lanes: []gptLane{{name: "this program", now: tt.own}, {name: "PyTorch", now: tt.other}}}
		v.sum()
		if !strings.Contains(out.String(), tt.want) || strings.Contains(out.String(), "-1") {
			t.Errorf("%s\nwant %s", &out, tt.want)
		}
	}
}
