// The client's side of docs/web-chat.md, without a screen: it follows the thread, sends what is said, and keeps what was not
// acknowledged in localStorage until it is, whatever happens to the connection, the page or the server meanwhile. Of all tabs of a
// site one speaks with the server; the others hear of it.

const firstDelay = 500;
const longestDelay = 30_000;
const heartbeat = 25_000;
const renewBefore = 24 * 3600_000; // how long a token must still be good
const mostTransfers = 2; // files that this tab sends and gets at once
const typingEvery = 3000; // how often typing is told of
const mostInFlight = 8; // frames that wait for their acknowledgement at once

const parse = (json) => { try { return JSON.parse(json); } catch { return null; } };
const randomID = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

// Store is what the browser keeps. Where it keeps nothing, it lives as long as the page.
class Store {
  constructor(prefix) {
    this.prefix = prefix;
    this.memory = new Map();
  }

  get(name) {
    if (this.memory.has(name)) return this.memory.get(name);
    try { return parse(localStorage.getItem(this.prefix + name)); } catch { return null; }
  }

  set(name, value) {
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify(value));
      this.memory.delete(name);
    } catch { this.memory.set(name, value); }
  }

  remove(name) {
    this.memory.delete(name);
    try { localStorage.removeItem(this.prefix + name); } catch { /* it was never kept */ }
  }

  names() {
    const names = new Set(this.memory.keys());
    try {
      for (const name of Object.keys(localStorage)) if (name.startsWith(this.prefix)) names.add(name.slice(this.prefix.length));
    } catch { /* nothing is kept */ }
    return [...names];
  }
}

// Tabs makes one tab of a site the leader, and lets all of them talk. Where the browser cannot, each leads itself.
class Tabs {
  constructor(name, hear, lead) {
    this.leading = false;
    const begin = () => { this.leading = true; lead(); };
    try {
      if (!navigator.locks) throw new Error("no locks");
      this.channel = new BroadcastChannel(name);
      this.channel.onmessage = ({ data }) => hear(data);
    } catch {
      begin();
      return;
    }
    navigator.locks.request(name, () => { begin(); return new Promise(() => {}); }).catch(() => { this.channel = null; begin(); });
  }

  tell(message) { this.channel?.postMessage(message); }
}

// Client shows what happens by calling the methods of a panel: clear, event, unsent, typing and state.
class Client {
  constructor(base, panel) {
    this.base = base;
    this.panel = panel;
    this.store = new Store(`skein-chat:${base.host}${base.pathname}:`);
    this.session = this.store.get("session");
    this.skew = 0; // how far the server's clock is ahead of this one, in milliseconds
    this.events = [];
    this.seen = new Set(); // ids of events
    this.cursor = "";
    this.outbox = new Map(); // by id: what the log may not have
    this.last = 0;
    this.status = "idle";
    this.wanted = false; // a connection is
    this.synced = false; // the leader has told what it has
    this.waiting = []; // for a session
    this.transfers = 0; // of files, under way
    this.queue = []; // for their place
    this.typed = 0; // when typing was told of last

    // The leader's.
    this.doubtful = true; // the token may not be good any more
    this.site = null; // the site's own token
    this.siteOnly = false; // the site says who it is, or nobody
    this.socket = null;
    this.opening = false;
    this.heard = false; // since the last ping
    this.inFlight = new Set();
    this.attempt = 0;
    this.retry = 0;
    this.pause = 0;
  }

