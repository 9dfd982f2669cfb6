package worker

import "time"

// NetworkArgs describe a small network, as package network has it, with its data.
type NetworkArgs struct {
	Device     string    `json:"device"`
	Inputs     int       `json:"inputs"`
	Hidden     []int     `json:"hidden"`
	Outputs    int       `json:"outputs"`
	Activation string    `json:"activation"`
	Loss       string    `json:"loss"`
	Optimizer  string    `json:"optimizer"`
	Rate       float64   `json:"rate"`
	DType      string    `json:"dtype"` // float32 or float64
	X          []float64 `json:"x"`     // rows × inputs
	Y          []float64 `json:"y"`     // the class or the value of each row
	Weights    []float64 `json:"weights"`
	// Batch is how many rows a step has; 0: no steps will be made.
	Batch int `json:"batch,omitempty"`
	// U and V are directions from the weights, for LossesArgs.
	U []float64 `json:"u,omitempty"`
	V []float64 `json:"v,omitempty"`
}

// GPTArgs describe a transformer, as package gpt has it, and the text that it learns. A row of
// StepsArgs is then the place in the text where a sequence begins.
type GPTArgs struct {
	Device     string  `json:"device"`
	Vocabulary int     `json:"vocabulary"`
	Context    int     `json:"context"`
	Layers     int     `json:"layers"`
	Heads      int     `json:"heads"`
	Width      int     `json:"width"`
	Rate       float64 `json:"rate"`
	DType      string  `json:"dtype"`   // float32 or float64
	Batch      int     `json:"batch"`   // of all steps
	Eager      bool    `json:"eager"`   // the steps are not to be CUDA graphs
	Tokens     []byte  `json:"tokens"`  // int16, little-endian: the text
	Weights    []byte  `json:"weights"` // float32, little-endian
	Held       []int   `json:"held"`    // where the sequences begin of which the loss is told
}

// Networked is the answer to NetworkArgs and GPTArgs.
type Networked struct {
	Loss *float64 `json:"loss"` // over all rows, or those held out; nil when it is no number
	// Gradient is that of the loss of the first Batch rows, as the worker's steps compute it.
	Gradient []float64 `json:"gradient,omitempty"`
	// Detail is for people: how the steps of a transformer are launched, "eager", "CUDA graphs",
	// or why they are not; or on which part of a device those of another network are computed.
	Detail string `json:"detail,omitempty"`
}

// StepsArgs say on which rows steps are made, one after the other.
type StepsArgs struct {
	Rows  []int   `json:"rows"`  // those of all steps
	Batch int     `json:"batch"` // rows of a step
	Rate  float64 `json:"rate"`
}

// Stepped is the answer to StepsArgs.
type Stepped struct {
	Wall time.Duration `json:"wall_ns"` // of the steps alone
	Loss *float64      `json:"loss"`    // likewise, after them
}

// LossesArgs name n×n points: that of row j and column i is the weights + (a + i·step)·u +
// (b − j·step)·v.
type LossesArgs struct {
	A    float64 `json:"a"`
	B    float64 `json:"b"`
	Step float64 `json:"step"`
	N    int     `json:"n"`
}

// Mapped is the answer to LossesArgs.
type Mapped struct {
	Wall   time.Duration `json:"wall_ns"`
	Losses []float32     `json:"losses"`
}
