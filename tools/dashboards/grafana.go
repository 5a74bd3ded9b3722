// Package dashboards writes the Grafana dashboards of deploy/grafana: rows of panels, each with a query to ClickHouse or Prometheus. What
// belongs to Grafana's JSON is in this file, what the panels ask in the others.
package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// File is a dashboard as Grafana reads it.
type File struct {
	Name string // such as overview.json
	JSON []byte
}

// Files are all dashboards.
func Files() ([]File, error) {
	var out []File
	for _, d := range []dashboard{overview(), agents(), voice(), journeys(), pipeline()} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(d.grafana()); err != nil {
			return nil, fmt.Errorf("dashboards: write %s: %w", d.name, err)
		}
		out = append(out, File{d.name + ".json", b.Bytes()})
	}
	return out, nil
}

// dashboard is a page of rows.
type dashboard struct {
	name, title, description string
	from                     string // begin of the period that it shows at first, such as now-7d
	refresh                  string
	variables                []variable
	rows                     []row
}

// row is panels beside each other, as high as each other.
type row struct {
	title  string // of a heading above; empty for none
	height int
	panels []panel
}

// variable is what a dashboard is narrowed by.
type variable struct {
	name, label string
	sql         string   // whose first column are its values; empty for those below
	values      []string // the first is the one that holds at first
	several     bool     // one may choose several, and all at first
}

// Kinds of panels.
const (
	stat  = "stat"
	lines = "timeseries"
	bars  = "bars"
	table = "table"
)

// panel is a query and how its answer looks.
type panel struct {
	title, description string
	kind, unit         string
	width              int // of 24
	sql                string
	promQL             []series
	stacked            bool
}

// series is a PromQL expression with what its lines are called.
type series struct{ expression, legend string }

type object = map[string]any

const (
	clickHouse = "grafana-clickhouse-datasource"
	prometheus = "prometheus"
)

// source is what a query goes to: a variable, so that a dashboard fits any installation.
func source(kind string) object {
	name := "${clickhouse}"
	if kind == prometheus {
		name = "${prometheus}"
	}
	return object{"type": kind, "uid": name}
}

func (d *dashboard) grafana() object {
	variables := []object{}
	kinds := []string{clickHouse}
	if d.asksPrometheus() {
		kinds = append(kinds, prometheus)
	}
	for _, kind := range kinds {
		name, label := "clickhouse", "ClickHouse"
		if kind == prometheus {
			name, label = "prometheus", "Prometheus"
		}
		variables = append(variables, object{"name": name, "label": label, "type": "datasource", "query": kind, "hide": 0})
	}
	for _, v := range d.variables {
		variables = append(variables, v.grafana())
	}
	panels := []object{}
	y, id := 0, 0
	place := func(x, width, height int, o object) {
		id++
		o["id"], o["gridPos"] = id, object{"x": x, "y": y, "w": width, "h": height}
		panels = append(panels, o)
	}
	for _, r := range d.rows {
		if r.title != "" {
			place(0, 24, 1, object{"type": "row", "title": r.title, "collapsed": false, "panels": []object{}})
			y++
		}
		x := 0
		for _, p := range r.panels {
			place(x, p.width, r.height, p.grafana())
			x += p.width
		}
		y += r.height
	}
	return object{
		"uid": "skein-" + d.name, "title": "Skein: " + d.title, "description": d.description, "tags": []string{"skein"}, "editable": true,
		"schemaVersion": 39, "version": 1, "graphTooltip": 1, "timezone": "browser", "refresh": d.refresh,
		"time": object{"from": d.from, "to": "now"}, "templating": object{"list": variables}, "panels": panels, "annotations": object{"list": []object{}},
		"links": []object{{"type": "dashboards", "title": "Skein", "tags": []string{"skein"}, "asDropdown": true, "keepTime": true, "includeVars": true}},
	}
}

func (d *dashboard) asksPrometheus() bool {
	for _, r := range d.rows {
		for _, p := range r.panels {
			if len(p.promQL) > 0 {
				return true
			}
		}
	}
	return false
}

func (v *variable) grafana() object {
	o := object{"name": v.name, "label": v.label, "multi": v.several, "includeAll": v.several, "hide": 0}
	if v.sql != "" {
		o["type"], o["datasource"], o["query"], o["refresh"], o["sort"] = "query", source(clickHouse), v.sql, 2, 1
	} else {
		options := make([]object, len(v.values))
		for n, value := range v.values {
			options[n] = object{"text": value, "value": value, "selected": n == 0}
		}
		o["type"], o["options"], o["query"], o["current"] = "custom", options, strings.Join(v.values, ","), options[0]
	}
	if v.several {
		o["current"] = object{"text": []string{"All"}, "value": []string{"$__all"}, "selected": true}
	}
	return o
}

func (p *panel) grafana() object {
	o := object{
		"type": p.kind, "title": p.title, "description": p.description,
		"fieldConfig": object{"defaults": object{"unit": p.unit, "custom": p.custom()}, "overrides": []object{}},
		"options":     p.options(),
	}
	if p.kind == bars {
		o["type"] = lines
	}
	targets := []object{}
	if p.sql != "" {
		o["datasource"] = source(clickHouse)
		target := object{"refId": "A", "datasource": source(clickHouse), "editorType": "sql", "rawSql": p.sql, "queryType": "table", "format": 1}
		if p.kind == lines || p.kind == bars {
			target["queryType"], target["format"] = lines, 0
		}
		targets = append(targets, target)
	} else {
		o["datasource"] = source(prometheus)
	}
	for n, s := range p.promQL {
		targets = append(targets, object{
			"refId": string(rune('A' + n)), "datasource": source(prometheus), "expr": s.expression, "legendFormat": s.legend, "range": true,
		})
	}
	o["targets"] = targets
	return o
}

func (p *panel) custom() object {
	custom := object{}
	switch p.kind {
	case lines:
		custom["drawStyle"], custom["lineWidth"], custom["fillOpacity"], custom["showPoints"], custom["spanNulls"] = "line", 2, 8, "auto", false
	case bars:
		custom["drawStyle"], custom["lineWidth"], custom["fillOpacity"] = "bars", 1, 70
	case table:
		custom["filterable"] = true
	}
	if p.stacked {
		custom["stacking"] = object{"mode": "normal"}
	}
	return custom
}

func (p *panel) options() object {
	switch p.kind {
	case stat:
		return object{"colorMode": "value", "graphMode": "none", "reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}}
	case table:
		return object{"showHeader": true, "cellHeight": "sm", "footer": object{"show": false}}
	}
	return object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
}
