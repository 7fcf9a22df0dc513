"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const NETWORK = new Set(["partition", "isolate", "split-domains", "bridge", "one-way", "leader-cut", "cut-between", "flap",
  "swizzle", "clog", "spike", "slow-pair", "loss", "split-reads", "corrupt", "reset", "black-hole"]);
const CUTS = new Set(["partition", "isolate", "split-domains", "bridge", "leader-cut", "cut-between", "swizzle"]);
const ENDED = new Set(["committed", "aborted", "closed"]);
const END = Math.max(data.end_ms, 1);

// What the timeline says, as spans.
const hosts = [];
data.domains.forEach((domain, index) => {
  for (let node = 0; node < domain.nodes; node++) hosts.push({ number: hosts.length, domain: index, ups: [], roles: [] });
});
const faults = data.faults.map(f => ({ ...f, from: null, to: null, done: null, hit: touched(f.fault) }));
const byNumber = new Map(faults.map(f => [f.number, f]));
const phases = [], transfers = new Map(), books = new Map();
for (const h of data.timeline) {
  const at = h.at_ms, host = hosts[h.host];
  if (h.what === "phase") { close(phases, at); phases.push({ name: h.name, from: at, to: END }); }
  else if (h.what === "fault-began") { const f = byNumber.get(h.number); if (f) { f.from = at; f.done = h.done; f.to = h.done ? Math.min(at + f.for_ms, END) : at; } }
  else if (h.what === "fault-ended") { const f = byNumber.get(h.number); if (f && f.from !== null) f.to = at; }
  else if (h.what === "host" && host) {
    close(host.ups, at); close(host.roles, at);
    host.ups.push({ up: h.up, from: at, to: END });
  }
  else if (h.what === "role" && host) { close(host.roles, at); host.roles.push({ role: h.role, term: h.term, from: at, to: END }); }
  else if (h.what === "transfer") {
    if (!transfers.has(h.id)) transfers.set(h.id, { id: h.id, from: h.from, to: h.to, amount: h.amount, steps: [] });
    transfers.get(h.id).steps.push({ state: h.state, at });
  }
  else if (h.what === "books") { if (!books.has(h.domain)) books.set(h.domain, []); books.get(h.domain).push({ at, sums: h.sums }); }
}
// A record without host lines: a crash fault says who was down.
for (const host of hosts) if (!host.ups.length)
  for (const f of faults) if (f.done && f.kind.includes("crash") && f.hit.includes(host.number)) {
    for (const role of host.roles) if (role.from < f.from && role.to > f.from) role.to = f.from;
    host.ups.push({ up: false, from: f.from, to: f.to });
  }
const deals = [...transfers.values()].map(t => {
  const end = t.steps.find(s => ENDED.has(s.state));
  const decision = t.steps.find(s => s.state === "committed" || s.state === "aborted");
  return { ...t, begun: t.steps[0].at, ended: end ? end.at : null, outcome: decision ? decision.state : end ? end.state : null };
}).sort((a, b) => a.begun - b.begun);

function close(spans, at) { const last = spans[spans.length - 1]; if (last && last.to > at) last.to = at; }
function touched(fault) {
  const found = new Set(), names = ["host", "from", "to", "one", "other", "bridge"];
  for (const name of names) if (typeof fault[name] === "number") found.add(fault[name]);
  for (const name of ["clog", "free"]) (fault[name] || []).forEach(n => found.add(n));
  if (fault.kind === "split-domains") hosts.filter(h => (fault.side || []).includes(h.domain)).forEach(h => found.add(h.number));
  else (fault.side || []).forEach(n => found.add(n));
  if (typeof fault.domain === "number") hosts.filter(h => h.domain === fault.domain).forEach(h => found.add(h.number));
  return [...found];
}
function packed(items, gap) {
  const ends = [];
  for (const item of items) {
    let row = ends.findIndex(end => end + gap <= item.from);
    if (row < 0) row = ends.push(0) - 1;
    ends[row] = Math.max(item.to, item.from); item.row = row;
  }
  return Math.max(ends.length, 1);
}

