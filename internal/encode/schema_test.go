package encode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/train"
)

// docs is where published schemas are.
const docs = "../../docs/"

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(docs + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every schema is complete by itself: whoever has one file needs no other. The one of
// events has that of runs within it (-update puts it there).
func TestSchemasStandAlone(t *testing.T) {
	runs, err := os.ReadFile(docs + "run.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	events, err := os.ReadFile(docs + "event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	const begin = ",\n    \"run\": {\n      \"$id\": \"run.schema.json\","
	own, _, found := strings.Cut(string(events), begin)
	if !found {
		own = strings.TrimSuffix(own, "\n  }\n}\n")
	}
	within := strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(string(runs)), "{"), "\n", "\n    ")
	golden.Compare(t, "../"+docs+"event.schema.json", own+begin+within+"\n  }\n}\n")

	files, err := filepath.Glob(docs + "*.schema.json")
	older, olderErr := filepath.Glob(docs + "v1/*.schema.json")
	if err := errors.Join(err, olderErr); err != nil || len(files) == 0 || len(older) == 0 {
		t.Fatal(files, older, err)
	}
	for _, name := range append(files, older...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		alone := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(alone, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := jsonschema.NewCompiler().Compile(alone); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func parsed(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// runs are all kinds of runs: examples, those of older files, and many at random.
func runs(t *testing.T) map[string]*record.Run {
	all := recordtest.Examples()
	for name, r := range recordtest.Older(t) {
		all["older/"+name] = r
	}
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(25) {
			all[fmt.Sprintf("%s/%d", kind, seed)] = recordtest.Random(kind, seed)
		}
	}
	return all
}

// documents are the JSON forms of a run: as it is stored, as people get it, and its
// lines.
func documents(t *testing.T, r *record.Run) map[string][]byte {
	t.Helper()
	var stored bytes.Buffer
	if err := record.Write(&stored, r); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"stored": stored.Bytes(), "json": encoded(t, r, "json")}
	if slices.Contains(Formats(r.Kind), "jsonl") {
		for line := range bytes.Lines(encoded(t, r, "jsonl")) {
			if bytes.Contains(line, []byte(record.Schema)) { // not a step of a training
				all[fmt.Sprintf("line %d", len(all))] = line
			}
		}
	}
	return all
}

// docs/run.schema.json is a promise: whatever is written keeps it.
func TestRunsKeepTheirSchema(t *testing.T) {
	schema := compile(t, "run.schema.json")
	for name, r := range runs(t) {
		for form, text := range documents(t, r) {
			if err := schema.Validate(parsed(t, text)); err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
}

// The schema is strict enough to notice a field that it does not describe, wherever
// that is.
func TestRunSchemaIsClosed(t *testing.T) {
	schema := compile(t, "run.schema.json")
	for name, r := range recordtest.Examples() {
		v := parsed(t, encoded(t, r, "json"))
		objects(v, "run", func(path string, o map[string]any) {
			o["surprise"] = 1
			if schema.Validate(v) == nil {
				t.Errorf("%s: it takes an unknown field in %s", name, path)
			}
			delete(o, "surprise")
		})
	}
}

// objects calls each for every object whose fields have fixed names.
func objects(v any, path string, each func(path string, o map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		each(path, v)
		for name, x := range v {
			if name != "state" && name != "versions" {
				objects(x, path+"."+name, each)
			}
		}
	case []any:
		if len(v) > 0 { // one is like the other
			objects(v[0], path+"[]", each)
		}
	}
}

// The schema describes no field that no run has.
func TestRunSchemaHasNothingElse(t *testing.T) {
	text, err := os.ReadFile(docs + "run.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	root := parsed(t, text).(map[string]any)
	seen := map[string]bool{}
	for _, r := range runs(t) {
		for _, text := range documents(t, r) {
			mark(root, root, parsed(t, text), "", seen)
		}
	}
	var missing []string
	for where := range properties(root, "") {
		if !seen[where] {
			missing = append(missing, where)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("described and never written: %s", strings.Join(missing, ", "))
	}
}

// properties returns where in a schema a field is described.
func properties(schema any, at string) map[string]bool {
	all := map[string]bool{}
	switch s := schema.(type) {
	case map[string]any:
		if fields, ok := s["properties"].(map[string]any); ok {
			for name := range fields {
				all[at+"/properties/"+name] = true
			}
		}
		for key, x := range s {
			maps.Copy(all, properties(x, at+"/"+key))
		}
	case []any:
		for i, x := range s {
			maps.Copy(all, properties(x, at+"/"+strconv.Itoa(i)))
		}
	}
	return all
}

// mark notes which described fields a value has.
func mark(root, schema map[string]any, value any, at string, seen map[string]bool) {
	if ref, ok := schema["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
		next := any(root)
		for part := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
			next = next.(map[string]any)[part]
		}
		mark(root, next.(map[string]any), value, at, seen)
	}
	if list, ok := schema["oneOf"].([]any); ok {
		for i, x := range list {
			mark(root, x.(map[string]any), value, fmt.Sprintf("%s/oneOf/%d", at, i), seen)
		}
	}
	switch v := value.(type) {
	case map[string]any:
		fields, _ := schema["properties"].(map[string]any)
		for name, x := range v {
			if of, ok := fields[name].(map[string]any); ok {
				where := at + "/properties/" + name
				seen[where] = true
				mark(root, of, x, where, seen)
			}
		}
	case []any:
		if items, ok := schema["items"].(map[string]any); ok {
			for _, x := range v {
				mark(root, items, x, at+"/items", seen)
			}
		}
	}
}

// The JSON that people get is the same whether a run was just measured or read from it.
func TestJSONOfJSON(t *testing.T) {
	for name, r := range runs(t) {
		first := encoded(t, r, "json")
		back, err := record.Parse(first)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(string(first), string(encoded(t, back, "json"))); d != "" {
			t.Errorf("%s (-written +written again):\n%s", name, d)
		}
	}
}

// eventData are an example of the data of each type of event, made from a seed.
func eventData(seed uint64) map[event.Type][]event.Data {
	f := recordtest.NewFiller(seed)
	of := func(p event.Data) event.Data { f.Fill(p); return p }
	var begin event.Begin
	f.Fill(&begin)
	begin.Schema = event.Schema
	begin.Kind = string(record.Race)
	lane := event.Lane{Op: []string{"FLOP", "OP", ""}[seed%3]}
	op := lane.Op
	f.Fill(&lane)
	lane.Op = op
	var prepared bench.Result
	f.Fill(&prepared)
	all := map[event.Type][]event.Data{
		event.TypeBegin:    {begin},
		event.TypeLane:     {lane},
		event.TypePrepared: {bench.Prepared(prepared)},
		event.TypeOpened:   {record.Opened{Run: recordtest.Random(record.Race, seed)}},
	}
	for _, d := range []event.Data{
		of(&event.Phase{}), of(&event.Progress{}), of(&event.Note{}), of(&event.Size{}), of(&event.Dropped{}),
		of(&bench.Tuning{}), of(&bench.Sample{}), of(&bench.Checked{}), of(&bench.Result{}),
		of(&llm.Loaded{}), of(&llm.Asked{}), of(&llm.Piece{}), of(&llm.Sample{}), of(&llm.Check{}), of(&llm.Result{}),
		of(&train.Planned{}), of(&train.Step{}), of(&event.Sensors{}), of(&event.Telemetry{}), of(&event.ProcessList{}),
		recordtest.Random(recordtest.Kinds[seed%uint64(len(recordtest.Kinds))], seed),
	} {
		all[d.EventType()] = append(all[d.EventType()], d)
	}
	return all
}

// line returns an event as Events writes it.
func line(t *testing.T, d event.Data, of event.Type) []byte {
	t.Helper()
	var b bytes.Buffer
	each, failed := Events(&b)
	each(event.Event{Run: record.NewID(), Seq: 7, At: time.Second, Lane: "torch/cuda:0", Type: of, Data: d})
	if err := failed(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// same are types whose data have the form of another's.
var same = map[event.Type]event.Type{event.TypeOpened: event.TypeRecord, event.TypePrepared: event.TypeResult}

// docs/event.schema.json describes every line of a stream, and nothing else: neither
// the data of another type nor an unknown field.
func TestEventsKeepTheirSchema(t *testing.T) {
	schema := compile(t, "event.schema.json")
	for seed := range uint64(20) {
		for of, list := range eventData(seed) {
			for _, d := range list {
				text := line(t, d, of)
				v := parsed(t, text)
				if err := schema.Validate(v); err != nil {
					t.Fatalf("%s: %v\n%s", of, err, text)
				}
				if seed > 0 { // one is like the other
					continue
				}
				objects(v, "event", func(path string, o map[string]any) {
					o["surprise"] = 1
					if schema.Validate(v) == nil {
						t.Errorf("%s: it takes an unknown field in %s", of, path)
					}
					delete(o, "surprise")
				})
				envelope := v.(map[string]any)
				for other := range eventData(seed) {
					if same[of] == other || same[other] == of {
						continue
					}
					if envelope["type"] = string(other); other != of && schema.Validate(v) == nil {
						t.Errorf("it takes the data of %s for %s: %s", of, other, text)
					}
				}
				envelope["type"] = string(of)
				for _, field := range []string{"run", "seq", "at_ns", "type", "data"} {
					was := envelope[field]
					delete(envelope, field)
					if schema.Validate(v) == nil {
						t.Errorf("%s: it takes an event without %s", of, field)
					}
					envelope[field] = was
				}
			}
		}
	}
}

// Every type of event is in the schema, and in the test above.
func TestEventSchemaIsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../event/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if name, ok := v.Type.(*ast.Ident); !ok || name.Name != "Type" {
				continue
			}
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, value)
		}
	}
	text, err := os.ReadFile(docs + "event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct{ Type struct{ Enum []string } }
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var tested []string
	for of := range eventData(0) {
		tested = append(tested, string(of))
	}
	for _, list := range [][]string{types, schema.Properties.Type.Enum, tested} {
		slices.Sort(list)
	}
	if d := cmp.Diff(types, schema.Properties.Type.Enum); d != "" {
		t.Errorf("types and schema differ: %s", d)
	}
	if d := cmp.Diff(types, tested); d != "" {
		t.Errorf("types and those that are tested differ: %s", d)
	}
}
