package encode

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/plan"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// somePlan returns a plan of a model with a name.
func somePlan(t *testing.T, model string, gpus int, gpu string) *plan.Plan {
	t.Helper()
	m, _ := scaling.Lookup(model)
	g, err := plan.LookupGPU(gpu)
	if err != nil {
		t.Fatal(err)
	}
	n, err := plan.LookupNetwork("ib")
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(plan.Options{Model: m.Name, Source: m.Source, Shape: m.Shape, GPU: g, Network: n, GPUs: gpus, Tokens: 1e12, Price: 2.5})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlan(t *testing.T) {
	schema := compile(t, "plan.schema.json")
	for name, p := range map[string]*plan.Plan{
		"one": somePlan(t, "gpt2", 1, "a100"), "node": somePlan(t, "llama3-8b", 8, "b200"), "many": somePlan(t, "llama3-405b", 1024, "h100"),
	} {
		var b bytes.Buffer
		if err := PlanJSON(&b, p); err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name != "node" { // the others are as long, and say no more
			continue
		}
		golden.Compare(t, "plan."+name+".json", b.Bytes())
		b.Reset()
		if err := PlanMarkdown(&b, p); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "plan."+name+".md", b.Bytes())
	}
}

func TestLessons(t *testing.T) {
	schema := compile(t, "learn-gpus.schema.json")
	g, err := plan.LookupGPU("h100")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range scaling.Models() {
		for _, gpus := range []int{2, 4, 8} {
			l, err := plan.Learn(m.Name, m.Shape, g, gpus)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := LessonsJSON(&b, l); err != nil {
				t.Fatal(err)
			}
			document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document); err != nil {
				t.Errorf("%s on %d: %v", m.Name, gpus, err)
			}
			if m.Name == "gpt2-xl" && gpus == 4 {
				golden.Compare(t, "lessons.json", b.Bytes())
			}
		}
	}
}
