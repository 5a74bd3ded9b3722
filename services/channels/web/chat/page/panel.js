// What a visitor sees: a button and a panel in a shadow tree, or the panel alone on Skein's own page. Texts of others are only ever text:
// nothing is parsed as HTML, and style comes from a constructed sheet, so that the strictest policy of a site lets it work.

const script = document.currentScript;
const options = script.dataset;
const language = (() => {
  const wanted = options.lang && options.lang !== "auto" ? options.lang : (!options.lang && document.documentElement.lang) || navigator.language;
  return /^zh\b/i.test(wanted) ? "zh" : "en";
})();
const say = words[language];
const locale = language === "zh" ? "zh-CN" : navigator.language.startsWith("en") ? navigator.language : "en";
const alone = options.mode === "page";

const icons = {
  chat: "M4 4h16a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-7l-5 4v-4H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z",
  close: "M5.3 4 12 10.600 18.700 4 20 5.300 13.400 12 20 18.700 18.700 20 12 13.400 5.300 20 4 18.700 10.600 12 4 5.300z",
  attach: "M16.500 6v11.500a4 4 0 0 1-8 0V5a2.500 2.500 0 0 1 5 0v10.500a1 1 0 0 1-2 0V6H10v9.500a2.500 2.500 0 0 0 5 0V5a4 4 0 0 0-8 0v12.500a5.500 5.500 0 0 0 11 0V6z",
  send: "M3 20.500 21 12 3 3.500V10l11 2-11 2z",
};

// el makes an element. Attributes that are functions are listeners; true and false are there or not.
function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") e.addEventListener(key, value);
    else if (typeof value === "boolean") e.toggleAttribute(key, value);
    else e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", icons[name]);
  svg.append(path);
  return svg;
}

// linked is a text whose web addresses can be followed.
function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"'“”‘’「」，。；！？、（）]+/gi)) {
    const address = match[0].replace(/[.,;:!?)\]}]+$/, "");
    if (!URL.canParse(address)) continue;
    parts.push(text.slice(end, match.index), el("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, address));
    end = match.index + address.length;
  }
  return [...parts, text.slice(end)];
}

const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const list = new Intl.ListFormat(locale, { type: "conjunction" });
const ago = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });

function relative(at, now) {
  const minutes = Math.round((now - at) / 60_000);
  if (minutes < 1) return say.now;
  if (minutes < 60) return ago.format(-minutes, "minute");
  return new Date(at).toDateString() === new Date(now).toDateString() ? clock.format(at) : calendar.format(at);
}

function bytes(n) {
  const units = ["byte", "kilobyte", "megabyte"];
  let unit = 0;
  while (n >= 1024 && unit < 2) { n /= 1024; unit++; }
  return new Intl.NumberFormat(locale, { style: "unit", unit: units[unit], unitDisplay: "short", maximumFractionDigits: n < 10 && unit ? 1 : 0 }).format(n);
}

const pictures = ["image/png", "image/jpeg", "image/gif", "image/webp"];

// picture draws a picture into a canvas: no policy on images stands in its way, and nothing but its points gets into the page.
async function picture(canvas, blob, width, height) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, width / bitmap.width, height / bitmap.height);
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
}

class Panel {
  constructor() {
    this.items = new Map(); // by who and id of the message
    this.company = []; // ids of the company's messages, in their order
    this.own = []; // those of the visitor's that the log has
    this.seen = 0; // how many of the company's were read
    this.told = 0; // how many of them reading was told of
    this.delivered = new Set();
    this.typists = new Map(); // by who: names of those who type
    this.uploads = new Map(); // by element
    this.opened = alone;
    this.height = 0; // of the conversation
    this.build();
    this.client = new Client(new URL(".", script.src), this);
  }

