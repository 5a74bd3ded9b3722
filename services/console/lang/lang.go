// Package lang is how the console speaks to a person: in which language, in which time zone, and how it writes times and numbers.
//
// The English words stand in the pages, as the keys of what they are in other languages: T(ctx, "Find a customer"). zh holds the Chinese, in a file for each
// section of the console, and one for what several say.
package lang

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
	"golang.org/x/text/number"
)

//go:embed zh
var chinese embed.FS

// singulars are the English texts that read otherwise of one thing. The first number of a text decides.
func singulars() map[string]string {
	return map[string]string{
		"%d agents":            "%d agent",
		"%d agents needed":     "%d agent needed",
		"%d conversations":     "%d conversation",
		"%d customers":         "%d customer",
		"%d days":              "%d day",
		"%d dead letters wait": "%d dead letter waits",
		"%d events":            "%d event",
		"%d interactions":      "%d interaction",
		"%d letters are taken in again, one after the other.": "%d letter is taken in again.",
		"%d things need a look":                               "%d thing needs a look",
		"%d weeks of history.":                                "%d week of history.",
		"%d were not":                                         "%d was not",
		"Together: %d addresses.":                             "Together: %d address.",
		"Within %d days":                                      "Within %d day",
		"Within %d hours":                                     "Within %d hour",
	}
}

// The cookies by which a person's choice is kept.
const (
	LanguageCookie = "skein_lang"
	ZoneCookie     = "skein_zone"
)

// Languages are the languages that the console speaks. It is safe for concurrent use.
type Languages struct {
	catalog catalog.Catalog
	tags    []language.Tag
	matcher language.Matcher
}

// Texts are what is known in Chinese, by the English text.
func Texts() (map[string]string, error) {
	texts := map[string]string{}
	files, err := fs.Glob(chinese, "zh/*.json")
	if err != nil {
		return nil, fmt.Errorf("lang: list zh: %w", err)
	}
	for _, name := range files {
		data, err := chinese.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("lang: read %s: %w", name, err)
		}
		var part map[string]string
		if err := json.Unmarshal(data, &part); err != nil {
			return nil, fmt.Errorf("lang: read %s: %w", name, err)
		}
		for english, text := range part {
			if _, twice := texts[english]; twice {
				return nil, fmt.Errorf("lang: %s: %q stands in another file, too: put it into common.json", name, english)
			}
			texts[english] = text
		}
	}
	return texts, nil
}

// New reads the languages.
func New() (*Languages, error) {
	texts, err := Texts()
	if err != nil {
		return nil, err
	}
	b := catalog.NewBuilder(catalog.Fallback(language.English))
	for _, english := range slices.Sorted(maps.Keys(texts)) {
		if err := b.SetString(language.Chinese, english, texts[english]); err != nil {
			return nil, fmt.Errorf("lang: the Chinese of %q: %w", english, err)
		}
	}
	for many, one := range singulars() {
		if err := b.Set(language.English, many, plural.Selectf(1, "%d", plural.One, one, plural.Other, many)); err != nil {
			return nil, fmt.Errorf("lang: %q: %w", many, err)
		}
	}
	l := &Languages{catalog: b, tags: []language.Tag{language.English, language.Chinese}}
	l.matcher = language.NewMatcher(l.tags)
	return l, nil
}

// Speaker speaks to one person.
type Speaker struct {
	// Tag of the language, as the page states it: en or zh.
	Tag string
	// Zone in which times are told.
	Zone    *time.Location
	printer *message.Printer
}

// Speaker is how to speak to whoever asks for a page: in the language that was chosen, else in one that the browser states; in the browser's time
// zone once it is known, else in UTC.
func (l *Languages) Speaker(r *http.Request) *Speaker {
	var chosen string
	if c, err := r.Cookie(LanguageCookie); err == nil {
		chosen = c.Value
	}
	_, i := language.MatchStrings(l.matcher, chosen, r.Header.Get("Accept-Language"))
	s := &Speaker{Tag: l.tags[i].String(), Zone: time.UTC, printer: message.NewPrinter(l.tags[i], message.Catalog(l.catalog))}
	if c, err := r.Cookie(ZoneCookie); err == nil {
		if zone, err := time.LoadLocation(unescaped(c.Value)); err == nil {
			s.Zone = zone
		}
	}
	return s
}

type contextKey struct{}

// With gives the context of what is said by a speaker.
func With(ctx context.Context, s *Speaker) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// from is the speaker; one who speaks English and tells UTC where there is none.
func from(ctx context.Context) *Speaker {
	if s, ok := ctx.Value(contextKey{}).(*Speaker); ok {
		return s
	}
	return &Speaker{Tag: "en", Zone: time.UTC, printer: message.NewPrinter(language.English)}
}

// T is an English text in the language of the page, with its arguments in their places.
func T(ctx context.Context, english string, args ...any) string {
	return from(ctx).printer.Sprintf(english, args...)
}

// Tag is the language of the page: en or zh.
func Tag(ctx context.Context) string { return from(ctx).Tag }

// Zone is the time zone of the page.
func Zone(ctx context.Context) *time.Location { return from(ctx).Zone }

// In tells times in a zone from here on.
func In(ctx context.Context, zone *time.Location) context.Context {
	s := *from(ctx)
	s.Zone = zone
	return With(ctx, &s)
}

// Number is a number with as many digits behind the point as stated.
func Number(ctx context.Context, n float64, digits int) string {
	return from(ctx).printer.Sprint(number.Decimal(n, number.MaxFractionDigits(digits), number.MinFractionDigits(digits)))
}

// Count is a whole number.
func Count[N ~int | ~int32 | ~int64 | ~uint32 | ~uint64](ctx context.Context, n N) string {
	return from(ctx).printer.Sprint(number.Decimal(n))
}

// Percent is a share, from 0 to 1.
func Percent(ctx context.Context, share float64, digits int) string {
	return from(ctx).printer.Sprint(number.Percent(share, number.MaxFractionDigits(digits), number.MinFractionDigits(digits)))
}

// Clock is a time of day, to the minute.
func Clock(ctx context.Context, t time.Time) string { return t.In(Zone(ctx)).Format("15:04") }

// Day is a date with its day of the week.
func Day(ctx context.Context, t time.Time) string {
	t = t.In(Zone(ctx))
	if Tag(ctx) == "zh" {
		return t.Format("2006年1月2日 ") + [...]string{"星期日", "星期一", "星期二", "星期三", "星期四", "星期五", "星期六"}[t.Weekday()]
	}
	return t.Format("Monday, 2 January 2006")
}

// Date is a date.
func Date(ctx context.Context, t time.Time) string {
	if Tag(ctx) == "zh" {
		return t.In(Zone(ctx)).Format("2006年1月2日")
	}
	return t.In(Zone(ctx)).Format("2 Jan 2006")
}

// Moment is a date and a time of day, to the minute.
func Moment(ctx context.Context, t time.Time) string { return Date(ctx, t) + " " + Clock(ctx, t) }

// Stopwatch is a duration as a clock shows it: 0:42, 12:05, 1:02:03, 2d 03:15. The page's script counts on in the same manner.
func Stopwatch(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch h := s / 3600; {
	case h >= 24:
		return fmt.Sprintf("%dd %02d:%02d", h/24, h%24, s/60%60)
	case h > 0:
		return fmt.Sprintf("%d:%02d:%02d", h, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// unescaped is a cookie's value as the page's script wrote it.
func unescaped(value string) string {
	text, err := url.QueryUnescape(value)
	if err != nil {
		return ""
	}
	return text
}
