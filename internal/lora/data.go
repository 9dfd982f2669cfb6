// Package lora is what fine-tuning with low-rank adapters (arXiv 2106.09685) reads and
// writes: it checks the rows to learn before anything is started, and keeps beside an
// adapter what is needed to continue it. Package train runs a training; the training
// itself is the framework's, in package llm/framework.
package lora

import (
	"bufio"
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/unit"
)

//go:embed builtin/*.jsonl
var builtin embed.FS

// maxRow bounds a line: a row of more text than any context takes.
const maxRow = 1 << 20

// Rows are checked rows in files.
type Rows struct {
	train.Data
	Train string // the file of rows to learn
	Valid string // the file of rows to measure with, which are not trained on; "" when there is none
}

// BuiltIn writes the rows that are built in into a folder: questions about
// the playground with answers that begin and end alike.
func BuiltIn(folder string) (Rows, error) {
	for _, name := range []string{"train.jsonl", "valid.jsonl"} {
		text, err := builtin.ReadFile("builtin/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), text, 0o644)
		}
		if err != nil {
			return Rows{}, err
		}
	}
	d, err := Read(folder, false)
	d.Folder = ""
	d.Prompt = "Question: What is gpuplay?\nAnswer:"
	return d, err
}

// Read checks train.jsonl in a folder, and valid.jsonl if it is there. chat says
// whether the model has a chat template, which all forms but text need. Its errors
// name the file and the line.
func Read(folder string, chat bool) (Rows, error) {
	d := Rows{Data: train.Data{Folder: folder}, Train: filepath.Join(folder, "train.jsonl"), Valid: filepath.Join(folder, "valid.jsonl")}
	var err error
	if d.Data.Rows, d.Form, d.Prompt, err = check(d.Train); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return d, invalid(fault.Advice("it is a file of lines such as "+example), "%s: there is no train.jsonl", folder)
		}
		return d, err
	}
	var form train.Form
	d.Held, form, _, err = check(d.Valid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.Valid = ""
	case err != nil:
		return d, err
	case form != d.Form:
		return d, invalid(fault.Advice("rows of one form in both"), "%s has %s rows, train.jsonl has %s rows", d.Valid, form, d.Form)
	}
	if d.Form != train.Text && !chat {
		return d, invalid(fault.Advice(`a model that was made for chat, or rows of {"text": …}`), "%s has %s rows, and this model has no chat template to write them with", d.Train, d.Form)
	}
	return d, nil
}

const example = `{"text": "…"}, {"prompt": "…", "completion": "…"} or {"messages": [{"role": "user", "content": "…"}, …]}`

func invalid(r fault.Remedies, format string, args ...any) error {
	return fault.Errorf(fault.Invalid, format, args...).With(r...)
}

// check reads a file of rows and returns their number, their form, and what the
// first one begins with.
func check(file string) (rows int, form train.Form, prompt string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", "", err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err != nil && err != io.EOF {
			return 0, "", "", invalid(fault.Advice("split it into rows of what the model takes at a time"), "%s:%d: %v", file, n, err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.Trim(line, " \t\r\n"); len(line) > 0 { // the white space of JSON alone, as the worker has it
			r, wrong := parseRow(line)
			if wrong != nil {
				return 0, "", "", invalid(fault.Advice("a line is "+example), "%s:%d: %v", file, n, wrong)
			}
			if rows == 0 {
				form, prompt = r.form(), r.question()
			} else if r.form() != form {
				return 0, "", "", invalid(fault.Advice("rows of one form in a file"), "%s:%d: a %s row among %s rows", file, n, r.form(), form)
			}
			rows++
		}
		if err == io.EOF {
			break
		}
	}
	if rows == 0 {
		return 0, "", "", invalid(fault.Advice("a line is "+example), "%s: is empty", file)
	}
	return rows, form, prompt, nil
}

// readLine returns a line of at most maxRow bytes.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRow {
			return nil, fmt.Errorf("the row is longer than %s", unit.Bytes(maxRow))
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// A row is one line of a file. What it does not have is nil.
type row struct {
	text, prompt, completion *string
	messages                 []message
}

type message struct {
	role    string
	content string // of its text; "" for none
}

// object is a JSON object by its exact keys: the workers, and whoever else reads the file,
// take "Text" for another key than "text", which encoding/json would not.
type object map[string]json.RawMessage

// has reports whether a key has a value that is not null.
func (o object) has(key string) bool {
	value, ok := o[key]
	return ok && string(value) != "null"
}

// word returns the string that a key has, nil if it has none.
func (o object) word(key string) (*string, error) {
	if !o.has(key) {
		return nil, nil
	}
	var s string
	if err := json.Unmarshal(o[key], &s); err != nil {
		return nil, fmt.Errorf("%q is a JSON %s, not a string", key, kind(o[key]))
	}
	return &s, nil
}

// kind says what a valid JSON value without white space before it is; one that is missing
// is null.
func kind(value json.RawMessage) string {
	if len(value) == 0 {
		return "null"
	}
	switch value[0] {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '[':
		return "array"
	case '{':
		return "object"
	}
	return "number"
}

