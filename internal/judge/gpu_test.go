package judge

import (
	"slices"
	"testing"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// A run came to what was asked for if each GPU was measured, and a card that is there was
// reached, not only software.
func TestGPUOutcome(t *testing.T) {
	for name, want := range map[string]bool{"gpus": false, "gpus.interrupted": true, "gpus.nothing": false, "gpus.software": false, "gpus.wrong": false} {
		if got := Outcome(recordtest.Descriptions()[name], false); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	r := recordtest.Descriptions()["gpus.software"]
	if r.Cards = nil; !Outcome(r, false) {
		t.Error("a software GPU alone on a machine without a card")
	}
	r = recordtest.Descriptions()["gpus.fastest"]
	if r.GPUs = r.GPUs[:1]; !Outcome(r, false) {
		t.Error("a search that found the fastest product")
	}
	r.GPUs[0].Fastest.Finals = nil
	if Outcome(r, false) {
		t.Error("a search without a result")
	}
}

// A copy to another GPU names it, and says whether it went through the host.
func TestPeerCopies(t *testing.T) {
	r := recordtest.Descriptions()["gpus"]
	one, two := r.GPUs[0], r.GPUs[0]
	number := 1
	two.Device.ID, two.Device.Card = "cuda:GPU-b", &number
	one.Copies = []hardware.Copy{{Route: hardware.ToPeer, Peer: "cuda:GPU-b", Direct: true, Bytes: 1e9, Seconds: []float64{0.01}}}
	two.Copies = []hardware.Copy{{Route: hardware.ToPeer, Peer: "cuda:GPU-c", Bytes: 1e9, Seconds: []float64{0.1}}}
	r.GPUs = []record.GPU{one, two}
	sheets := Sheets(r)
	for i, want := range [][2]string{{"copy to GPU 1", "100 GB/s, directly"}, {"copy to another GPU", "10.0 GB/s, through the host's memory"}} {
		if !slices.Contains(sheets[i].Parts[1].Facts, want) {
			t.Errorf("%v, want %v", sheets[i].Parts[1].Facts, want)
		}
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
