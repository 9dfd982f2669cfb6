package encode

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

func TestVersus(t *testing.T) {
	schema := compile(t, "compare.schema.json")
	valid := func(name string, v *judge.Versus) []byte {
		var b bytes.Buffer
		if err := VersusJSON(&b, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
		return b.Bytes()
	}
	for name, pair := range recordtest.Pairs() {
		v, err := judge.NewVersus(pair[0], pair[1], 0.02)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "versus."+name+".json", valid(name, v))
		var b bytes.Buffer
		if err := VersusMarkdown(&b, v); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "versus."+name+".md", b.Bytes())
	}
	for seed := range uint64(100) {
		for _, kind := range []record.Kind{record.Race, record.LLM} {
			a := recordtest.Random(kind, seed)
			if v, err := judge.NewVersus(a, a, 0.02); err == nil {
				valid("random", v)
			}
		}
	}
}