  build() {
    const title = el(alone ? "h1" : "h2", { id: "title" }, config.name);
    this.status = el("p", { id: "state", role: "status" });
    this.list = el("ol", { id: "list" });
    this.log = el("div", { id: "log", role: "log", tabindex: "0", "aria-label": say.log }, this.list);
    new ResizeObserver(() => this.grown()).observe(this.list);
    this.near = new IntersectionObserver((entries) => { // pictures are fetched when they come near
      for (const { target, isIntersecting } of entries) if (isIntersecting) { this.near.unobserve(target); target.preview(); }
    }, { root: this.log, rootMargin: "200px" });
    this.dots = el("p", { id: "typing", role: "status" });
    this.text = el("textarea", {
      id: "text", rows: "1", maxlength: "10000", dir: "auto", autocomplete: "off", placeholder: say.hint, "aria-label": say.label,
      keydown: (e) => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); this.form.requestSubmit(); } },
      input: () => this.client.type(this.text.value !== ""),
      paste: (e) => { if (e.clipboardData.files.length) { e.preventDefault(); this.attach(e.clipboardData.files); } },
    });
    this.input = el("input", { type: "file", id: "file", multiple: true, hidden: true, change: () => { this.attach(this.input.files); this.input.value = ""; } });
    this.chips = el("ul", { id: "uploads", hidden: true, "aria-label": say.uploads });
    this.submit = el("button", { id: "send", "aria-label": say.send, title: say.send }, icon("send"));
    const attach = el("button", { id: "attach", type: "button", "aria-label": say.attach, title: say.attach, click: () => this.input.click() }, icon("attach"));
    attach.hidden = config.maxFile < 0;
    this.form = el("form", { id: "form", submit: (e) => { e.preventDefault(); this.write(); } },
      this.chips, el("div", { class: "row" }, attach, this.input, this.text, this.submit));
    const close = el("button", { id: "close", type: "button", "aria-label": say.close, title: say.close, click: () => this.close() }, icon("close"));
    const head = el("header", {}, el("div", {}, title, this.status), ...(alone ? [] : [close]));
    this.panel = alone ? el("main", { id: "panel" }, head, this.log, this.dots, this.form)
      : el("section", { id: "panel", role: "dialog", "aria-modal": "true", "aria-labelledby": "title", hidden: true, keydown: (e) => this.keys(e) }, head, this.log, this.dots, this.form);
    this.panel.addEventListener("dragover", (e) => e.preventDefault());
    this.panel.addEventListener("drop", (e) => { e.preventDefault(); this.attach(e.dataTransfer.files); });
    this.badge = el("span", { id: "badge", "aria-hidden": "true", hidden: true });
    this.launcher = el("button", { id: "launcher", type: "button", "aria-label": say.open, "aria-haspopup": "dialog", "aria-expanded": "false", click: () => this.toggle() }, icon("chat"), this.badge);
    this.news = el("p", { class: "unseen", role: "status" });
    const root = el("div", { class: alone ? "root alone" : "root", lang: language === "zh" ? "zh-CN" : "en", "data-theme": options.theme ?? "auto" },
      ...(alone ? [] : [this.launcher]), this.panel, this.news);
    this.host = el("skein-chat");
    this.shadow = this.host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    this.shadow.adoptedStyleSheets = [sheet];
    this.shadow.append(root);
    this.welcome();
    this.state("idle");
  }

  // start puts the panel on the page.
  start() {
    if (alone) document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.body.append(this.host);
    this.client.start();
    if (alone) { this.client.want(); this.text.focus(); }
    if ("open" in options) this.open();
    setInterval(() => this.tick(), 30_000);
    document.addEventListener("visibilitychange", () => this.read());
  }

  // The button.

  open() {
    if (this.opened) return;
    this.opened = true;
    this.panel.hidden = false;
    this.launcher.setAttribute("aria-expanded", "true");
    this.client.want();
    this.bottom();
    (this.panel.querySelector("#prechat input, #prechat button") ?? this.text).focus();
    this.read();
  }

  close() {
    if (!this.opened || alone) return;
    this.opened = false;
    this.panel.hidden = true;
    this.launcher.setAttribute("aria-expanded", "false");
    this.launcher.focus();
  }

  toggle() { if (this.opened) this.close(); else this.open(); }

  keys(e) {
    if (e.key === "Escape") { e.stopPropagation(); this.close(); }
    if (e.key !== "Tab") return;
    const stops = [...this.panel.querySelectorAll("button, a[href], input, textarea, select, [tabindex='0']")].filter((s) => !s.disabled && s.checkVisibility());
    const edge = e.shiftKey ? stops[0] : stops.at(-1);
    if (this.shadow.activeElement !== edge) return;
    e.preventDefault();
    (e.shiftKey ? stops.at(-1) : stops[0]).focus();
  }

  // The conversation.

  item(key) {
    let item = this.items.get(key);
    if (item) return item;
    item = { text: el("p", { dir: "auto" }), files: el("div", { class: "files", hidden: true }), time: el("time"), state: el("span"), who: el("span"), reactions: new Map() };
    item.marks = el("span", { class: "reactions" });
    item.li = el("li", {}, item.text, item.files, el("small", {}, item.who, item.time, item.state, item.marks));
    this.items.set(key, item);
    this.list.append(item.li);
    this.greeting?.remove();
    return item;
  }

  bottom() { this.log.scrollTop = this.log.scrollHeight; }

  // grown goes on showing what was said last, to a visitor who saw that before.
  grown() {
    if (this.height - this.log.scrollTop - this.log.clientHeight < 80) this.bottom();
    this.height = this.log.scrollHeight;
  }

  // settle puts what the log has behind all that it had before, and above what it may not have.
  settle({ li }) {
    li.settled = true;
    let before = null;
    for (let at = this.list.lastElementChild; at && (at === li || !at.settled); at = at.previousElementSibling) {
      if (at !== li) before = at;
    }
    if (li.nextElementSibling !== before) this.list.insertBefore(li, before);
  }

  // time shows when it was said.
  time({ time }, at) {
    time.at = Date.parse(at);
    time.dateTime = at;
    time.title = calendar.format(time.at);
    time.textContent = relative(time.at, Date.now() + this.client.skew);
  }

  tick() {
    for (const { time } of this.items.values()) if (time.at) time.textContent = relative(time.at, Date.now() + this.client.skew);
  }

  // mark shows what became of a message of the visitor's.
  mark(item, state, why) {
    item.li.className = `visitor ${state}`;
    item.state.textContent = [say[state], why].filter(Boolean).join(": ");
  }

  // unsent shows a message that the log may not have.
  unsent(frame, state, why) {
    const item = this.item("visitor:" + frame.id);
    if (item.li.settled) return;
    if (!item.text.hasChildNodes() && !item.files.hasChildNodes()) {
      this.say(item, frame.text, (frame.files ?? []).map(named));
    }
    this.time(item, frame.at);
    this.mark(item, state, why);
    if (state === "refused") this.settle(item);
  }

  say(item, text, files = []) {
    item.text.replaceChildren(...linked(text ?? ""));
    item.text.hidden = !text;
    item.files.replaceChildren(...files.map((file) => this.file(file)));
    item.files.hidden = !files.length;
  }

  note(key, text, at) {
    const item = this.item(key);
    item.li.className = "note";
    item.text.textContent = text;
    this.time(item, at);
    this.settle(item);
  }

  event(e) {
    const who = e.author || say[e.from] || e.from;
    const visitor = e.from === "visitor";
    const about = () => this.items.get("company:" + e.refers) ?? this.items.get("visitor:" + e.refers);
    switch (e.name) {
      case "message.received":
      case "message.sent": {
        const item = this.item((visitor ? "visitor:" : "company:") + e.id);
        this.say(item, e.text, e.files);
        this.time(item, e.at);
        if (visitor) {
          this.own.push(e.id);
          this.mark(item, "sent");
        } else {
          item.li.className = "company";
          item.li.classList.toggle("bot", e.from === "bot");
          item.who.textContent = who;
          this.company.push(e.id);
          this.news.textContent = this.opened ? "" : say.arrived(who);
        }
        this.settle(item);
        break;
      }
      case "message.edited":
      case "message.deleted": {
        const item = about();
        if (!item) break;
        const deleted = e.name === "message.deleted";
        this.say(item, deleted ? say.deleted : e.text, deleted ? [] : e.files);
        item.li.classList.toggle("deleted", deleted);
        item.li.classList.toggle("edited", !deleted);
        item.state.textContent = deleted ? "" : say.edited;
        break;
      }
      case "message.reacted": {
        const item = about();
        if (!item) break;
        item.reactions.set(e.from + who, e.reaction);
        item.marks.textContent = [...item.reactions.values()].join("");
        break;
      }
      case "message.read":
        if (visitor) this.seen = Math.max(this.seen, this.company.lastIndexOf(e.refers) + 1);
        else for (const id of this.own.slice(0, this.own.lastIndexOf(e.refers) + 1)) this.mark(this.items.get("visitor:" + id), "read");
        break;
      case "message.delivered": if (visitor) this.delivered.add(e.refers); break;
      case "party.joined": this.note(e.event, say.joined(who), e.at); break;
      case "party.left": this.note(e.event, say.left(who), e.at); break;
      case "interaction.ended": this.note(e.event, say.ended, e.at); break;
      case "survey.sent": this.survey(e); break;
      case "survey.answered": this.thank(e.survey); break;
    }
    this.soon ??= setTimeout(() => { this.soon = null; this.read(); }, 100); // once for a whole history
  }

  // typing shows who of the company types: one begins, or ends; null ends all.
  typing(who) {
    if (!who) this.typists.clear();
    else if (who.on) this.typists.set(who.kind + who.by, who.by || say[who.kind]);
    else this.typists.delete(who.kind + who.by);
    const names = [...new Set(this.typists.values())];
    const below = this.height - this.log.scrollTop - this.log.clientHeight < 80;
    this.dots.replaceChildren(...(names.length ? [
      el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")), say.typing(list.format(names), names.length),
    ] : []));
    if (below) this.bottom();
  }

  clear() {
    this.items.clear();
    this.list.replaceChildren();
    this.company = [];
    this.own = [];
    this.seen = this.told = 0;
    this.delivered.clear();
    this.typing(null);
    this.welcome();
    this.count();
  }

  welcome() {
    this.greeting = el("li", { class: "note greeting" }, el("p", {}, say.welcome));
    this.list.append(this.greeting);
  }

  state(name) {
    this.status.dataset.state = name;
    if (this.status.textContent !== say[name]) this.status.textContent = say[name];
    this.status.hidden = !say[name];
  }

  // read tells the company what the visitor has before the eyes, or at least here; and counts the rest.
  read() {
    if (!this.client?.tabs) return;
    const visible = this.opened && !document.hidden;
    if (visible) this.seen = this.company.length;
    const last = this.company[this.seen - 1];
    if (visible && this.seen > this.told && !this.client.events.some((e) => e.name === "message.read" && e.from === "visitor" && e.refers === last)) {
      this.client.say({ type: "read", message: last }, false);
    }
    this.told = this.seen;
    if (this.client.tabs.leading) {
      for (const id of this.company.slice(this.seen)) {
        if (this.delivered.has(id)) continue;
        this.delivered.add(id);
        this.client.say({ type: "delivered", message: id }, false);
      }
    }
    this.count();
  }

  count() {
    const n = this.company.length - this.seen;
    this.badge.textContent = n > 99 ? "99+" : n;
    this.badge.hidden = !n;
    this.launcher.setAttribute("aria-label", n ? `${say.open}, ${say.unread(n)}` : say.open);
  }

  // Files.

  file({ file, name, media_type: type, size }) {
    const label = el("span", { class: "name" }, name);
    if (!file) return el("span", { class: "file" }, icon("attach"), label);
    const button = el("button", { class: "file", type: "button", title: say.download(name), click: () => this.save(file, name, note) });
    const note = el("span", { class: "size" }, size ? bytes(size) : "");
    if (!pictures.includes(type)) {
      button.append(icon("attach"), label, note);
      return button;
    }
    const canvas = el("canvas", { "aria-hidden": "true" });
    button.append(canvas, el("span", { class: "line" }, label, note));
    button.preview = () => this.client.download(file).then((blob) => picture(canvas, blob, 480, 320)).then(() => button.classList.add("shown"), () => {});
    this.near.observe(button);
    return button;
  }

  async save(file, name, note) {
    try {
      const url = URL.createObjectURL(await this.client.download(file));
      el("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch {
      note.textContent = say.notDownloaded;
    }
  }

  attach(files) {
    for (const file of files) {
      if (this.uploads.size >= 10) return;
      const stop = new AbortController();
      const bar = el("progress", { max: "1", value: "0", "aria-label": say.uploading(file.name) });
      const note = el("span", { class: "size" }, bytes(file.size));
      const chip = el("li", {}, el("span", { class: "name" }, file.name), note, bar,
        el("button", { type: "button", "aria-label": say.remove(file.name), click: () => { stop.abort(); this.drop(chip); this.text.focus(); } }, icon("close")));
      if (pictures.includes(file.type)) {
        const canvas = el("canvas", { "aria-hidden": "true" });
        picture(canvas, file, 40, 40).then(() => chip.prepend(canvas), () => {});
      }
      this.uploads.set(chip, null);
      this.chips.append(chip);
      const fail = (why) => { chip.classList.add("failed"); bar.remove(); note.textContent = why; this.uploads.delete(chip); this.ready(); };
      if (file.size > config.maxFile) { fail(say.tooLarge(bytes(config.maxFile))); continue; }
      this.client.upload(file, (part) => { bar.value = part; }, stop.signal).then((done) => {
        bar.remove();
        chip.classList.add("done");
        if (this.uploads.has(chip)) this.uploads.set(chip, done);
        this.ready();
      }, (err) => { if (!stop.signal.aborted) fail(err.message || say.notUploaded); });
    }
    this.ready();
  }

  drop(chip) {
    this.uploads.delete(chip);
    chip.remove();
    this.ready();
  }

  // ready lets a message be sent once its files are there.
  ready() {
    this.chips.hidden = !this.chips.hasChildNodes();
    this.submit.disabled = [...this.uploads.values()].includes(null);
  }

  // write says what stands in the field.
  write() {
    const text = this.text.value.trim();
    const files = [...this.uploads.values()];
    this.text.focus();
    if (files.includes(null) || !text && !files.length) return;
    this.text.value = "";
    this.client.typed = 0; // the message says that the typing is over
    this.uploads.clear();
    this.chips.replaceChildren();
    this.ready();
    const frame = { type: "message", text };
    if (files.length) frame.files = files.map((f) => f.file);
    this.client.say(frame);
    this.bottom();
  }

  // Surveys and forms.

  survey({ event, survey, at }) {
    const item = this.item("survey:" + event);
    if (item.answered) return;
    item.survey = survey;
    item.li.className = "survey";
    item.text.textContent = say.question;
    item.text.id = "question-" + event;
    const buttons = [1, 2, 3, 4, 5].map((n) => el("button", { type: "button", "aria-label": say.score(n), click: () => {
      this.client.say({ type: "survey", survey, metric: "csat", score: n });
      this.thank(survey);
      this.text.focus();
    } }, String(n)));
    item.files.replaceChildren(el("div", { class: "scores", role: "group", "aria-labelledby": item.text.id }, ...buttons),
      el("div", { class: "ends" }, el("span", {}, say.worst), el("span", {}, say.best)));
    item.files.hidden = false;
    this.time(item, at);
    this.settle(item);
  }

  thank(survey) {
    for (const item of this.items.values()) {
      if (item.survey !== survey) continue;
      item.answered = true;
      item.text.textContent = say.thanks;
      item.files.replaceChildren();
      item.files.hidden = true;
    }
  }

  // prechat asks for something before the first message: {form, fields: [{name, label, type, required}]}.
  prechat({ form: name, fields = [] }) {
    if (this.client.store.get("form:" + name) || this.company.length || this.own.length) return;
    this.form.hidden = true;
    const inputs = fields.map((f, i) => el("input", {
      id: "field-" + i, name: f.name, type: ["email", "tel", "text"].includes(f.type) ? f.type : "text", required: Boolean(f.required), maxlength: "1000",
    }));
    const ask = el("form", { id: "prechat", submit: (e) => {
      e.preventDefault();
      this.client.store.set("form:" + name, true);
      this.client.say({ type: "form", form: name, fields: Object.fromEntries(inputs.filter((i) => i.value).map((i) => [i.name, i.value])) });
      ask.remove();
      this.form.hidden = false;
      this.text.focus();
    } }, ...fields.map((f, i) => el("label", { for: "field-" + i }, f.label ?? f.name, inputs[i])), el("button", {}, say.start));
    this.panel.append(ask);
  }
}

