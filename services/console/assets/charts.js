// Charts of the console. A page puts what is to be drawn, as JSON, into data-chart (services/console/analytics: chart); uPlot draws it. Colours are the
// custom properties of the style sheets, so that a chart follows the light and the dark; its numbers can be read by mouse, by touch and by keyboard.
"use strict";

(() => {
  const root = document.documentElement, language = root.lang === "zh" ? "zh-CN" : "en";
  const minute = 60, hour = 3600, day = 86400, monthLong = day * 30, yearLong = day * 365;

  // A colour as the canvas takes it: custom properties hold light-dark(), which only an element resolves.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.getElementById("main").append(probe); // a section has colours of its own
  const color = (name, share = 1) => {
    probe.style.color = `var(${name})`;
    const solid = getComputedStyle(probe).color;
    return share === 1 ? solid : `rgba(${solid.match(/[\d.]+/g).slice(0, 3).join(", ")}, ${share})`;
  };
  const font = () => "12px " + getComputedStyle(document.body).fontFamily;

  // Numbers, in the manner of lang.Number, lang.Percent and lang.Stopwatch.
  const two = (n) => String(n).padStart(2, "0");
  const stopwatch = (seconds) => {
    const s = Math.max(0, Math.round(seconds)), h = Math.floor(s / hour), m = Math.floor(s / minute) % 60;
    if (h >= 24) return `${Math.floor(h / 24)}d ${two(h % 24)}:${two(m)}`;
    return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  };
  const digits = (n, style = "decimal") => { const f = new Intl.NumberFormat(language, { style, minimumFractionDigits: n, maximumFractionDigits: n }); return (v) => f.format(v); };
  const spell = { count: digits(0), share: digits(1, "percent"), points: digits(1), decimal: digits(2), time: stopwatch };
  const scale = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const tick = { count: (v) => scale.format(v), points: (v) => scale.format(v), decimal: digits(2), share: (v) => percent.format(v), time: stopwatch };
  const valueSteps = {
    count: [1, 2, 5].flatMap((n) => Array.from({ length: 12 }, (_, e) => n * 10 ** e)).sort((a, b) => a - b),
    time: [1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 4 * hour, 6 * hour, 12 * hour, day, 2 * day, 5 * day, 10 * day, 30 * day, 100 * day],
  };

  // Times of the axis, as long as there is room: what is told goes by how far the ticks are apart.
  const lengths = { "15m": 15 * minute, "30m": 30 * minute, hour, day, week: 7 * day, month: monthLong };
  const timeSteps = [15 * minute, 30 * minute, hour, 2 * hour, 3 * hour, 4 * hour, 6 * hour, 8 * hour, 12 * hour, day, 2 * day, 3 * day, 4 * day, 5 * day, 7 * day, 10 * day, 15 * day,
    monthLong, 2 * monthLong, 3 * monthLong, 4 * monthLong, 6 * monthLong, yearLong, 2 * yearLong, 5 * yearLong, 10 * yearLong];
  const clock = (zone) => {
    const format = (options) => { const f = new Intl.DateTimeFormat(language, { timeZone: zone, ...options }); return (t) => f.format(t * 1000); };
    const time = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }), date = format({ day: "numeric", month: "short" });
    const months = format({ month: "short" }), years = format({ year: "numeric" });
    return (u, splits, axis, space, apart) => {
      let told = "";
      return splits.map((t) => {
        const name = apart >= yearLong ? years(t) : apart >= monthLong ? months(t) : apart >= day ? date(t) : time(t);
        const above = apart >= yearLong ? "" : apart >= day ? years(t) : date(t);
        const text = above !== told ? name + "\n" + above : name;
        told = above;
        return text;
      });
    };
  };

  const element = (name, className, text = "") => {
    const e = document.createElement(name);
    e.className = className;
    e.textContent = text;
    return e;
  };

  class Chart {
    constructor(box) {
      this.box = box;
      this.of = JSON.parse(box.dataset.chart);
      this.shown = this.of.series.map(() => true);
      this.timed = Boolean(this.of.x?.length);
      this.x = this.timed ? this.of.x : this.of.labels.map((_, n) => n);
      this.at = null;
      this.stage = element("div", "stage-of-plot");
      this.stage.tabIndex = 0;
      // A chart is read like a slider is moved: that is what every screen reader knows.
      const says = { role: "slider", "aria-label": this.of.title + ". " + (box.dataset.hint || ""), "aria-valuemin": 0, "aria-valuemax": Math.max(0, this.x.length - 1), "aria-orientation": "horizontal" };
      for (const [name, value] of Object.entries(says)) this.stage.setAttribute(name, value);
      this.legend = element("div", "chart-legend");
      this.moment = element("span", "chart-moment");
      this.legend.append(this.moment);
      this.values = this.of.series.map((s, n) => {
        const button = element("button", "of-series");
        button.type = "button";
        button.setAttribute("aria-pressed", "true");
        const mark = element("i", s.faint ? "faint" : ""), value = element("b", "");
        mark.style.color = `var(${s.color})`;
        button.append(mark, element("span", "", s.label), value);
        button.addEventListener("click", () => {
          this.shown[n] = !this.shown[n];
          button.setAttribute("aria-pressed", String(this.shown[n]));
          this.draw();
        });
        this.legend.append(button);
        return value;
      });
      box.replaceChildren(this.stage, this.legend);
      this.stage.addEventListener("keydown", (e) => this.key(e));
      this.draw();
      this.read(null);
      new ResizeObserver(() => {
        const width = this.stage.clientWidth;
        if (width > 0 && width !== this.plot.width) this.timed ? this.plot.setSize({ width, height: this.height() }) : this.draw();
      }).observe(this.stage);
    }

    height() { return this.timed || this.of.labels.length < 7 ? 230 : 280; }

    // What is stacked is drawn from the highest down, each in front of what it stands on.
    data() {
      const values = this.of.series.map((s, n) => (this.shown[n] ? s.values : s.values.map(() => null)));
      if (this.of.kind !== "stacked") return { rows: values, order: values.map((_, n) => n) };
      const sum = this.x.map(() => 0);
      const rows = values.map((v) => v.map((n, i) => (sum[i] += n ?? 0)));
      return { rows: rows.reverse(), order: values.map((_, n) => n).reverse() };
    }

    draw() {
      const { rows, order } = this.data(), { kind, unit, step } = this.of;
      const bars = kind !== "lines", quiet = color("--quiet"), line = color("--line");
      const beside = bars && kind !== "stacked" ? this.of.series.length : 1;
      const half = this.timed ? (lengths[step] || day) / 2 : 0.5;
      const series = order.map((n, place) => {
        const s = this.of.series[n], stroke = color(s.color), common = { label: s.label, show: this.shown[n], spanGaps: false };
        if (!bars) {
          return { ...common, stroke, width: s.faint ? 1.5 : 2, dash: s.faint ? [5, 4] : undefined, fill: !s.faint && order.length === 1 ? color(s.color, 0.1) : undefined, points: s.faint ? { show: false } : { size: 5, fill: stroke } };
        }
        const size = kind === "stacked" ? 0.72 : 0.78 / beside;
        return {
          ...common, stroke: s.faint ? "transparent" : stroke, fill: color(s.color, s.faint ? 0.35 : 1), width: 0, points: { show: false },
          paths: uPlot.paths.bars({ size: [size, 56], align: beside === 1 ? 0 : place === 0 ? -1 : 1, radius: kind === "stacked" ? 0 : 0.12, gap: kind === "stacked" ? 1 : 0 }),
        };
      });
      const width = this.stage.clientWidth || 300, slanted = this.of.labels.length * 104 > width;
      const across = this.timed
        ? { scale: "x", values: clock(this.of.zone), incrs: timeSteps.filter((s) => s >= (lengths[step] || hour)), space: 64, size: 40 }
        : {
          scale: "x", splits: () => this.x, size: slanted ? 78 : 34, rotate: slanted ? 38 : 0, values: (u, splits) => splits.map((n) => { const t = this.of.labels[n] ?? ""; return t.length > 16 ? t.slice(0, 15) + "…" : t; }), space: 1,
        };
      const look = { stroke: quiet, font: font(), grid: { show: false }, ticks: { stroke: line, width: 1, size: 4 } };
      const options = {
        width, height: this.height(), padding: [12, bars ? 12 : 30, 0, 0],
        tzDate: (t) => uPlot.tzDate(new Date(t * 1000), this.of.zone || "UTC"),
        legend: { show: false }, select: { show: false },
        cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 8, show: !bars } },
        scales: {
          x: { time: this.timed, range: (u, min, max) => (bars || min === max ? [min - half, max + half] : [min, max]) },
          y: { range: (u, min, max) => this.range(min, max) },
        },
        axes: [{ ...look, ...across }, { ...look, scale: "y", size: unit === "time" ? 64 : 52, space: 36, grid: { stroke: line, width: 1 }, ticks: { show: false }, incrs: valueSteps[unit], values: (u, splits) => splits.map((v) => (v === null ? "" : tick[unit](v))) }],
        series: [{}, ...series],
        hooks: { setCursor: [(u) => this.read(u.cursor.idx ?? null)] },
      };
      this.plot?.destroy();
      this.plot = new uPlot(options, [this.x, ...rows], this.stage);
      if (this.at !== null) this.move(this.at);
    }

    range(min, max) {
      if (min === null || max === null) return [0, 1];
      const low = Math.min(0, min), high = Math.max(0, max), room = (high - low || 1) * 0.08;
      if (this.of.unit === "share" && low >= 0 && high <= 1) return [0, Math.min(1, high + room)];
      return [low < 0 ? low - room : 0, high > 0 ? high + room : 0 - (low ? 0 : -1)];
    }

    // read tells the numbers at a place, or the names alone where there is none.
    read(at) {
      if (at !== null && this.x[at] === undefined) at = null;
      this.at = at;
      this.moment.textContent = at === null ? "" : this.of.labels[at] ?? "";
      const said = [this.moment.textContent];
      this.of.series.forEach((s, n) => {
        const v = at === null ? null : s.values[at], text = at === null ? "" : v === null || v === undefined ? "–" : spell[this.of.unit](v);
        this.values[n].textContent = text;
        if (text && this.shown[n]) said.push(s.label + " " + text);
      });
      this.stage.setAttribute("aria-valuenow", at ?? 0);
      this.stage.setAttribute("aria-valuetext", at === null ? this.of.title : said.join(", "));
    }

    move(at) {
      this.plot.setCursor({ left: this.plot.valToPos(this.x[at], "x"), top: 10 });
    }

    key(e) {
      const last = this.x.length - 1, at = this.at;
      const to = { ArrowRight: at === null ? 0 : at + 1, ArrowLeft: at === null ? last : at - 1, Home: 0, End: last, PageDown: (at ?? 0) + 7, PageUp: (at ?? last) - 7 }[e.key];
      if (to === undefined || last < 0) return;
      e.preventDefault();
      this.move(Math.max(0, Math.min(last, to)));
    }
  }

  const charts = new Set();
  const find = (within) => {
    for (const box of within.querySelectorAll("[data-chart]:not([data-drawn])")) {
      box.dataset.drawn = "";
      charts.add(new Chart(box));
    }
  };
  const again = () => { for (const c of charts) c.box.isConnected ? c.draw() : charts.delete(c); };
  find(document);
  document.addEventListener("htmx:load", (e) => find(e.target));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new MutationObserver(again).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
})();
