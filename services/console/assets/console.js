// What the pages of the console do after they are shown. Pages name what they want by data attributes; nothing here knows any page.
"use strict";

(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => within.querySelectorAll(selector);

  // The time zone of the browser is told once; the page is then drawn in it. Where the browser keeps no cookies, the page stays as it is; so does one
  // that nothing is told on, since it may be the answer to a form.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const told = "skein_zone=" + encodeURIComponent(zone);
  const tells = () => document.cookie.split("; ").includes(told);
  if (zone && zone !== root.dataset.zone && !tells()) {
    document.cookie = `${told}; path=/console/; max-age=34560000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
    if (tells() && document.querySelector(".rail")) location.reload();
  }

  // Stopwatches: the same manner as lang.Stopwatch.
  const two = (n) => String(n).padStart(2, "0");
  const stopwatch = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000)), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    if (h >= 24) return `${Math.floor(h / 24)}d ${two(h % 24)}:${two(m)}`;
    return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  };
  const tick = () => {
    const now = Date.now();
    for (const t of all("[data-since]")) t.textContent = stopwatch(now - Date.parse(t.dataset.since));
    for (const t of all("[data-until]")) {
      const left = Date.parse(t.dataset.until) - now;
      t.textContent = stopwatch(Math.abs(left));
      t.classList.toggle("late", left < 0);
    }
  };
  setInterval(tick, 1000);

  // Streams of news. A stream is open while its page is seen, so that any number of tabs shares the few connections that a browser has; it goes on
  // behind the last message that it got.
  const lost = document.getElementById("lost");
  const missing = new Set();
  const tellLost = () => { lost.hidden = missing.size === 0; };

  const put = (list, part) => {
    const there = part.id && document.getElementById(part.id);
    if (there) {
      const moved = there.dataset.order !== part.dataset.order;
      Idiomorph.morph(there, part.outerHTML);
      if (!moved || there.parentElement !== list) return there;
      there.remove(); // it has another place now
      part = there;
    }
    const newest = list.hasAttribute("data-newest-first"), order = part.dataset.order;
    let before = null;
    for (const other of list.children) {
      const o = other.dataset.order;
      if (o === undefined ? newest : newest ? o < order : o > order) { before = other; break; }
    }
    // What is older than all that was loaded comes with the rest, when it is asked for.
    const older = list.querySelector(":scope > .older");
    if (older && before === (newest ? older : older.nextElementSibling)) return null;
    list.insertBefore(part, before);
    part.classList.add("fresh");
    return part;
  };

  // Where a run of entries with the same data-run begins, in the order of the list; "begins-all" counts those, too, that are shown only on request.
  const runs = () => {
    for (const list of all(".timeline")) {
      let before = "", beforeAll = "";
      for (const item of list.children) {
        if (item.classList.contains("day")) before = beforeAll = "";
        const run = item.dataset.run;
        if (run === undefined) continue;
        item.classList.toggle("begins-all", run !== beforeAll);
        beforeAll = run;
        if (item.classList.contains("minor")) continue;
        item.classList.toggle("begins", run !== before);
        before = run;
      }
    }
  };
  runs();
  let toRun = 0; // many news at once are looked through once
  const runsSoon = () => { toRun ||= requestAnimationFrame(() => { toRun = 0; runs(); }); };
  document.addEventListener("htmx:load", runsSoon);
  // A list with data-holds does not move while the keyboard is in it: what comes, moves or goes waits, and a button says how much that is.
  const held = new Map();
  const holding = (list) => list?.hasAttribute("data-holds") && list.contains(document.activeElement);
  const hold = (list, id, change) => {
    const waiting = held.get(list) || held.set(list, new Map()).get(list), hint = document.getElementById(list.id + "-held");
    waiting.set(id, change);
    hint.textContent = waiting.size === 1 ? hint.dataset.one : hint.dataset.many.replace("#", waiting.size);
    hint.hidden = false;
  };
  const release = (list) => {
    const waiting = held.get(list);
    held.delete(list);
    document.getElementById(list.id + "-held").hidden = true;
    for (const change of waiting?.values() || []) change();
  };
  document.addEventListener("focusout", (e) => {
    const list = e.target.closest?.("[data-holds]");
    if (list && !list.contains(e.relatedTarget) && held.has(list)) release(list);
  });
  document.addEventListener("click", (e) => {
    for (const list of held.keys()) if (e.target.id === list.id + "-held") release(list);
  });

  const apply = (html) => {
    const box = document.createElement("template");
    box.innerHTML = html;
    for (const part of [...box.content.children]) {
      if (part.dataset.gone !== undefined) {
        const id = part.dataset.gone, list = document.getElementById(id)?.closest("[data-holds]");
        if (holding(list)) hold(list, id, () => document.getElementById(id)?.remove());
        else document.getElementById(id)?.remove();
        continue;
      }
      if (part.dataset.into !== undefined) {
        const list = document.getElementById(part.dataset.into);
        if (!list) continue;
        const atEnd = list.hasAttribute("data-keeps-end") && list.scrollHeight - list.scrollTop - list.clientHeight < 40;
        for (const child of [...part.content.children]) {
          const insert = () => { const made = put(list, child); if (made) htmx.process(made); };
          const there = document.getElementById(child.id);
          if (holding(list) && there?.dataset.order !== child.dataset.order) hold(list, child.id, insert);
          else insert();
        }
        if (atEnd) list.scrollTop = list.scrollHeight;
        list.parentElement.querySelector(":scope > .empty")?.remove();
        continue;
      }
      const there = part.id && document.getElementById(part.id);
      if (there) { Idiomorph.morph(there, part.outerHTML); htmx.process(document.getElementById(part.id)); }
    }
    tick();
    runsSoon();
    document.dispatchEvent(new CustomEvent("skein:news"));
  };

  // silence is how long a stream may say nothing, in milliseconds: the server shows every 15 seconds that it is alive.
  const silence = 45000;

  class Stream {
    constructor(element) {
      this.element = element;
      this.cursor = element.dataset.cursor || "";
      this.wait = 0;
      this.look();
    }
    look() { seen() ? this.open() : this.close(); }
    open() {
      if (this.source || this.timer || !this.element.isConnected) return;
      const url = new URL(this.element.dataset.stream, location.href);
      if (this.cursor) url.searchParams.set("cursor", this.cursor);
      const source = (this.source = new EventSource(url));
      const heard = (e) => {
        if (e.lastEventId) this.cursor = e.lastEventId;
        clearTimeout(this.watch);
        this.watch = setTimeout(() => this.fail(), silence);
      };
      heard({});
      source.onopen = (e) => { heard(e); this.wait = 0; missing.delete(this); tellLost(); document.getElementById("session-over").close(); };
      source.onmessage = (e) => { heard(e); apply(e.data); };
      for (const quiet of ["checkpoint", "alive"]) source.addEventListener(quiet, heard);
      // What it told so far stays as it is, and it goes on: the page may have to wait until it can be loaded anew.
      source.addEventListener("again", (e) => { heard(e); this.cursor = e.lastEventId; again(); });
      source.onerror = () => this.fail(); // the browser would go on by itself, but from where the page began
    }
    fail() {
      this.close();
      this.wait = Math.min(10000, (this.wait || 250) * 2);
      this.timer = setTimeout(() => { this.timer = 0; this.look(); }, this.wait * (0.5 + Math.random() / 2));
      if (this.wait > 500) this.ask();
    }
    // ask finds out why: a stream that fails does not say.
    async ask() {
      let answer = null;
      try { answer = await fetch("/console/session", { headers: { "HX-Request": "true" }, cache: "no-store" }); } catch { /* nobody answers */ }
      if (this.source) return; // it is back
      if (answer?.status === 401) signInAgain();
      if (answer && answer.status < 500) missing.delete(this); else missing.add(this);
      tellLost();
    }
    close() {
      clearTimeout(this.timer);
      clearTimeout(this.watch);
      this.timer = 0;
      this.source?.close();
      this.source = null;
    }
    // now is tried what would have been tried later.
    now() { if (this.timer) { this.close(); this.wait = 0; this.look(); } }
  }
  let left = false;
  const seen = () => !document.hidden && !left;
  const streams = [];
  const follow = (element) => { if (element.dataset.stream && !streams.some((s) => s.element === element)) streams.push(new Stream(element)); };
  document.addEventListener("visibilitychange", () => { for (const s of streams) s.look(); });
  addEventListener("pagehide", () => { left = true; for (const s of streams) s.look(); });
  addEventListener("pageshow", (e) => { left = false; if (e.persisted) for (const s of streams) s.look(); });
  addEventListener("online", () => { for (const s of streams) s.now(); });
  for (const element of all("[data-stream]")) follow(element);

  // A page is loaded anew only while nobody writes on it, else as soon as what is written was taken.
  const writing = () => document.querySelector("dialog[open]") ||
    [...all("textarea, input:not([type=hidden], [type=search], [type=checkbox], [type=radio])")].some((f) => f.value && f.value !== f.defaultValue);
  let stale = false;
  const again = () => {
    if (writing()) {
      if (!stale) toast(root.lang === "zh" ? "此页面有更新：重新加载即可查看。" : "There is news about this page: load it again to see it.");
      stale = true;
    } else if (performance.now() < 3000) setTimeout(again, 5000); // a page that is old as soon as it comes is not asked for without end
    else location.reload();
  };
  const renew = () => { if (stale) again(); };
  document.addEventListener("close", renew, true);

  // What went wrong is said; a session that is over keeps what was written.
  const toasts = document.getElementById("toasts");
  const toast = (text) => {
    const p = document.createElement("p");
    p.className = "toast";
    p.textContent = text;
    toasts.append(p);
    setTimeout(() => p.remove(), 8000);
  };
  const signInAgain = () => { const over = document.getElementById("session-over"); if (!over.open) over.showModal(); };
  document.addEventListener("htmx:responseError", (e) => {
    if (e.detail.xhr.status === 401) signInAgain();
    else toast(e.detail.xhr.responseText);
  });
  document.addEventListener("htmx:sendError", () => toast(root.lang === "zh" ? "连接中断，未能发送。内容已保留。" : "Not sent: the connection is lost. What you wrote is kept."));

  // A form that was taken; what is wrong with one that was not is swapped into it, which counts as success elsewhere.
  const taken = (e) => e.detail.successful && e.detail.xhr.status < 400;

  // Drafts: what is written into a field with data-draft stands there again after anything but its being taken.
  const draft = (field) => "draft:" + field.dataset.draft;
  for (const field of all("[data-draft]")) if (!field.value) field.value = localStorage.getItem(draft(field)) || "";
  document.addEventListener("input", (e) => {
    const field = e.target;
    if (field.dataset?.draft !== undefined) field.value ? localStorage.setItem(draft(field), field.value) : localStorage.removeItem(draft(field));
  });
  // What is written while the answer is on its way stays.
  document.addEventListener("htmx:beforeRequest", (e) => { for (const field of all("[data-draft]", e.target)) field.sent = field.value; });
  document.addEventListener("htmx:afterRequest", (e) => {
    if (!taken(e) || e.detail.requestConfig.verb !== "post") return;
    for (const field of all("[data-draft]", e.target)) if (field.value === field.sent) { localStorage.removeItem(draft(field)); field.value = ""; }
  });

  // A form that was taken, and whose outcome comes as news, is empty again; a dialog that it stands in closes.
  document.addEventListener("htmx:afterRequest", (e) => {
    if (e.detail.xhr?.status !== 204 || e.detail.xhr.getResponseHeader("HX-Redirect") || e.target.tagName !== "FORM") return;
    const kept = [...all("[data-draft]", e.target)].map((field) => [field, field.value]);
    for (const wrong of all(".wrong", e.target)) wrong.textContent = "";
    e.target.reset();
    for (const [field, value] of kept) field.value = value;
    const dialog = e.target.closest("dialog");
    if (dialog?.open) { document.activeElement?.blur(); dialog.close(); } // the next key is the page's
    renew();
  });

  // A form that is sent again because no answer came is the same request: its id is made once, and anew when it was taken.
  const newRequest = (field) => { field.value = crypto.randomUUID ? crypto.randomUUID() : [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join(""); };
  for (const field of all("input[data-request]")) newRequest(field);
  document.addEventListener("htmx:load", (e) => { for (const field of all("input[data-request]", e.target)) if (!field.value) newRequest(field); });
  document.addEventListener("htmx:afterRequest", (e) => { if (taken(e)) for (const field of all("input[data-request]", e.target)) newRequest(field); });

  // Dialogs, menus, frames.
  document.addEventListener("click", (e) => {
    const opener = e.target.closest("[data-opens]");
    if (opener) {
      const dialog = document.querySelector(opener.dataset.opens);
      opener.closest("details.menu")?.removeAttribute("open");
      dialog.showModal();
      dialog.querySelector("[autofocus], textarea, input:not([type=hidden]), select, button")?.focus();
    }
    if (e.target.closest("[data-closes]")) e.target.closest("dialog")?.close();
    for (const menu of all("details.menu[open]")) if (!menu.contains(e.target)) menu.removeAttribute("open");
  });
  document.addEventListener("click", (e) => {
    const copier = e.target.closest("[data-copies]");
    if (!copier) return;
    const from = document.querySelector(copier.dataset.copies), range = document.createRange();
    const copied = () => { copier.classList.add("copied"); setTimeout(() => copier.classList.remove("copied"), 1500); };
    range.selectNodeContents(from);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    // Without encryption a browser has no clipboard but that of what is chosen.
    if (navigator.clipboard) navigator.clipboard.writeText(from.textContent).then(copied, () => {});
    else if (document.execCommand("copy")) copied();
  });
  document.addEventListener("toggle", (e) => {
    const box = e.target;
    if (!box.open || !box.dataset?.frame || box.querySelector("iframe")) return;
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox allow-same-origin");
    frame.title = box.querySelector("summary").textContent;
    frame.src = box.dataset.frame;
    frame.addEventListener("load", () => { frame.style.height = Math.min(900, frame.contentDocument?.documentElement.scrollHeight + 8 || 400) + "px"; });
    box.append(frame);
  }, true);

  // Tabs: a tab shows its panel, and leads into the panel's field.
  document.addEventListener("click", (e) => {
    const tab = e.target.closest("[role=tab][aria-controls]");
    if (!tab) return;
    for (const other of all("[role=tab]", tab.closest("[role=tablist]"))) {
      other.setAttribute("aria-selected", other === tab);
      document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
    document.getElementById(tab.getAttribute("aria-controls")).querySelector("textarea, input:not([type=hidden], [type=file])")?.focus();
  });

  // A list that was left leads on from page to page: data-walk remembers its rows, and the links of data-walks go a step along them, or back to it.
  const walks = (name) => JSON.parse(sessionStorage.getItem("walk:" + name) || "null");
  addEventListener("pagehide", () => {
    for (const list of all("[data-walk]")) {
      const rows = [...new Set([...all(".row-link", list)].map((a) => a.pathname))];
      sessionStorage.setItem("walk:" + list.dataset.walk, JSON.stringify({ back: location.pathname + location.search, rows }));
    }
  });
  const walk = () => {
    for (const link of all("[data-walks]")) {
      const list = walks(link.dataset.walks), step = Number(link.dataset.step), at = list ? list.rows.indexOf(location.pathname) : -1;
      const to = !list ? undefined : step === 0 ? list.back : at < 0 ? undefined : list.rows[at + step];
      if (to) link.setAttribute("href", to);
      link.hidden = step !== 0 && !to;
    }
  };
  walk();
  document.addEventListener("skein:news", walk);

  // What comes before the first entry of a list that keeps its end must not push what is read away; a day has one heading.
  let above = null;
  document.addEventListener("htmx:beforeSwap", (e) => {
    const list = e.target.matches?.(".older") && e.target.closest("[data-keeps-end]");
    above = list ? { list, left: list.scrollHeight - list.scrollTop } : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const day of all(".timeline .day")) if (document.getElementById(day.id) !== day) day.remove();
    if (above) above.list.scrollTop = above.list.scrollHeight - above.left;
    above = null;
  });

  // Who writes in a field with data-signals is seen to write; that may get lost. Ctrl+Enter sends what stands in a field of several lines.
  let signalled = 0;
  document.addEventListener("input", (e) => {
    const path = e.target.dataset?.signals;
    if (!path || !e.target.value || Date.now() - signalled < 3000) return;
    signalled = Date.now();
    fetch(path, { method: "POST", body: new URLSearchParams({ thread: e.target.form.elements.thread.value }) }).catch(() => {});
  });
  document.addEventListener("keydown", (e) => {
    if (e.target.tagName !== "TEXTAREA") return;
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); e.target.form?.requestSubmit(); }
    if (e.key === "Escape" && !e.target.closest("dialog")) e.target.blur();
  });

  // Boxes that are remembered.
  for (const box of all("input[type=checkbox][data-keeps]")) {
    box.checked = localStorage.getItem(box.dataset.keeps) === "on";
    box.addEventListener("change", () => localStorage.setItem(box.dataset.keeps, box.checked ? "on" : "off"));
  }
  for (const field of all("[data-sends]")) field.addEventListener("change", () => field.form.requestSubmit());

  // The keyboard. Single letters count only where nobody types.
  let before = "";
  const rows = () => [...all("[data-rows] .row-link, [data-rows] [data-row]")].filter((r) => r.offsetParent);
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") for (const menu of all("details.menu[open]")) { menu.removeAttribute("open"); menu.querySelector("summary").focus(); }
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    const go = { c: "customers", w: "work", s: "supervision", a: "analytics", o: "operation" };
    const named = document.querySelector(`[data-key="${CSS.escape(e.key)}"]`);
    if (before === "g" && go[e.key]) location.assign("/console/" + go[e.key]);
    else if (e.key === "/") { e.preventDefault(); document.getElementById("find").focus(); }
    else if (e.key === "?") document.getElementById("keys").showModal();
    else if (e.key === "j" || e.key === "k") {
      const list = rows(), at = list.indexOf(document.activeElement);
      list[Math.max(0, Math.min(list.length - 1, at + (e.key === "j" ? 1 : -1)))]?.focus();
    } else if (named && before !== "g") { e.preventDefault(); named.matches("textarea, input, select") ? named.focus() : named.click(); }
    before = e.key === "g" ? "g" : "";
  });

  if (location.hash.startsWith("#e-")) document.getElementById(location.hash.slice(1))?.classList.add("fresh");
  const end = document.querySelector("[data-keeps-end]");
  if (end) end.scrollTop = end.scrollHeight;
})();
