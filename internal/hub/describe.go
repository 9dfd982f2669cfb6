package hub

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gpuplay/gpuplay/internal/model"
)

// longestConfig is more than a config.json has, in bytes.
const longestConfig = 4 << 20

// Describe returns what a planned model's files say of it before they are downloaded: of
// GGUF files the headers are read, which take a few megabytes, most of them vocabulary; of
// others config.json. Bytes is always known.
func (c *Client) Describe(ctx context.Context, p *Plan) (model.Model, error) {
	m, err := c.describe(ctx, p)
	m.Bytes = p.Bytes
	return m, err
}

func (c *Client) describe(ctx context.Context, p *Plan) (model.Model, error) {
	if p.Open == "" {
		in, err := c.read(ctx, p, File{Path: "config.json"})
		if err != nil {
			return model.Model{}, err
		}
		defer in.Close()
		text, err := io.ReadAll(io.LimitReader(in, longestConfig))
		if err != nil {
			return model.Model{}, err
		}
		return model.ReadConfig(text)
	}
	var parts []model.Part
	for _, f := range p.Files {
		parts = append(parts, model.Part{Open: func() (io.ReadCloser, error) { return c.read(ctx, p, f) }, Size: f.Size})
	}
	return model.ReadGGUF(parts...)
}

// read begins to read a file of a plan; closing it ends the transfer.
func (c *Client) read(ctx context.Context, p *Plan, f File) (io.ReadCloser, error) {
	response, err := c.client.Ask(ctx, c.address(p, f), c.header(), func(string, time.Duration) {})
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", f.Path, p.ID, err)
	}
	return response.Body, nil
}

// address is where the Hub has a file of a plan.
func (c *Client) address(p *Plan, f File) string {
	return c.Endpoint + "/" + p.ID + "/resolve/" + p.Commit + "/" + escape(f.Path)
}