// parseRow returns the row in a line, or says what is wrong with it. Whether its messages
// suit the model's chat template is the template's to say, in the worker.
func parseRow(line []byte) (r row, err error) {
	if !utf8.Valid(line) {
		return r, errors.New("is not UTF-8")
	}
	var o object
	if err := json.Unmarshal(line, &o); err != nil {
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax) && syntax.Offset >= int64(len(line)):
			return r, errors.New("is cut off: no JSON object")
		case errors.As(err, &syntax):
			return r, fmt.Errorf("is no JSON at column %d: %v", syntax.Offset, err)
		}
		return r, fmt.Errorf("is a JSON %s, not an object", kind(line))
	}
	if o == nil {
		return r, errors.New("is a JSON null, not an object")
	}
	if half := halfPair(line); half != "" {
		return r, fmt.Errorf("has %s, half of a surrogate pair, which is no character", half)
	}
	var wrong [3]error
	r.text, wrong[0] = o.word("text")
	r.prompt, wrong[1] = o.word("prompt")
	r.completion, wrong[2] = o.word("completion")
	if err := cmp.Or(wrong[:]...); err != nil {
		return r, err
	}
	if o.has("messages") {
		if r.messages, err = parseMessages(o["messages"]); err != nil {
			return r, err
		}
	}
	switch r.form() {
	case train.Completion:
		if *r.prompt == "" || *r.completion == "" {
			return r, errors.New(`"prompt" or "completion" is empty`)
		}
	case train.Text:
		if *r.text == "" {
			return r, errors.New(`"text" is empty`)
		}
	case "":
		return r, o.formless(r)
	}
	return r, nil
}

// formless says why an object is no row.
func (o object) formless(r row) error {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		for _, known := range []string{"text", "prompt", "completion", "messages"} {
			if key != known && strings.EqualFold(strings.TrimSpace(key), known) {
				return fmt.Errorf("has %q where %q is meant", key, known)
			}
		}
	}
	switch {
	case r.prompt != nil || r.completion != nil:
		return errors.New(`"prompt" and "completion" belong together, one is missing`)
	case o.has("messages"):
		return errors.New(`"messages" is empty`)
	}
	return errors.New(`has no "text", no "prompt" with "completion", no "messages"`)
}

// parseMessages returns the messages of a chat. Each has a role and content, which is text
// or a list of parts, or calls of tools in its place.
func parseMessages(value json.RawMessage) ([]message, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(value, &raw); err != nil {
		return nil, fmt.Errorf(`"messages" is a JSON %s, not an array`, kind(value))
	}
	var list []message
	for i, value := range raw {
		var o object
		if err := json.Unmarshal(value, &o); err != nil || o == nil {
			return nil, fmt.Errorf("message %d is a JSON %s, not an object", i+1, kind(value))
		}
		role, err := o.word("role")
		var calls []json.RawMessage
		json.Unmarshal(o["tool_calls"], &calls)
		m := message{}
		switch content := kind(o["content"]); {
		case err != nil:
			return nil, fmt.Errorf("message %d: %v", i+1, err)
		case role == nil || *role == "":
			return nil, fmt.Errorf(`message %d has no "role"`, i+1)
		case content == "string":
			json.Unmarshal(o["content"], &m.content)
		case content == "array":
			var parts []struct {
				Text string `json:"text"`
			}
			json.Unmarshal(o["content"], &parts)
			for _, p := range parts {
				m.content += p.Text
			}
		case content != "null":
			return nil, fmt.Errorf(`"content" of message %d is a JSON %s`, i+1, content)
		case len(calls) > 0: // which stand in its place
		case len(o["content"]) == 0:
			return nil, fmt.Errorf(`message %d has no "content"`, i+1)
		default:
			return nil, fmt.Errorf(`message %d has null for "content"`, i+1)
		}
		m.role = *role
		list = append(list, m)
	}
	return list, nil
}

// halfPair returns an escape in valid JSON that is half of a surrogate pair, "" if there is
// none. Go replaces it; Python keeps it, and no tokenizer takes it.
func halfPair(line []byte) string {
	unit := func(at int) (uint64, bool) {
		if at+6 > len(line) || line[at] != '\\' || line[at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(line[at+2:at+6]), 16, 32)
		return n, err == nil
	}
	for at := 0; at < len(line); at++ {
		if line[at] != '\\' {
			continue
		}
		n, ok := unit(at)
		switch {
		case !ok:
			at++ // another escape, of two characters
		case !utf16.IsSurrogate(rune(n)):
			at += 5
		default:
			next, ok := unit(at + 6)
			if !ok || utf16.DecodeRune(rune(n), rune(next)) == utf8.RuneError {
				return string(line[at : at+6])
			}
			at += 11
		}
	}
	return ""
}

// form returns which form a row has, "" for none, in mlx-lm's order.
func (r row) form() train.Form {
	switch {
	case r.prompt != nil && r.completion != nil:
		return train.Completion
	case len(r.messages) > 0:
		return train.Chat
	case r.text != nil:
		return train.Text
	}
	return ""
}

// question returns what to ask before and after the row was learned: its question, or
// the first half of its words.
func (r row) question() string {
	switch r.form() {
	case train.Completion:
		return *r.prompt
	case train.Chat:
		for _, m := range r.messages {
			if m.role == "user" {
				return m.content
			}
		}
		return ""
	}
	words := strings.Fields(*r.text)
	if len(words) < 2 {
		return *r.text
	}
	cut := 0 // the end of the first half, in the text as it is spaced
	for _, w := range words[:(len(words)+1)/2] {
		cut += strings.Index((*r.text)[cut:], w) + len(w)
	}
	return (*r.text)[:cut]
}
