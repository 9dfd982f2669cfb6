package card

import (
	"image/color"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

// A Theme is the colours of a card.
type Theme struct {
	Name                                string
	surface, sunken, line               color.RGBA
	ink, ink2, ink3                     color.RGBA // for text: at least 4.5:1 on the surface
	good, warn                          color.RGBA
	cpu, cpuInk, gpu, gpuInk, soft, off color.RGBA // off is a software GPU's, and of what has no result
}

// Themes are all that there are, the usual one first.
var Themes = []Theme{
	{
		Name: "light", surface: rgb(0xffffff), sunken: rgb(0xeeeff5), line: rgb(0xd5d8e3),
		ink: rgb(0x151929), ink2: rgb(0x4c536b), ink3: rgb(0x636a82), good: rgb(0x12794f), warn: rgb(0xa8420a),
		cpu: rgb(0xe58e00), cpuInk: rgb(0x935700), gpu: rgb(0x3866e0), gpuInk: rgb(0x2a52c4), soft: rgb(0xd6e0fa), off: rgb(0x8b91a5),
	},
	{
		Name: "dark", surface: rgb(0x11141d), sunken: rgb(0x1c2130), line: rgb(0x2f3649),
		ink: rgb(0xeff1f8), ink2: rgb(0xb0b7cc), ink3: rgb(0x8990a8), good: rgb(0x52d39b), warn: rgb(0xff9d6b),
		cpu: rgb(0xffb03a), cpuInk: rgb(0xffbe5e), gpu: rgb(0x6f96ff), gpuInk: rgb(0x93b0ff), soft: rgb(0x24325f), off: rgb(0x747b92),
	},
}

func rgb(x uint32) color.RGBA {
	return color.RGBA{R: uint8(x >> 16), G: uint8(x >> 8), B: uint8(x), A: 0xff}
}

// lane returns the colours of a kind of device: for areas and for text.
func (t Theme) lane(k hardware.Kind) (area, text color.RGBA) {
	switch k {
	case hardware.CPU:
		return t.cpu, t.cpuInk
	case hardware.GPU:
		return t.gpu, t.gpuInk
	}
	return t.off, t.ink2
}
