package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/lab"
)

// A page that takes part in a training answers each turn with a message, and is refused if it
// answers another one.
func TestTurns(t *testing.T) {
	s := newServer(t, Train(lab.Deps{}))
	events := stream(t, httpServer(t, s), "")
	w := do(s, request("POST", "/api/v1/runs", `{"kind":"train","settings":{"browser":true,"steps":12}}`, nil))
	var run struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &run); err != nil || w.Code != 202 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	answer := func(turn, status int) {
		t.Helper()
		if w := do(s, request("POST", "/api/v1/runs/"+run.ID+"/messages", fmt.Sprintf(`{"turn":%d}`, turn), nil)); w.Code != status {
			t.Errorf("an answer to turn %d: status %d: %s", turn, w.Code, w.Body)
		}
	}
	var turns []string
	steps := 0
	for lines := bufio.NewScanner(events); lines.Scan() && lines.Text() != "event: end"; {
		text, _ := strings.CutPrefix(lines.Text(), "data: ")
		var e struct {
			Type string
			Data struct{ Turn, Steps int }
		}
		if json.Unmarshal([]byte(text), &e) != nil {
			continue
		}
		switch e.Type {
		case "join", "turn":
			turns = append(turns, e.Type)
			answer(e.Data.Turn+1, 400)
			answer(e.Data.Turn, 202)
		case "learned":
			steps = e.Data.Steps
		case "left":
			t.Errorf("left: %s", text)
		}
	}
	if len(turns) < 3 || turns[0] != "join" || turns[1] != "turn" || steps != 12 {
		t.Errorf("%d steps in the turns %v", steps, turns)
	}
	if w := do(s, request("POST", "/api/v1/runs", `{"kind":"train","settings":{"browser":true,"dtype":"float64"}}`, nil)); w.Code != 400 || !strings.Contains(w.Body.String(), "WebGPU has no float64") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}
