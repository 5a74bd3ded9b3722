// The page's side of docs/web-chat.md: shows the thread, sends what is written, and keeps what was not acknowledged in
// localStorage until it is, whatever happens to the connection, the page or the server meanwhile.

const words = {
  en: {
    connecting: "Connecting …", online: "Connected", offline: "Offline: messages are sent when you are back",
    label: "Message", hint: "Write a message", send: "Send", log: "Conversation",
    sending: "sending …", sent: "sent", waiting: "not sent, will retry", refused: "not sent",
    you: "You", agent: "Agent", bot: "Assistant", system: "Notice",
    joined: (who) => `${who} joined`, left: (who) => `${who} left`, ended: "The conversation has ended. Write again at any time.",
    edited: "edited", deleted: "This message was taken back.",
  },
  zh: {
    connecting: "正在连接…", online: "已连接", offline: "离线：恢复连接后会自动发送",
    label: "消息", hint: "输入消息", send: "发送", log: "对话",
    sending: "正在发送…", sent: "已发送", waiting: "未发送，将重试", refused: "未发送",
    you: "您", agent: "客服", bot: "智能助手", system: "通知",
    joined: (who) => `${who}已加入`, left: (who) => `${who}已离开`, ended: "对话已结束。您可以随时继续发送消息。",
    edited: "已编辑", deleted: "此消息已撤回。",
  },
};
const language = /^zh\b/i.test(navigator.language) ? "zh" : "en";
const say = words[language];

const here = new URL(".", location.href); // …/chat/v1/WIDGET/
const prefix = `skein-chat:${here.pathname}:`;

// What the page keeps. Where the browser keeps nothing, it lives as long as the page.
const memory = new Map();
const store = {
  get(name) {
    try { return memory.get(name) ?? localStorage.getItem(prefix + name); } catch { return memory.get(name) ?? null; }
  },
  set(name, value) {
    try { localStorage.setItem(prefix + name, value); } catch { memory.set(name, value); }
  },
  remove(name) {
    memory.delete(name);
    try { localStorage.removeItem(prefix + name); } catch { /* it was never kept */ }
  },
  names() {
    const names = [...memory.keys()];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const name = localStorage.key(i);
        if (name.startsWith(prefix)) names.push(name.slice(prefix.length));
      }
    } catch { /* nothing is kept */ }
    return names;
  },
};
const parse = (json) => { try { return JSON.parse(json); } catch { return null; } };

// Messages that the log may not have, the oldest first. Every tab has its own name for each, so tabs never overwrite
// one another's.
function unsent() {
  return store.names().filter((name) => name.startsWith("unsent:")).map((name) => parse(store.get(name)))
    .filter((m) => m?.id).sort((a, b) => (a.at < b.at ? -1 : 1));
}
const forget = (id) => store.remove("unsent:" + id);

// The conversation on the screen.
const log = document.getElementById("log");
const list = document.getElementById("list");
const items = new Map(); // by who and message id
const seen = new Set(); // event ids
const clock = new Intl.DateTimeFormat(navigator.language, { hour: "2-digit", minute: "2-digit" });

function item(key) {
  if (items.has(key)) return items.get(key);
  const bottom = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const li = document.createElement("li");
  const text = document.createElement("p");
  text.dir = "auto";
  li.append(text, document.createElement("small"));
  items.set(key, li);
  list.append(li);
  if (bottom) queueMicrotask(() => { log.scrollTop = log.scrollHeight; });
  return li;
}

// settle puts what the log has behind all that it had before, and above what it may not have.
function settle(li) {
  li.settled = true;
  let before = null;
  for (let at = list.lastElementChild; at && (at === li || !at.settled); at = at.previousElementSibling) {
    if (at !== li) before = at;
  }
  if (li.nextElementSibling !== before) list.insertBefore(li, before);
}

function draw(li, kind, text, ...details) {
  li.className = kind;
  li.firstChild.textContent = text;
  li.lastChild.textContent = details.filter(Boolean).join(" · ");
}

