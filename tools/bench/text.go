package bench

import (
	"fmt"
	"slices"
	"time"
)

// rate is events per second.
type rate float64

func rateOf(n int, d time.Duration) rate { return rate(float64(n) / d.Seconds()) }

// String shows three digits or so.
func (r rate) String() string {
	switch {
	case r >= 100_000:
		return fmt.Sprintf("%.0f k/s", r/1000)
	case r >= 1000:
		return fmt.Sprintf("%.1f k/s", r/1000)
	}
	return fmt.Sprintf("%.0f/s", float64(r))
}

// of writes how much of a ceiling was reached.
func (r rate) of(ceiling rate) string { return fmt.Sprintf("%.0f %%", 100*float64(r/ceiling)) }

// none stands where a figure does not apply.
const none = "–"

func median[T ~float64 | ~int64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// delays are durations that were measured.
type delays []time.Duration

// sort must come before at.
func (d delays) sort() delays {
	slices.Sort(d)
	return d
}

func (d delays) at(fraction float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return d[int(fraction*float64(len(d)-1))]
}

// show writes a duration with three digits or so.
func show(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
}

// micros writes a short duration.
func micros(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1000) }

// times writes how many times a duration is another one.
func times(d, base time.Duration) string {
	if base <= 0 {
		return none
	}
	return fmt.Sprintf("%.1f ×", float64(d)/float64(base))
}

// count writes a number with a space between thousands.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
