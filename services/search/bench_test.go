package search_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
)

// line is one message of a real chat.
type line struct{ chat, text string }

// unpack gives the files of an archive of ../shared/data that have an ending. Without the data the benchmark is skipped.
func unpack(b *testing.B, name, ending string, file func(string, []byte)) {
	b.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name, name+".tar.xz")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if strings.Contains(os.Getenv("SKEIN_REQUIRE"), "data") || os.Getenv("SKEIN_REQUIRE") == "all" {
			b.Fatalf("../shared/data/%s is not here", name)
		}
		b.Skipf("skipped: ../shared/data/%s is not here (SKEIN_REQUIRE=data makes this a failure)", name)
	}
	must(b, err)
	defer f.Close()
	unpacked, err := xz.NewReader(f)
	must(b, err)
	for files := tar.NewReader(unpacked); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(b, err)
		if h.Typeflag == tar.TypeReg && strings.HasSuffix(h.Name, ending) {
			data, err := io.ReadAll(files)
			must(b, err)
			file(h.Name, data)
		}
	}
}

// english are MultiDoGO's sentences.
func english(b *testing.B) (all []line) {
	b.Helper()
	unpack(b, "multidogo", ".tsv", func(name string, data []byte) {
		if !strings.Contains(name, "sentence_level") {
			return
		}
		table := csv.NewReader(bytes.NewReader(data))
		table.Comma, table.LazyQuotes, table.FieldsPerRecord = '\t', true, -1
		rows, err := table.ReadAll()
		must(b, err)
		for _, r := range rows[1:] {
			if len(r) > 4 && strings.TrimSpace(r[4]) != "" {
				all = append(all, line{r[0], r[4]})
			}
		}
	})
	return all
}

// chinese are CrossWOZ's messages.
func chinese(b *testing.B) (all []line) {
	b.Helper()
	unpack(b, "crosswoz", ".json.zip", func(_ string, data []byte) {
		packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		must(b, err)
		f, err := packed.File[0].Open()
		must(b, err)
		defer f.Close()
		var chats map[string]struct {
			Messages []struct{ Content string } `json:"messages"`
		}
		must(b, json.NewDecoder(f).Decode(&chats))
		for id, chat := range chats {
			for _, m := range chat.Messages {
				all = append(all, line{id, m.Content})
			}
		}
	})
	return all
}

// BenchmarkRealChats indexes MultiDoGO and CrossWOZ, some 140,000 messages, and then searches in them.
func BenchmarkRealChats(b *testing.B) {
	all := append(english(b), chinese(b)...)
	w := newWorld(b)
	texts := 0
	batch := make([]*eventv1.Submission, 0, 500)
	for i, l := range all {
		s := message(l.chat, fmt.Sprint(i), l.text)
		s.OccurredAt = timestamppb.New(at(0).Add(time.Duration(i) * time.Second / 10))
		texts += len(l.text)
		if batch = append(batch, s); len(batch) == cap(batch) || i == len(all)-1 {
			w.submit(tenant, batch...)
			batch = batch[:0]
		}
	}
	w.last = nil
	for p := range int32(partitions) {
		_, next, err := w.log.Bounds(b.Context(), event.TopicInteractions, p)
		must(b, err)
		w.last = append(w.last, &eventv1.Position{Topic: event.TopicInteractions, Partition: p, Offset: next - 1})
	}
	b.Run("index", func(b *testing.B) {
		w.t = b
		var took time.Duration
		for b.Loop() {
			w.stop()
			must(b, os.RemoveAll(w.dir))
			began := time.Now()
			w.begin()
			w.found("hello")
			took += time.Since(began)
		}
		w.stop()
		b.ReportMetric(float64(len(all)*b.N)/took.Seconds(), "messages/s")
		b.ReportMetric(float64(texts)/float64(len(all)), "text-B/message")
		b.ReportMetric(float64(sizeOf(b, w.dir))/float64(len(all)), "index-B/message")
	})
	w.t = b
	w.stop()
	w.begin()
	w.found("hello")
	for name, queries := range map[string][]string{
		"english": {"refund", "cancelled flight", "pizza large", "laptop screen broken", "change my seat", "insurance policy", "hello"},
		"phrase":  {`"credit card"`, `"i want to"`, `"thank you"`, `"my flight"`},
		"prefix":  {"refun*", "canc* fli*", "th*"},
		"chinese": {"餐馆", "免费景点", "附近的地铁站", "酒店 早餐", "门票", "人均消费", "推荐 -酒店", "吃"},
		"mixed":   {"wifi", "hello 你好", "refund -flight", "酒店 wifi"},
		"filters": {"thank", "酒店", "flight"},
	} {
		b.Run("search/"+name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				req := &searchv1.SearchRequest{Query: queries[i%len(queries)]}
				if name == "filters" {
					req.From, req.Until = timestamppb.New(at(5)), timestamppb.New(at(300))
					req.Channels, req.Order = []eventv1.Channel{eventv1.Channel_CHANNEL_WEB_CHAT}, searchv1.SearchOrder_SEARCH_ORDER_NEWEST_FIRST
				}
				began := time.Now()
				w.search(req)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// sizeOf is how many bytes the files of a directory have.
func sizeOf(b *testing.B, dir string) (size int64) {
	b.Helper()
	must(b, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			size += info.Size()
		}
		return err
	}))
	return size
}