function drawUnsent(m, state, why) {
  const li = item("visitor:" + m.id);
  li.message = m;
  if (!li.settled) draw(li, `visitor ${state}`, m.text, clock.format(new Date(m.at)), say[state], why);
  if (state === "refused") settle(li);
}

function note(key, text) {
  const li = item(key);
  draw(li, "note", text);
  settle(li);
}

function happened(e) {
  if (e.cursor) cursor = e.cursor;
  if (seen.has(e.event)) return;
  seen.add(e.event);
  const who = e.author || say[e.from] || e.from;
  const at = clock.format(new Date(e.at));
  const visitor = e.from === "visitor";
  switch (e.name) {
    case "message.received":
    case "message.sent": {
      const li = item((visitor ? "visitor:" : "company:") + e.id);
      const text = [e.text, ...(e.files ?? []).map((name) => `📎 ${name}`)].filter(Boolean).join("\n");
      draw(li, visitor ? "visitor sent" : "company", text, visitor ? "" : who, at, visitor ? say.sent : "");
      settle(li);
      if (visitor) { inFlight.delete(e.id); forget(e.id); }
      break;
    }
    case "message.edited":
    case "message.deleted": {
      const li = items.get("company:" + e.refers) ?? items.get("visitor:" + e.refers);
      if (!li) break;
      const deleted = e.name === "message.deleted";
      li.classList.toggle("deleted", deleted);
      li.firstChild.textContent = deleted ? say.deleted : e.text;
      if (!deleted && !li.lastChild.textContent.includes(say.edited)) li.lastChild.textContent += ` · ${say.edited}`;
      break;
    }
    case "party.joined": note(e.event, say.joined(who)); break;
    case "party.left": note(e.event, say.left(who)); break;
    case "interaction.ended": note(e.event, say.ended); break;
  }
}

function clear() {
  cursor = "";
  seen.clear();
  items.clear();
  list.replaceChildren();
  for (const m of unsent()) drawUnsent(m, inFlight.has(m.id) ? "sending" : "waiting");
}

// The visitor.
let session = null;
let skew = 0; // how far the server's clock is ahead of this one, in milliseconds
let doubtful = true; // the token may not be good any more

async function renew() {
  const saved = parse(store.get("session"));
  const headers = saved ? { Authorization: `Bearer ${saved.token}` } : {};
  const answer = await fetch(new URL("session", here), { method: "POST", headers, signal: AbortSignal.timeout(15000) });
  if (answer.status === 401 && saved) {
    store.remove("session");
    return renew();
  }
  if (!answer.ok) throw new Error(`session: ${answer.status}`);
  const fresh = await answer.json();
  skew = Date.parse(fresh.now) - Date.now();
  const other = parse(store.get("session")); // another tab may have been faster
  if (other && other.thread !== saved?.thread) return adopt(other);
  store.set("session", JSON.stringify(fresh));
  adopt(fresh);
}

function adopt(fresh) {
  const another = session && session.thread !== fresh.thread;
  session = fresh;
  doubtful = false;
  if (another) clear();
  return another;
}

// The connection.
const firstDelay = 500;
const longestDelay = 30_000;
const heartbeat = 25_000;
const mostInFlight = 8; // messages that wait for their acknowledgement at once
const inFlight = new Set();
let socket = null;
let opening = false;
let heard = false; // since the last ping
let cursor = "";
let attempt = 0;
let retry = 0;
let pause = 0;

function state(name) {
  const p = document.getElementById("state");
  if (p.dataset.state === name) return;
  p.dataset.state = name;
  p.textContent = say[name];
}

async function connect() {
  if (opening || socket) return;
  clearTimeout(retry);
  opening = true;
  try {
    if (doubtful) await renew();
    open();
  } catch {
    later();
  } finally {
    opening = false;
  }
}