// named tells what the name of a file says of it.
function named(file) {
  const raw = Uint8Array.from(atob(file.split(".")[0].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const { n, m, s } = parse(new TextDecoder().decode(raw)) ?? {};
  return { file, name: n ?? "file", media_type: m, size: s };
}

// What the site can do: skein("open"), and so on; docs/web-chat.md lists it.
const panel = new Panel();
const client = panel.client;
const bare = (address) => { try { const url = new URL(address); url.hash = url.username = url.password = ""; return url.href; } catch { return undefined; } };
const commands = {
  open: () => panel.open(),
  close: () => panel.close(),
  toggle: () => panel.toggle(),
  page: ({ url = location.href, title = document.title, referrer = document.referrer } = {}) => client.say({ type: "page", url: bare(url), title, referrer: bare(referrer) }),
  form: (form, fields) => client.say({ type: "form", form, fields: Object.fromEntries(Object.entries(fields ?? {}).map(([k, v]) => [k, String(v)])) }),
  step: (flow, step, input = "") => client.say({ type: "step", flow, step, input }),
  survey: (answer) => client.say({ ...answer, type: "survey" }),
  session: (what, kind, session) => client.say({ type: "session." + what, kind, session }, false),
  prechat: (form) => panel.prechat(form),
  token: (token) => client.tell({ site: token }),
  forget: () => client.tell({ forget: true }),
};

function begin() {
  panel.start();
  const early = window.skein?.q ?? [];
  window.skein = (command, ...rest) => {
    if (!Object.hasOwn(commands, command)) throw new TypeError(`skein: there is no command ${command}`);
    commands[command](...rest);
  };
  for (const call of early) window.skein(...call);
}

if (document.body) begin();
else addEventListener("DOMContentLoaded", begin);