// Drawing.
const W = 1190, LEFT = 140, RIGHT = 16, SPAN = W - LEFT - RIGHT, NS = "http://www.w3.org/2000/svg";
const picture = document.getElementById("picture"), tip = document.getElementById("moment");
let view = [0, END], svg, height;
const x = at => LEFT + (at - view[0]) / (view[1] - view[0]) * SPAN;
const atX = px => view[0] + (px - LEFT) / SPAN * (view[1] - view[0]);
const seconds = at => (at / 1000).toLocaleString("en", { maximumFractionDigits: view[1] - view[0] < 5000 ? 3 : 1 });
function put(name, attributes, text) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  svg.appendChild(node);
  return node;
}
function bar(from, to, y, tall, kind, least) {
  if (to < view[0] || from > view[1]) return null;
  const a = Math.max(x(from), LEFT), b = Math.min(x(to), W - RIGHT);
  return put("rect", { x: a.toFixed(1), y, width: Math.max(b - a, least || 1).toFixed(1), height: tall, rx: Math.min(2, tall / 2), class: kind });
}
function label(text, y, kind) { put("text", { x: LEFT - 10, y, class: "end " + (kind || "") }, text); }

function draw() {
  picture.textContent = "";
  svg = document.createElementNS(NS, "svg");
  let y = 8;
  // Phases.
  phases.forEach((p, i) => {
    const box = bar(p.from, p.to, y, 20, i % 2 ? "none" : "even");
    if (!box) return;
    if (i % 2) box.setAttribute("fill", "none");
    const wide = +box.getAttribute("width");
    if (wide > 34) put("text", { x: +box.getAttribute("x") + wide / 2, y: y + 14, class: "soft mid" }, p.name);
  });
  label("phase", y + 14, "soft");
  y += 30;
  // Faults.
  const shown = faults.filter(f => f.from !== null).sort((a, b) => a.from - b.from);
  const rows = packed(shown, (view[1] - view[0]) / SPAN * 3 + (view[1] - view[0]) * .016);
  label("faults", y + 11, "head");
  for (const f of shown) {
    const box = bar(f.from, f.to, y + f.row * 17, 14, !f.done ? "undone" : NETWORK.has(f.kind) ? "network" : "hit", 16);
    if (!box) continue;
    box.appendChild(document.createElementNS(NS, "title")).textContent = `${f.number}: ${f.kind} ${f.words}${f.done ? "" : " (could not happen)"}`;
    const wide = +box.getAttribute("width"), name = `${f.number} ${f.kind}`;
    const text = wide > name.length * 6.2 + 6 ? name : wide > 13 ? `${f.number}` : "";
    put("text", { x: +box.getAttribute("x") + 4, y: y + f.row * 17 + 11, class: f.done ? "onbar" : "onbar soft" }, text);
  }
  y += rows * 17 + 12;
  // Hosts.
  const top = y;
  data.domains.forEach((domain, index) => {
    label(domain.name, y + 12, "head");
    put("line", { x1: LEFT, x2: W - RIGHT, y1: y + 8, y2: y + 8, class: "rule" });
    y += 18;
    for (const host of hosts.filter(h => h.domain === index)) { lane(host, y); y += 24; }
    y += 6;
  });
  for (const f of shown) if (f.done && CUTS.has(f.kind)) { const veil = bar(f.from, f.to, top, y - top, "veil"); if (veil) veil.setAttribute("rx", 0); }
  y += 6;
  y = doubts(y);
  for (const domain of data.domains) y = ledger(domain.name, y);
  axis(y, top);
  height = y + 26;
  svg.setAttribute("viewBox", `0 0 ${W} ${height}`);
  if (data.failure) {
    const at = x(data.failure.at_ms);
    if (at >= LEFT - 1 && at <= W - RIGHT + 1) {
      put("line", { x1: at, x2: at, y1: 4, y2: height - 22, class: "failed" });
      put("text", { x: at - 6, y: top + 12, class: "failed end" }, data.failure.oracle);
    }
  }
  picture.appendChild(svg);
  listen();
}

function lane(host, y) {
  label(`host ${host.number}`, y + 12, "soft");
  put("rect", { x: LEFT, y: y, width: SPAN, height: 15, class: "lane" });
  for (const r of host.roles) {
    const known = ["leader", "follower", "candidate", "learner"].includes(r.role) ? r.role : "other";
    const box = bar(r.from, r.to, y, 15, known);
    if (box) box.appendChild(document.createElementNS(NS, "title")).textContent = `host ${host.number}: ${r.role}, term ${r.term}`;
  }
  for (const u of host.ups) if (!u.up) {
    const blank = bar(u.from, u.to, y, 15, ""); if (blank) blank.setAttribute("fill", "var(--card)");
    bar(u.from, u.to, y + 1, 13, "down", 3);
  }
  for (const f of faults) if (f.done && f.hit.includes(host.number)) bar(f.from, f.to, y + 16, 4, NETWORK.has(f.kind) ? "network" : "hit", 2);
}