function open() {
  const url = new URL("ws", here);
  url.protocol = url.protocol.replace("http", "ws");
  const ws = new WebSocket(url, ["skein.chat.v1", `bearer.${session.token}`]);
  let opened = false;
  socket = ws;
  ws.onopen = () => {
    opened = heard = true;
    state("online");
    send({ type: "resume", cursor });
    flush();
  };
  ws.onmessage = ({ data }) => {
    heard = true;
    attempt = 0;
    take(JSON.parse(data));
  };
  ws.onclose = ({ code }) => {
    if (socket !== ws) return;
    if (!opened || code === 1008) doubtful = true; // a browser does not tell why it could not open
    drop();
  };
}

function drop() {
  const ws = socket;
  socket = null;
  inFlight.clear();
  ws?.close();
  for (const m of unsent()) drawUnsent(m, "waiting");
  later();
}

function later() {
  state("offline");
  clearTimeout(retry);
  const delay = Math.min(longestDelay, firstDelay * 2 ** attempt++) * (0.5 + Math.random() / 2);
  retry = setTimeout(connect, delay);
}

const ready = () => socket?.readyState === WebSocket.OPEN;
const send = (frame) => socket.send(JSON.stringify(frame));

function flush() {
  if (!ready() || pause) return;
  for (const m of unsent()) {
    if (inFlight.size >= mostInFlight) return;
    if (inFlight.has(m.id)) continue;
    inFlight.add(m.id);
    drawUnsent(m, "sending");
    send({ type: "message", ...m });
  }
}

function take(frame) {
  switch (frame.type) {
    case "event": return happened(frame);
    case "ready": cursor = frame.cursor; return;
    case "reset": return clear();
    case "ack": {
      inFlight.delete(frame.id);
      forget(frame.id);
      const li = items.get("visitor:" + frame.id);
      if (li?.message) drawUnsent(li.message, "sent");
      return flush();
    }
    case "error": return refused(frame);
  }
}

function refused({ id, retry_after: after, message }) {
  const m = parse(store.get("unsent:" + id));
  inFlight.delete(id);
  if (after && id) {
    if (m) drawUnsent(m, "waiting");
    clearTimeout(pause);
    pause = setTimeout(() => { pause = 0; flush(); }, after * 1000);
  } else if (after) {
    drop(); // the thread is not followed: begin again
  } else if (m) {
    forget(id);
    drawUnsent(m, "refused", message);
    flush();
  }
}

setInterval(() => {
  if (!ready()) return;
  if (!heard) return drop();
  heard = false;
  send({ type: "ping" });
}, heartbeat);

function again() {
  attempt = 0;
  connect();
}
addEventListener("online", again);
addEventListener("offline", () => { if (socket) drop(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });

// Other tabs.
addEventListener("storage", ({ key, newValue }) => {
  if (!key?.startsWith(prefix)) return;
  const name = key.slice(prefix.length);
  const value = parse(newValue);
  if (name === "session" && value && adopt(value)) {
    drop();
  } else if (name.startsWith("unsent:") && value) {
    drawUnsent(value, "waiting");
  } else if (name.startsWith("unsent:")) {
    const at = "visitor:" + name.slice("unsent:".length);
    const li = items.get(at);
    if (li && !li.settled && li.classList.contains("waiting")) { // the event will show it again
      items.delete(at);
      li.remove();
    }
  }
});

// Writing.
const form = document.getElementById("form");
const text = document.getElementById("text");
let last = 0;

function randomID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

form.addEventListener("submit", (e) => {
  e.preventDefault();
  const said = text.value.trim();
  text.focus();
  if (!said) return;
  last = Math.max(last + 1, Date.now() + skew); // so that two of the same millisecond keep their order
  const m = { id: randomID(), text: said, at: new Date(last).toISOString() };
  store.set("unsent:" + m.id, JSON.stringify(m));
  text.value = "";
  drawUnsent(m, ready() ? "sending" : "waiting");
  log.scrollTop = log.scrollHeight;
  flush();
});

text.addEventListener("keydown", (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    form.requestSubmit();
  }
});

document.documentElement.lang = language;
document.getElementById("label").textContent = say.label;
document.getElementById("send").textContent = say.send;
log.setAttribute("aria-label", say.log);
text.placeholder = say.hint;
state("connecting");
for (const m of unsent()) drawUnsent(m, "waiting");
connect();
