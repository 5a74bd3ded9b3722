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
	"strings"
	"testing"
)

// pictures is where the pictures of the docs are written to.
var pictures = flag.String("pictures", "", "directory in which TestPictures writes the pictures of the docs; none only draws them")

// drawing is a page of the console and the name of the file that shows it.
type drawing struct {
	// name of the file, and path behind /console/.
	name, path string
	// text stands there once the page is complete, in what selector names.
	selector, text string
	width, height  int64
	theme          string
}

// TestPictures draws the pictures of docs/console.md on the demonstration, and those of the analytics on the hotline of the examples:
//
//	go test ./tools/browser -run TestPictures -pictures ../../docs/images
//
// Without the flag it holds that every page of them can be drawn as the docs show it.
func TestPictures(t *testing.T) {
	t.Parallel()
	const desktop, phone = 1280, 390
	const anna = "customers?q=anna.weber%40example.com"
	d, _ := sitDown(t, "en-US")
	for _, p := range []drawing{
		{"console-customers", "customers", ".rows", "Anna Weber", desktop, 720, "light"},
		{"console-customer", anna, ".timeline", "Does your shop here descale kettles, too?", desktop, 800, "light"},
		{"console-customer-dark", anna, ".timeline", "Does your shop here descale kettles, too?", desktop, 800, "dark"},
		{"console-customer-phone", anna, ".timeline", "Does your shop here descale kettles, too?", phone, 844, "light"},
		{"console-work", "work?status=open&order=latest", "#work", "Anna Weber", desktop, 640, "light"},
		{"console-supervision", "supervision", "main", "Tom", desktop, 720, "light"},
		{"console-agent", "supervision/agents/tom?day=2026-03-16", "main", "Tom", desktop, 800, "light"},
		{"console-queue", "supervision/queues/kettles", "main", "Kettles", desktop, 800, "light"},
		{"console-directory", "supervision/directory/agent", "main", "Tom", desktop, 560, "light"},
		{"console-operation", "operation", "main", "timeline", desktop, 800, "light"},
		{"console-rebuild", "operation/rebuild", "main", "timeline", desktop, 640, "light"},
		{"console-dead-letters", "operation/dead-letters", "main", "Everything that came was understood", desktop, 560, "light"},
		{"console-channels", "operation/channels", "main", "phone.twilio", desktop, 640, "light"},
		{"console-configuration", "operation/configuration", "main", "log", desktop, 720, "light"},
	} {
		d.draw(p)
	}
	d.visit("work?status=open&order=latest")
	d.opens("Anna Weber")
	d.shows("#talk-head", "Anna Weber")
	d.draw(drawing{"console-conversation", strings.TrimPrefix(evaluate[string](d.tab, `location.pathname`), "/console/"), "#talk-head", "Anna Weber", desktop, 800, "light"})
	a := sitAtTheNumbers(t)
	for _, p := range []drawing{
		{"console-analytics", "analytics?" + inApril, "main", "Volume by channel", desktop, 900, "light"},
		{"console-report", "analytics/reports/queues?" + inApril, ".table.report", "Kettles", desktop, 800, "light"},
		{"console-interactions", "analytics/interactions?metric=service_level&part=counted&" + inApril, "main", "Service level", desktop, 640, "light"},
		{"console-download", "analytics/download?" + inApril, ".download-form", "queue_visits", desktop, 640, "light"},
	} {
		a.draw(p)
	}
}

func (d consoleTab) draw(p drawing) {
	d.t.Helper()
	const largest = 150 << 10 // bytes of a file
	d.screen(p.width, p.height, p.theme)
	d.visit(p.path)
	d.shows(p.selector, p.text)
	d.screenshot(p.name)
	drawn, err := os.ReadFile(filepath.Join(d.t.ArtifactDir(), p.name+".png"))
	if err != nil {
		d.t.Fatal(err)
	}
	small := packed(d.t, drawn)
	if len(small) > largest {
		d.t.Errorf("%s has %d kB: choose a smaller part of the page", p.name, len(small)>>10)
	}
	if *pictures == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*pictures, p.name+".png"), small, 0o644); err != nil {
		d.t.Fatal(err)
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
