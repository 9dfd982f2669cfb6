package web

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The description of the API has the paths that the server answers, and no others; what the
// server answers has the described status and fields.
func TestOpenAPI(t *testing.T) {
	s := newServer(t, hold(nil))
	w := do(s, request("GET", "/api/v1/openapi.json", "", nil))
	type operation struct {
		RequestBody *struct{} `json:"requestBody"`
		Responses   map[string]struct {
			Content map[string]struct {
				Schema struct {
					Ref      string `json:"$ref"`
					Required []string
				}
			}
		}
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]operation
		Components struct {
			Schemas map[string]struct{ Required []string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatal(err, doc.OpenAPI)
	}
	source, err := os.ReadFile("web.go")
	if err != nil {
		t.Fatal(err)
	}
	var served, described []string
	for _, m := range regexp.MustCompile(`"(GET|POST|DELETE) /api/v1(/[^"]*)"`).FindAllStringSubmatch(string(source), -1) {
		if m[2] == "/" { // followed by the name of an activity
			m[2] = "/{kind}"
		}
		served = append(served, m[1]+" "+m[2])
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("served    %v\ndescribed %v", served, described)
	}
	for _, c := range []struct{ method, path, at, body, status string }{
		{"post", "/session", "/session", `{"token":"wrong"}`, "403"},
		{"get", "/machine", "/machine", "", "200"},
		{"get", "/doctor", "/doctor", "", "200"},
		{"get", "/results", "/results", "", "200"},
		{"get", "/results", "/results?limit=0", "", "400"},
		{"get", "/results/{id}", "/results/none", "", "404"},
		{"post", "/runs", "/runs", `{"kind":"none"}`, "400"},
		{"post", "/runs", "/runs", `{"kind":"hold"}`, "202"},
		{"post", "/runs", "/runs", `{"kind":"hold"}`, "409"},
		{"get", "/doctor", "/doctor", "", "409"},
		{"get", "/runs/{id}", "/runs/none", "", "404"},
		{"delete", "/runs/{id}", "/runs/none", "", "404"},
		{"post", "/runs/{id}/messages", "/runs/none/messages", `1`, "404"},
	} {
		w := do(s, request(strings.ToUpper(c.method), "/api/v1"+c.at, c.body, nil))
		r, known := doc.Paths[c.path][c.method].Responses[c.status]
		if got := w.Result().Status[:3]; got != c.status || !known {
			t.Errorf("%s %s: status %s, want %s, which is described: %v", c.method, c.at, got, c.status, known)
			continue
		}
		content, ok := r.Content["application/json"]
		if !ok {
			continue
		}
		required := content.Schema.Required
		if name, ref := strings.CutPrefix(content.Schema.Ref, "#/components/schemas/"); ref {
			required = doc.Components.Schemas[name].Required
		}
		var object map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &object); err != nil && len(required) > 0 {
			t.Errorf("%s %s: %v", c.method, c.at, err)
		}
		for _, name := range required {
			if object[name] == nil {
				t.Errorf("%s %s: no %s in %s", c.method, c.at, name, w.Body)
			}
		}
	}
}