function doubts(y) {
  if (!deals.length) return y;
  label("in doubt", y + 12, "head");
  const tall = 54, changes = [];
  for (const d of deals) { changes.push([d.begun, 1]); if (d.ended !== null) changes.push([d.ended, -1]); }
  changes.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let count = 0, most = 1;
  for (const c of changes) { count += c[1]; most = Math.max(most, count); }
  count = 0;
  const base = y + tall, level = n => base - n / most * (tall - 8);
  let path = `M${x(0).toFixed(1)},${base}`;
  for (const [at, by] of changes) { path += `H${x(at).toFixed(1)}`; count += by; path += `V${level(count).toFixed(1)}`; }
  path += `H${x(END).toFixed(1)}V${base}Z`;
  clip(put("path", { d: path, class: "area" }), y, tall + 1);
  put("line", { x1: LEFT, x2: W - RIGHT, y1: base, y2: base, class: "rule" });
  label(`${deals.length} payments`, y + 28, "soft");
  label(`at most ${most} at once`, y + 43, "soft");
  y = base + 6;
  const spans = deals.map(d => ({ deal: d, from: d.begun, to: d.ended === null ? END : d.ended }));
  const rows = packed(spans, (view[1] - view[0]) / SPAN * 3), step = rows > 30 ? 3 : 6;
  for (const s of spans) {
    const d = s.deal, kind = d.outcome || "doubt";
    const box = bar(s.from, s.to, y + s.row * step, step - 1, kind, 2.5);
    if (box) box.appendChild(document.createElementNS(NS, "title")).textContent =
      `${d.amount} from ${d.from} to ${d.to}: ${d.steps.map(p => `${p.state} ${seconds(p.at)} s`).join(", ")} (${d.id.slice(0, 8)})`;
  }
  return y + rows * step + 14;
}

let clips = 0;
function clip(node, y, tall) {
  const id = `c${++clips}`, path = put("clipPath", { id });
  const rect = document.createElementNS(NS, "rect");
  for (const [k, v] of Object.entries({ x: LEFT, y: y - 2, width: SPAN, height: tall + 4 })) rect.setAttribute(k, v);
  path.appendChild(rect);
  node.setAttribute("clip-path", `url(#${id})`);
}

function ledger(name, y) {
  const lines = books.get(name);
  if (!lines || !lines.length) return y;
  const tall = 44, base = y + tall;
  label(`${name}'s books`, y + 12, "head");
  // Each line has its own scale: what is in flight would be invisible beside what agents hold.
  const kinds = [["in-flight", "flow"], ["escrows", "held"], ["peers", "peers"]];
  let at = y + 27;
  for (const [kind, css] of kinds) {
    const values = lines.map(l => Math.abs(Number(l.sums[kind] || 0)));
    const most = Math.max(...values);
    if (!most) continue;
    let path = "";
    lines.forEach((l, i) => { const py = (base - values[i] / most * (tall - 6)).toFixed(1); path += i ? `H${x(l.at).toFixed(1)}V${py}` : `M${x(l.at).toFixed(1)},${py}`; });
    clip(put("path", { d: path + `H${x(END).toFixed(1)}`, class: css }), y, tall);
    label(kind, at, css); at += 14;
  }
  put("line", { x1: LEFT, x2: W - RIGHT, y1: base, y2: base, class: "rule" });
  return Math.max(base, at - 8) + 14;
}

function axis(y, top) {
  const wide = view[1] - view[0];
  const step = [10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 6e4, 3e5, 6e5, 36e5, 216e5, 432e5].find(s => wide / s <= 12) || 864e5;
  for (let at = Math.ceil(view[0] / step) * step; at <= view[1]; at += step) {
    put("line", { x1: x(at), x2: x(at), y1: y, y2: y + 5, class: "rule" });
    put("text", { x: x(at), y: y + 18, class: "soft mid" }, `${seconds(at)} s`);
  }
  put("line", { x1: LEFT, x2: W - RIGHT, y1: y, y2: y, class: "rule" });
}

