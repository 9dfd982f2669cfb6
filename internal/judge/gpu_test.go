package judge

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// A run came to what was asked for if each GPU was measured, and a card that is there was
// reached, not only software.
func TestGPUOutcome(t *testing.T) {
	for name, want := range map[string]bool{"gpus": false, "gpus.interrupted": true, "gpus.nothing": false, "gpus.software": false} {
		if got := Outcome(recordtest.Descriptions()[name], false); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	r := recordtest.Descriptions()["gpus.software"]
	if r.Cards = nil; !Outcome(r, false) {
		t.Error("a software GPU alone on a machine without a card")
	}
}

// One card that two engines reach is one sheet; a card that none reaches has the reasons.
func TestSheets(t *testing.T) {
	both := Sheets(recordtest.Descriptions()["gpus"])
	if len(both) != 1 || len(both[0].Parts) != 3 || both[0].Parts[1].Title != "cuda" || both[0].Parts[2].Title != "vulkan" {
		t.Errorf("%+v", both)
	}
	software := Sheets(recordtest.Descriptions()["gpus.software"])
	if last := software[len(software)-1]; len(software) != 2 || last.Title != "Not reached" || len(last.Parts[0].Facts) != 3 {
		t.Errorf("%+v", software)
	}
	if none := Sheets(&record.Run{Cards: []hardware.Card{{Name: "one"}}}); none != nil {
		t.Errorf("%+v", none)
	}
}
