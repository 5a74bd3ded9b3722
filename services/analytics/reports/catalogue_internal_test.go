package reports

import "testing"

func TestOnlyMetricsThatThereAreHaveAGoodWay(t *testing.T) {
	t.Parallel()
	c := newCatalogue()
	for name := range betters() {
		if c.byName[name] == nil {
			t.Errorf("there is no metric %q", name)
		}
	}
}