function listen() {
  const cross = put("line", { y1: 4, y2: height - 22, class: "cross", visibility: "hidden" });
  const pick = put("rect", { y: 4, height: height - 26, class: "pick", visibility: "hidden" });
  let from = null;
  const where = event => {
    const box = svg.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width * W, LEFT), W - RIGHT);
  };
  svg.addEventListener("pointerdown", event => { from = where(event); svg.setPointerCapture(event.pointerId); });
  svg.addEventListener("pointermove", event => {
    const px = where(event);
    cross.setAttribute("x1", px); cross.setAttribute("x2", px); cross.setAttribute("visibility", "visible");
    if (from !== null) {
      pick.setAttribute("x", Math.min(px, from)); pick.setAttribute("width", Math.abs(px - from)); pick.setAttribute("visibility", "visible");
    }
    tell(atX(px), event);
  });
  svg.addEventListener("pointerup", event => {
    const to = where(event), start = from;
    from = null;
    pick.setAttribute("visibility", "hidden");
    if (start === null || Math.abs(to - start) < 8) return;
    const next = [atX(Math.min(start, to)), atX(Math.max(start, to))];
    if (next[1] - next[0] >= 50) { view = next; draw(); }
  });
  svg.addEventListener("pointerleave", () => { cross.setAttribute("visibility", "hidden"); tip.hidden = true; mark([]); });
  svg.addEventListener("dblclick", () => { view = [0, END]; draw(); });
}

function tell(at, event) {
  const now = spans => spans.find(s => s.from <= at && at < s.to);
  const active = faults.filter(f => f.done && f.from <= at && at < f.to);
  const down = hosts.filter(h => { const up = now(h.ups); return up && !up.up; });
  const leaders = hosts.filter(h => (now(h.roles) || {}).role === "leader");
  const open = deals.filter(d => d.begun <= at && (d.ended === null || d.ended > at));
  const lines = [`<b>${seconds(at)} s</b> ${(now(phases) || { name: "" }).name}`];
  lines.push(active.length ? "faults: " + active.map(f => `${f.number} ${f.kind}`).join(", ") : "no fault");
  lines.push(leaders.length ? "led by " + leaders.map(h => `host ${h.number} (${data.domains[h.domain].name})`).join(", ") : "nobody leads");
  if (down.length) lines.push("down: " + down.map(h => `host ${h.number}`).join(", "));
  if (open.length) {
    const oldest = open[0];
    lines.push(`${open.length} in doubt, the oldest for ${seconds(at - oldest.begun)} s (${oldest.from} to ${oldest.to})`);
  }
  tip.innerHTML = "";
  lines.forEach((text, i) => { const p = document.createElement("p"); if (i === 0) p.innerHTML = text; else p.textContent = text; tip.appendChild(p); });
  tip.hidden = false;
  const box = tip.parentElement.getBoundingClientRect(), left = event.clientX - box.left + 16;
  tip.style.left = `${left + tip.offsetWidth > box.width ? left - tip.offsetWidth - 32 : left}px`;
  tip.style.top = `${event.clientY - box.top + 14}px`;
  mark(active);
}
function mark(active) {
  const numbers = new Set(active.map(f => String(f.number)));
  document.querySelectorAll("#faults tbody tr").forEach(row => row.classList.toggle("now", numbers.has(row.dataset.fault)));
}

// The books at the end, and that they balance.
const shelf = document.getElementById("books");
for (const [name, lines] of books) {
  const last = lines[lines.length - 1], table = document.createElement("table");
  let sum = 0n;
  const row = (a, b) => { const r = table.insertRow(); r.insertCell().textContent = a; const c = r.insertCell(); c.textContent = b; c.className = "number"; };
  row(`${name} at ${seconds(last.at)} s`, "minor units");
  for (const kind of Object.keys(last.sums).sort()) { sum += BigInt(last.sums[kind]); row(kind, BigInt(last.sums[kind]).toLocaleString("en")); }
  row("sum", sum.toLocaleString("en"));
  shelf.appendChild(table);
}
if (!books.size) shelf.textContent = "The record holds none.";
document.getElementById("copy").addEventListener("click", () => navigator.clipboard && navigator.clipboard.writeText(document.getElementById("command").textContent));
draw();
})();
