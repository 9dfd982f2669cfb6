package model

import "testing"

func TestSuggestion(t *testing.T) {
	for word, want := range map[string]string{
		"owner/name": "owner/name",
		"/nowhere":   "OWNER/NAME", // a path, not a name on the Hub
		"folder/":    "OWNER/NAME",
		"./model":    "OWNER/NAME",
		"a/b/c":      "OWNER/NAME",
		"gemma":      "OWNER/NAME",
		"models/a":   "OWNER/NAME", // huggingface.co/models is the list of all
	} {
		if got := suggestion(word); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