  // start begins. What the browser has kept is shown at once.
  start() {
    this.load();
    this.tabs = new Tabs(this.store.prefix, (message) => this.hear(message), () => this.lead());
    if (!this.tabs.leading) this.tabs.tell({ hello: true });
    if (this.session || this.outbox.size) this.want();
    setInterval(() => this.beat(), heartbeat);
    addEventListener("online", () => this.again());
    addEventListener("offline", () => { if (this.socket) this.drop(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.again(); });
  }

  load() {
    for (const name of this.store.names().filter((n) => n.startsWith("unsent:"))) {
      const entry = this.store.get(name);
      if (entry?.frame?.id && !this.outbox.has(entry.frame.id)) this.put(entry);
    }
  }

  put(entry) {
    this.outbox.set(entry.frame.id, entry);
    this.last = Math.max(this.last, entry.n);
    this.draw(entry.frame.id);
  }

  draw(id) {
    const entry = this.outbox.get(id);
    if (entry?.frame.type === "message") this.panel.unsent(entry.frame, this.inFlight.has(id) ? "sending" : "waiting");
  }

  // want asks for a connection, which nobody needs who has never chatted.
  want() {
    this.wanted = true;
    if (this.tabs.leading) this.connect();
    else this.tabs.tell({ want: true });
  }

  // say says something. It is kept until the log has it.
  say(frame, timed = true) {
    this.last = Math.max(this.last + 1, Date.now() + this.skew); // so that two of the same millisecond keep their order
    const entry = { n: this.last, frame: { ...frame, id: randomID() } };
    if (timed) entry.frame.at = new Date(this.last).toISOString();
    this.store.set("unsent:" + entry.frame.id, entry);
    this.tell({ say: entry });
    if (!this.wanted) this.want();
  }

  // type tells that the visitor types, or has stopped without a message. It is told to whoever is there now, and never kept.
  type(on) {
    const now = performance.now();
    if (on ? this.typed && now - this.typed < typingEvery : !this.typed) return;
    this.typed = on ? now : 0;
    if (this.tabs.leading) this.pass(on);
    else this.tabs.tell({ types: { on } });
  }

  // tell lets every tab know, this one among them.
  tell(message) {
    this.tabs.tell(message);
    this.apply(message);
  }

  // hear takes what another tab tells.
  hear(message) {
    if (message.hello && this.tabs.leading) {
      const { session, skew, events, cursor, status } = this;
      this.tabs.tell({ all: { session, skew, events, cursor, status, outbox: [...this.outbox.values()] } });
    } else if (message.lead) {
      if (!this.synced) this.tabs.tell({ hello: true });
      else if (this.wanted) this.tabs.tell({ want: true });
    } else if (message.all) {
      if (this.synced || this.tabs.leading) return;
      this.synced = true;
      this.adopt(message.all.session, message.all.skew);
      for (const entry of message.all.outbox) if (!this.outbox.has(entry.frame.id)) this.put(entry);
      for (const event of message.all.events) this.happened(event);
      this.cursor = message.all.cursor;
      this.show(message.all.status);
    } else if (message.want && this.tabs.leading) {
      if (!this.wanted) this.want();
    } else if (message.again && this.tabs.leading) {
      this.again();
    } else if (message.types) {
      if (this.tabs.leading) this.pass(message.types.on);
    } else {
      this.apply(message);
    }
  }

  // apply does what the leader tells, or another tab that says something.
  apply({ say, event, cursor, typing, reset, acked, refused, sending, dropped, status, session, skew, forget, site }) {
    if (say) {
      if (!this.outbox.has(say.frame.id)) this.put(say);
      if (this.tabs.leading) this.flush();
    }
    const follows = this.tabs.leading || this.synced; // who does not yet gets all of it at once
    if (event && follows) this.happened(event);
    if (cursor && follows) this.cursor = cursor;
    if (typing && follows) this.panel.typing(typing);
    if (reset) this.clear();
    if (sending) { this.inFlight.add(sending); this.draw(sending); }
    if (dropped) {
      this.inFlight.clear();
      for (const id of this.outbox.keys()) this.draw(id);
    }
    if (acked) this.settled(acked, "sent");
    if (refused) {
      this.inFlight.delete(refused.id);
      if (refused.later) this.draw(refused.id);
      else this.settled(refused.id, "refused", refused.why);
    }
    if (status) this.show(status);
    if (session) this.adopt(session, skew);
    if (site) { this.site = site; this.siteOnly = this.doubtful = true; if (this.tabs.leading) { this.drop(); this.again(); } }
    if (forget) {
      for (const id of this.outbox.keys()) this.store.remove("unsent:" + id);
      this.outbox.clear();
      this.inFlight.clear();
      this.store.remove("session");
      this.session = this.site = null;
      this.wanted = this.siteOnly = false; // whoever comes next may be nobody that the site knows
      this.doubtful = true;
      this.clear();
      if (this.tabs.leading) { clearTimeout(this.retry); this.close(); }
      this.show("idle");
    }
  }

  settled(id, state, why) {
    const entry = this.outbox.get(id);
    this.inFlight.delete(id);
    this.outbox.delete(id);
    this.store.remove("unsent:" + id);
    if (entry?.frame.type === "message") this.panel.unsent(entry.frame, state, why);
    else if (state === "refused") console.warn(`skein: ${entry?.frame.type}: ${why}`); // for who wrote the page
  }

  happened(event) {
    if (this.seen.has(event.event)) return;
    this.seen.add(event.event);
    this.events.push(event);
    this.panel.event(event);
  }

  clear() {
    this.cursor = "";
    this.events = [];
    this.seen.clear();
    this.panel.clear();
    for (const id of this.outbox.keys()) this.draw(id);
  }

  show(status) {
    this.panel.typing(null); // nobody tells of what happened before this connection
    this.status = status;
    this.panel.state(status);
  }

  adopt(session, skew = this.skew) {
    if (!session) return;
    const another = this.session && this.session.thread !== session.thread;
    this.session = session;
    this.skew = skew;
    if (another) this.clear();
    for (const go of this.waiting.splice(0)) go();
  }

  // Files. They are not kept over a reload; what names them is.

  async ready() {
    while (!this.session) {
      this.want();
      await new Promise((go) => { this.waiting.push(go); });
    }
    return { Authorization: `Bearer ${this.session.token}` };
  }

  // transfer runs a request for a file, a few at a time, and again where the server says when. It gives the answer, which may be a refusal.
  async transfer(request, signal) {
    while (this.transfers >= mostTransfers) await new Promise((go) => { this.queue.push(go); });
    this.transfers++;
    try {
      for (let attempt = 1; ; attempt++) {
        if (signal?.aborted) return { status: 0 };
        const answer = await request(await this.ready());
        const after = answer.status === 0 ? attempt : Number(answer.after);
        if (!after || attempt === 8) return answer;
        await new Promise((go) => { setTimeout(go, after * 1000); });
      }
    } finally {
      this.transfers--;
      this.queue.shift()?.();
    }
  }

  // upload sends a file, and gives its name for a message.
  async upload(file, progress, signal) {
    const answer = await this.transfer((headers) => this.send(file, headers, progress, signal), signal);
    if (answer.status !== 200) throw new Error(answer.body?.message ?? "");
    return answer.body;
  }

  send(file, headers, progress, signal) {
    return new Promise((done) => {
      const request = new XMLHttpRequest(); // fetch tells no progress
      const url = new URL("files", this.base);
      url.searchParams.set("name", file.name);
      request.open("POST", url);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.setRequestHeader("Content-Type", "application/octet-stream"); // the server looks at the bytes
      request.upload.onprogress = (e) => progress(e.lengthComputable ? e.loaded / e.total : 0);
      request.onloadend = () => done({ status: request.status, body: parse(request.responseText), after: request.getResponseHeader("Retry-After") });
      signal.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }

  // download gives a file's bytes.
  async download(file) {
    const answer = await this.transfer(async (headers) => {
      const got = await fetch(new URL("files/" + file, this.base), { headers }).catch(() => null);
      return { status: got?.status ?? 0, after: got?.headers.get("Retry-After"), blob: got?.ok && await got.blob().catch(() => null) };
    });
    if (!answer.blob) throw new Error(`file: ${answer.status}`);
    return answer.blob;
  }

  // What follows is the leader's.

  lead() {
    this.load(); // what a tab has said that is gone
    this.inFlight.clear();
    if (this.session || this.outbox.size) this.wanted = true;
    queueMicrotask(() => { // Tabs may be under construction
      this.tabs.tell({ lead: true });
      if (this.wanted) this.connect();
    });
  }

  async renew() {
    const saved = this.site ? { token: this.site } : this.store.get("session");
    if (this.siteOnly && !this.site) throw new Error("the site has no token");
    const headers = saved ? { Authorization: `Bearer ${saved.token}` } : {};
    const answer = await fetch(new URL("session", this.base), { method: "POST", headers, signal: AbortSignal.timeout(15000) });
    if (answer.status === 401 && this.site) {
      this.site = null;
      dispatchEvent(new Event("skein:token")); // the site may give another one
      throw new Error("the site's token is not good any more");
    }
    if (answer.status === 401 && saved) {
      this.store.remove("session");
      return this.renew();
    }
    if (!answer.ok) throw new Error(`session: ${answer.status}`);
    const fresh = await answer.json();
    const other = this.store.get("session"); // where each tab leads itself, another one may have been faster
    const session = !this.site && other && other.thread !== saved?.thread ? other : fresh;
    this.store.set("session", session);
    this.doubtful = false;
    this.tell({ session, skew: Date.parse(fresh.now) - Date.now() });
  }

  async connect() {
    if (this.opening || this.socket || !this.wanted) return;
    clearTimeout(this.retry);
    this.opening = true;
    if (this.status === "idle") this.tell({ status: "connecting" });
    try {
      if (this.doubtful) await this.renew();
      if (this.wanted) this.open();
    } catch {
      this.later();
    } finally {
      this.opening = false;
    }
  }

  open() {
    const url = new URL("ws", this.base);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, ["skein.chat.v1", `bearer.${this.session.token}`]);
    let opened = false;
    this.socket = socket;
    socket.onopen = () => {
      opened = this.heard = true;
      this.tell({ status: "online" });
      this.frame({ type: "resume", cursor: this.cursor });
      this.flush();
    };
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      this.heard = true;
      this.attempt = 0;
      this.take(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      if (!opened || code === 1008) this.doubtful = true; // a browser does not tell why it could not open
      this.drop();
    };
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  drop() {
    this.close();
    this.tell({ dropped: true });
    this.later();
  }

  later() {
    if (!this.wanted) return;
    this.tell({ status: "offline" });
    clearTimeout(this.retry);
    const delay = Math.min(longestDelay, firstDelay * 2 ** this.attempt++) * (0.5 + Math.random() / 2);
    this.retry = setTimeout(() => this.connect(), delay);
  }

  again() {
    if (!this.tabs.leading) { if (this.wanted) this.tabs.tell({ again: true }); return; }
    this.attempt = 0;
    this.connect();
  }

  beat() {
    if (!this.isOpen()) return;
    if (!this.heard) { this.drop(); return; }
    this.heard = false;
    this.frame({ type: "ping" });
    const left = Date.parse(this.session.expires) - Date.now() - this.skew;
    if (left < renewBefore && !this.site) this.renew().catch(() => {}); // the next beat tries again
  }

  isOpen() { return this.socket?.readyState === WebSocket.OPEN; }

  // pass tells the server of typing, if it is there.
  pass(on) { if (this.isOpen() && !this.pause) this.frame(on ? { type: "typing" } : { type: "typing", on }); }

  frame(frame) { this.socket.send(JSON.stringify(frame)); }

  flush() {
    if (!this.isOpen() || this.pause) return;
    for (const { frame } of [...this.outbox.values()].sort((a, b) => a.n - b.n)) {
      if (this.inFlight.size >= mostInFlight) return;
      if (this.inFlight.has(frame.id)) continue;
      this.tell({ sending: frame.id });
      this.frame(frame);
    }
  }

  take(frame) {
    switch (frame.type) {
      case "event":
        if (frame.from === "visitor" && this.outbox.has(frame.id)) this.tell({ acked: frame.id });
        this.tell({ event: frame, cursor: frame.cursor });
        return this.flush();
      case "typing": return this.tell({ typing: frame });
      case "ready": return this.tell({ cursor: frame.cursor });
      case "reset": return this.tell({ reset: true });
      case "ack":
        this.tell({ acked: frame.id });
        return this.flush();
      case "error": return this.refused(frame);
    }
  }

  refused({ id, retry_after: after, message }) {
    if (after && id) {
      this.tell({ refused: { id, later: true } });
      clearTimeout(this.pause);
      this.pause = setTimeout(() => { this.pause = 0; this.flush(); }, after * 1000);
    } else if (after) {
      this.drop(); // the thread is not followed: begin again
    } else if (id) {
      this.tell({ refused: { id, why: message } });
      this.flush();
    }
  }
}
