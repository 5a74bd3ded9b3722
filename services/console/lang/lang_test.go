package lang_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/services/console/lang"
)

// said are the English texts that the pages say, by where.
func said(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			var argument int
			switch fun := call.Fun.(type) {
			case *ast.SelectorExpr:
				if from, ok := fun.X.(*ast.Ident); !ok || from.Name != "lang" || fun.Sel.Name != "T" {
					return true
				}
				argument = 1
			case *ast.Ident:
				if fun.Name != "t" { // what says lang.T in short
					return true
				}
			default:
				return true
			}
			if len(call.Args) <= argument {
				return true
			}
			switch a := call.Args[argument].(type) {
			case *ast.BasicLit:
				text, err := strconv.Unquote(a.Value)
				if err != nil {
					t.Error(err)
				}
				texts[text] = files.Position(a.Pos()).String()
			case *ast.Ident: // of a function that says lang.T in short
			default:
				if _, whole := call.Fun.(*ast.SelectorExpr); whole {
					t.Errorf("%s: the text of lang.T must stand there itself, so that it is found", files.Position(a.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

var verbs = regexp.MustCompile(`%[a-z]`)

func TestEveryTextOfThePagesIsKnownInChinese(t *testing.T) {
	t.Parallel()
	chinese, err := lang.Texts()
	if err != nil {
		t.Fatal(err)
	}
	english := said(t)
	for text, where := range english {
		translated, ok := chinese[text]
		if !ok {
			t.Errorf("%s: zh/*.json lack %q", where, text)
		}
		if ok && strings.Join(verbs.FindAllString(text, -1), "") != strings.Join(verbs.FindAllString(translated, -1), "") {
			t.Errorf("%q and %q do not take the same arguments in the same order", text, translated)
		}
	}
	for text := range chinese {
		if _, ok := english[text]; !ok {
			t.Errorf("zh/*.json know %q, which no page says", text)
		}
	}
}

func speaker(t *testing.T, cookies map[string]string, accept string) context.Context {
	t.Helper()
	languages, err := lang.New()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Accept-Language", accept)
	for name, value := range cookies {
		r.Header.Add("Cookie", name+"="+value)
	}
	return lang.With(t.Context(), languages.Speaker(r))
}

func TestAPersonIsSpokenToInTheLanguageOfTheirChoiceElseOfTheirBrowser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ chosen, accept, want string }{
		{"", "", "en"}, {"", "de-DE,de", "en"}, {"", "zh-CN,en;q=0.5", "zh"}, {"", "zh-TW", "zh"}, {"en", "zh-CN", "en"}, {"zh", "en-US", "zh"}, {"xx", "zh", "zh"},
	} {
		if got := lang.Tag(speaker(t, map[string]string{lang.LanguageCookie: c.chosen}, c.accept)); got != c.want {
			t.Errorf("chosen %q, browser %q: %s instead of %s", c.chosen, c.accept, got, c.want)
		}
	}
}

func TestTimesAreToldInTheZoneOfTheBrowser(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC)
	for _, c := range []struct{ zone, language, day, moment string }{
		{"", "en", "Monday, 2 March 2026", "2 Mar 2026 23:30"},
		{"Asia%2FShanghai", "zh", "2026年3月3日 星期二", "2026年3月3日 07:30"},
		{"Nowhere%2FElse", "en", "Monday, 2 March 2026", "2 Mar 2026 23:30"},
	} {
		ctx := speaker(t, map[string]string{lang.ZoneCookie: c.zone}, c.language)
		if day, moment := lang.Day(ctx, at), lang.Moment(ctx, at); day != c.day || moment != c.moment {
			t.Errorf("%s, %s: %q and %q", c.zone, c.language, day, moment)
		}
	}
}

func TestANumberDecidesBetweenOneAndMany(t *testing.T) {
	t.Parallel()
	english, chinese := speaker(t, nil, "en"), speaker(t, nil, "zh")
	for got, want := range map[string]string{
		lang.T(english, "%d events", 1): "1 event", lang.T(english, "%d events", 0): "0 events", lang.T(english, "%d events", 12345): "12,345 events",
		lang.T(chinese, "%d events", 1): "1 个事件",
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

func TestAStopwatchCountsInMinutesThenHoursThenDays(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0:00", 42 * time.Second: "0:42", 12*time.Minute + 5*time.Second: "12:05", time.Hour + 2*time.Minute + 3*time.Second: "1:02:03",
		51*time.Hour + 15*time.Minute: "2d 03:15",
	} {
		if got := lang.Stopwatch(d); got != want {
			t.Errorf("%s is %q instead of %q", d, got, want)
		}
	}
}
