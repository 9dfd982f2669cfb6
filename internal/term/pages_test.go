package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// The tables of files of older versions are those of the same measurements now.
func TestOlderTablesAreTheSame(t *testing.T) {
	older, now := recordtest.Older(t), recordtest.Examples()
	for name, same := range map[string]string{
		"tokens.gpu": "tokens.gpu", "tokens.soft": "tokens.soft", "tokens.sweep": "tokens.layers", "tokens.none": "tokens.none",
		"roofs.whole": "roofs", "roofs.interrupted": "roofs.interrupted", "gpu": "gpu", "int8": "int8", "sweep": "sweep", "sweep.crossing": "crossing",
	} {
		r := now[same]
		r.Machine.CPUs, r.Machine.Cores = r.Machine.Cores, 0 // which CPUs share a core they do not say
		for _, s := range styles {
			if d := cmp.Diff(tableOf(t, r, s), tableOf(t, older[name], s)); d != "" {
				t.Errorf("%s at %d columns (-now +older):\n%s", name, s.Width, d)
			}
		}
	}
}

// A verbose diagnosis says of everything why it matters, and leaves nothing out.
func TestVerboseDiagnosis(t *testing.T) {
	r := recordtest.Diagnoses()["doctor"]
	var b bytes.Buffer
	if err := Diagnosis(&b, r, styles[2], true); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "doctor.verbose.80.txt", b.Bytes())
	for _, c := range r.Checks {
		for _, want := range []string{c.Name, c.Why} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is missing", want)
			}
		}
	}
}

// explanation has everything that an explanation can have.
func explanation() *record.Explanation {
	return &record.Explanation{
		Subject: "512³ float32 on Example CPU 9000, 16 cores", Fair: 0.7,
		Lanes: []record.Verdict{
			{Lane: "blas/openblas:0", Label: "OpenBLAS 0.3.34", Speed: 162e9, Op: "FLOP", Standing: "54 % of oneDNN 3.13.2", Slow: true, Causes: []record.Cause{
				{Code: "not_warm", Claim: "it became faster while it was measured: it was not warm", Evidence: "a product took 4.62 ms in the first third of the samples and 1.53 ms in the last", Remedies: fault.Remedies{fault.Set("time", "30s", "")}, Factor: 3},
				{Code: "noise", Claim: "it is noisy: something else ran, or the clock changed", Evidence: "162 GFLOP/s ± 62 %", Remedies: fault.Advice("end other programs and measure again"), Factor: 1.2},
			}},
			{Lane: "blas/onednn:0", Label: "oneDNN 3.13.2", Speed: 298e9, Op: "FLOP", Standing: "1.10× gpuplay (built in, AVX-512)"},
			{Lane: "blas/int8:0", Label: "int8", Speed: 29.8e9, Op: "OP", Standing: "no peak and no other lane to compare it with", Slow: true},
			{Lane: "mlx/metal:0", Label: "mlx 1 metal", Op: "FLOP", Standing: "failed: wrong result: error 3.1e-02 where at most 6.0e-06 is expected\x1b[2J"},
		},
		Missing: []record.Missing{{Engine: "torch", API: "cuda", Reason: "PyTorch 2.15.0+cu132 is built for CUDA and sees no GPU that it can use", Remedies: fault.Remedies{fault.Run("{} shows whether the driver sees one", "nvidia-smi")}}},
	}
}

func TestExplain(t *testing.T) {
	for _, s := range styles {
		name := fmt.Sprintf("explain.%d", s.Width)
		if !s.Unicode {
			name += ".ascii"
		}
		var b, colour bytes.Buffer
		if err := Explain(&b, explanation(), s); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, name+".txt", b.Bytes())
		s.Color = true
		if err := Explain(&colour, explanation(), s); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(b.String(), withoutColours(colour.String())); d != "" {
			t.Errorf("%s: colour changes the text:\n%s", name, d)
		}
	}
	fair := explanation()
	fair.Lanes = fair.Lanes[1:2]
	var b bytes.Buffer
	if err := Explain(&b, fair, styles[2]); err != nil {
		t.Fatal(err)
	}
	if want := "Nothing to explain: no lane is below 70 % of its peak or of the fastest other lane."; !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
		t.Errorf("%s lacks %q", b.String(), want)
	}
}

// Below an answer that was shown as it came only its figures are left to say.
func TestFigures(t *testing.T) {
	r := recordtest.Generations()["generation"]
	var b bytes.Buffer
	if err := Figures(&b, r, styles[2]); err != nil {
		t.Fatal(err)
	}
	whole := tableOf(t, r, styles[2])
	if !strings.HasSuffix(whole, "\n\n"+b.String()) || strings.Contains(b.String(), "Helsinki") {
		t.Errorf("figures:\n%swhole:\n%s", b.String(), whole)
	}
	b.Reset()
	if err := Figures(&b, &record.Run{Kind: record.Generate}, styles[2]); err != nil || b.Len() > 0 {
		t.Errorf("of nothing: %q, %v", b.String(), err)
	}
}

// No run, however odd, makes a page panic or a table too wide; nor does one that came
// to nothing.
func TestPagesOfAnyRun(t *testing.T) {
	for _, kind := range recordtest.Kinds {
		tableOf(t, &record.Run{Kind: kind}, styles[2])
		for seed := range uint64(15) {
			r := recordtest.Random(kind, seed)
			for _, s := range styles {
				tableOf(t, r, s)
			}
			for _, width := range []int{0, 1, 12, 1000} {
				tableOf(t, r, Style{Width: width})
			}
		}
	}
	var e record.Explanation
	recordtest.NewFiller(1).Fill(&e)
	for _, s := range styles {
		if err := Explain(new(bytes.Buffer), &e, s); err != nil {
			t.Fatal(err)
		}
	}
}
