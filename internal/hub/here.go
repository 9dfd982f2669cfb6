package hub

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/model"
)

// Here returns the path of a model that the cache has in full, by a word as Plan takes it,
// without asking the Hub. Where the word names no quantization, that is the one that would
// be downloaded; with other, any that is there will do.
func (c *Client) Here(word string, other bool) (path string, ok bool) {
	if !Named(word) || c.Cache == "" {
		return "", false
	}
	id, want, _ := strings.Cut(trimmed(word), ":")
	for _, snapshot := range model.Snapshots(c.folder(&Plan{ID: id})) {
		_, open, err := choose(id, kept(snapshot), want)
		if err != nil || open != "" && want == "" && !other && !model.HasMix(open, usual[0]) {
			continue
		}
		path := filepath.Join(snapshot, filepath.FromSlash(open))
		if _, err := model.Open(path); err == nil && (open != "" || speaks(path)) {
			return path, true
		}
	}
	return "", false
}

// kept are the files of a snapshot, of which those that were not downloaded are missing.
func kept(snapshot string) []File {
	var files []File
	filepath.WalkDir(snapshot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		below, err := filepath.Rel(snapshot, path)
		if info, missing := os.Stat(path); err == nil && missing == nil {
			files = append(files, File{Path: filepath.ToSlash(below), Size: info.Size()})
		}
		return nil
	})
	return files
}

// vocabularies are files of which a tokenizer has at least one.
var vocabularies = []string{"tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "vocab.txt", "tiktoken.model"}

// speaks reports whether a folder has a vocabulary, which a download that was cut off may
// lack beside whole weights.
func speaks(folder string) bool {
	return slices.ContainsFunc(vocabularies, func(name string) bool { return disk.Exists(filepath.Join(folder, name)) })
}
