package browser_test

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// pictures is where the pictures of the docs are written to.
var pictures = flag.String("pictures", "", "directory in which TestPictures writes the pictures of the docs")

// TestPictures draws the pictures of docs/console.md on the demonstration:
//
//	go test ./tools/browser -run TestPictures -pictures ../../docs/images
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures is not set")
	}
	const largest = 150 << 10 // bytes of a file
	d, _ := sitDown(t, "en-US")
	const desktop, phone = 1280, 390
	for _, p := range []struct {
		// name of the file, and path behind /console/.
		name, path string
		// shows a text that stands there once the page is complete, in what a selector names.
		selector, text string
		width, height  int64
		theme          string
	}{
		{"console-customers", "customers", ".rows", "Anna Weber", desktop, 720, "light"},
		{"console-customer", "customers?q=anna.weber%40example.com", ".timeline", "Does your shop here descale kettles, too?", desktop, 800, "light"},
		{"console-customer-dark", "customers?q=anna.weber%40example.com", ".timeline", "Does your shop here descale kettles, too?", desktop, 800, "dark"},
		{"console-customer-phone", "customers?q=anna.weber%40example.com", ".timeline", "Does your shop here descale kettles, too?", phone, 844, "light"},
		{"console-work", "work?status=open&order=latest", "#work", "Anna Weber", desktop, 640, "light"},
		{"console-supervision", "supervision", "main", "Tom", desktop, 720, "light"},
		{"console-agent", "supervision/agents/tom?day=2026-03-16", "main", "Tom", desktop, 800, "light"},
		{"console-operation", "operation", "main", "timeline", desktop, 800, "light"},
	} {
		d.screen(p.width, p.height, p.theme)
		d.visit(p.path)
		d.shows(p.selector, p.text)
		d.screenshot(p.name)
		drawn, err := os.ReadFile(filepath.Join(t.ArtifactDir(), p.name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		picture := packed(t, drawn)
		if len(picture) > largest {
			t.Errorf("%s has %d kB: choose a smaller part of the page", p.name, len(picture)>>10)
		}
		if err := os.WriteFile(filepath.Join(*pictures, p.name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// packed is a picture in the 256 colours that it has most of, which are nearly all of a page's.
func packed(t *testing.T, drawn []byte) []byte {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(drawn))
	if err != nil {
		t.Fatal(err)
	}
	bounds, often := picture.Bounds(), map[color.Color]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			often[picture.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(often), func(a, b color.Color) int { return often[b] - often[a] })
	few := image.NewPaletted(bounds, colours[:min(len(colours), 256)])
	nearest := map[color.Color]uint8{}
	for c := range often {
		nearest[c] = uint8(few.Palette.Index(c))
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			few.SetColorIndex(x, y, nearest[picture.At(x, y)])
		}
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, few); err != nil {
		t.Fatal(err)
	}
	return small.Bytes()
}
