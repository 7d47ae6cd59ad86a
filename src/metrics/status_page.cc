// Weft - the status page: one document, drawn in the browser from what <path>/json says each second
// SPDX-License-Identifier: Apache-2.0
//
// All that comes from outside is put in as text, never as markup.
#include "metrics/status_page.h"

namespace wf::detail {

extern const char status_page[] = R"page(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Status</title>
<style>
:root { color-scheme: light dark; --back: #f4f5f7; --card: #fff; --ink: #1c2430; --soft: #667085;
  --line: #e2e5ea; --a: #2563eb; --b: #d97706; --c: #dc2626; --d: #059669; --e: #7c3aed; --f: #0891b2; }
@media (prefers-color-scheme: dark) { :root { --back: #10141a; --card: #1a2029; --ink: #e6e9ee;
  --soft: #93a0b2; --line: #2b3440; --a: #60a5fa; --b: #fbbf24; --c: #f87171; --d: #34d399;
  --e: #a78bfa; --f: #22d3ee; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 20px; background: var(--back); color: var(--ink);
  font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 1280px; margin: 0 auto; }
header { display: flex; align-items: baseline; gap: 12px; margin-bottom: 14px; }
h1 { font-size: 20px; margin: 0; }
h2 { font-size: 13px; margin: 0 0 8px; font-weight: 600; }
#note { color: var(--soft); }
#note.bad { color: var(--c); font-weight: 600; }
header a { color: var(--a); text-decoration: none; margin-left: auto; }
header a + a { margin-left: 0; }
.grid { display: grid; gap: 14px; margin-bottom: 14px; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); }
.row { margin-bottom: 14px; }
.two { grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); align-items: start; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; min-width: 0; }
.tile b { display: block; white-space: nowrap; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span, .legend, th, .none { color: var(--soft); font-size: 12px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 11px; }
svg .grid-line { stroke: var(--line); stroke-width: 1; }
svg path { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin-top: 6px; }
.legend i { display: inline-block; width: 10px; height: 3px; vertical-align: middle; margin-right: 5px; }
.legend b { color: var(--ink); font-weight: 500; font-variant-numeric: tabular-nums; }
.scroll { overflow: auto; max-height: 330px; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; position: sticky; top: 0; background: var(--card); }
td, th { padding: 3px 24px 3px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.wide { white-space: normal; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; }
h2.inline { display: inline; }
</style>
</head>
<body>
<main>
<header><h1 id="title">Status</h1><span id="note">reading ...</span>
<a id="to-metrics">metrics</a><a id="to-json">json</a></header>
<div class="grid tiles" id="tiles"></div>
<div class="grid two" id="charts"></div>
<div class="grid two">
<section class="card"><h2>Connections by state</h2><div class="scroll" id="states"></div></section>
<section class="card"><h2>Connections closed or refused, by reason</h2>
<div class="scroll" id="closes"></div></section>
</div>
<section class="card row" id="slow-card" hidden><h2>Slow requests, the latest first</h2>
<div class="scroll" id="slow"></div></section>
<section class="card row" id="list-card" hidden><h2>Connections of this server</h2>
<div class="scroll" id="list"></div></section>
<section class="card row"><details open><summary><h2 class="inline">The program's own metrics</h2></summary>
<div class="scroll" id="own"></div></details></section>
<section class="card row"><details><summary><h2 class="inline">All metrics of the engine</h2></summary>
<div class="scroll" id="all"></div></details></section>
</main>
<script>
"use strict";
const base = location.pathname.replace(/\/+$/, "");
const KEEP = 121, WINDOW = 10;      // seconds that are drawn; over which percentiles are taken
const history = [];                 // {t, m: Map of name -> samples}
const $ = id => document.getElementById(id);
const make = (name, text, cls) => {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return e;
};
const SVG = "http://www.w3.org/2000/svg";
const svg = (name, attributes) => {
  const e = document.createElementNS(SVG, name);
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  return e;
};

// Numbers for people.
const short = n => {
  const a = Math.abs(n);
  const tenths = by => (n / by).toFixed(1).replace(".0", "");
  if (a >= 1e9) return tenths(1e9) + " G";
  if (a >= 1e6) return tenths(1e6) + " M";
  if (a >= 1e4) return tenths(1e3) + " k";
  return a >= 100 || Number.isInteger(n) ? n.toFixed(0) : n.toFixed(a >= 1 ? 1 : 2);
};
const bytes = n => short(n) + (Math.abs(n) >= 1e4 ? "B" : " B");
const time = s => s >= 1 ? s.toFixed(2) + " s" : s >= 1e-3 ? (s * 1e3).toFixed(s >= 0.1 ? 0 : 1) + " ms"
  : s > 0 ? (s * 1e6).toFixed(0) + " µs" : "–";
const ago = ms => {
  const s = Math.max(0, ms / 1000);
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + Math.floor(s % 60) + " s";
  return s < 172800 ? Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min"
    : Math.floor(s / 86400) + " d";
};

// Of one reading.
const samples = (at, name) => at.m.get(name)?.samples ?? [];
const total = (at, name, match = {}) => samples(at, name)
  .filter(s => Object.entries(match).every(([k, v]) => s.labels[k] === v))
  .reduce((sum, s) => sum + s.value, 0);
const rate = (i, name, match) => {
  if (i < 1) return null;
  const a = history[i - 1], b = history[i], d = total(b, name, match) - total(a, name, match);
  return d < 0 ? null : d * 1000 / (b.t - a.t);  // the process began anew
};
// Of what came in the last seconds before reading i.
const percentile = (i, name, p) => {
  const b = samples(history[i], name)[0], a = samples(history[Math.max(0, i - WINDOW)], name)[0];
  if (!a || !b || i < 1) return null;
  const before = new Map(a.buckets.map(x => [x[1], x[2]]));
  const part = b.buckets.map(x => [x[0], x[1], x[2] - (before.get(x[1]) ?? 0)]);
  const count = part.reduce((sum, x) => sum + x[2], 0);
  let below = 0;
  for (const [low, high, n] of part) {
    if (n > 0 && below + n >= p * count) return low + (high - low) * (p * count - below) / n;
    below += n;
  }
  return null;
};

function table(id, columns, rows) {
  const place = $(id), top = place.scrollTop;
  if (rows.length === 0) {
    place.replaceChildren(make("div", "none", "none"));
    return;
  }
  const t = make("table"), head = make("tr");
  const cls = c => c[0] === "#" ? "n" : c[0] === "~" ? "wide" : "";
  for (const c of columns) head.append(make("th", c.replace(/^[#~]/, ""), cls(c)));
  t.append(head);
  for (const row of rows) {
    const tr = make("tr");
    row.forEach((cell, i) => tr.append(make("td", cell, cls(columns[i]))));
    t.append(tr);
  }
  place.replaceChildren(t);
  place.scrollTop = top;
}

const charts = [
  { title: "Requests per second", form: short, lines: [
    ["answered here", "--a", i => rate(i, "weft_http_answers_total")],
    ["server errors (5xx)", "--c", i => rate(i, "weft_http_answers_total", { class: "5xx" })],
    ["of clients", "--d", i => rate(i, "weft_client_requests_total", { result: "ok" })],
    ["of clients, failed", "--b", i => rate(i, "weft_client_requests_total") === null ? null
      : rate(i, "weft_client_requests_total") - rate(i, "weft_client_requests_total", { result: "ok" })]] },
  { title: "Time of requests, over " + WINDOW + " s", form: time, lines: [
    ["half", "--a", i => percentile(i, "weft_server_request_duration_seconds", .5)],
    ["90 %", "--d", i => percentile(i, "weft_server_request_duration_seconds", .9)],
    ["99 %", "--c", i => percentile(i, "weft_server_request_duration_seconds", .99)]] },
  { title: "Connections", form: short, lines: [
    ["awaiting a request", "--a", i => total(history[i], "weft_connections", { state: "awaiting" })],
    ["with a request", "--d", i => ["receiving", "serving", "replying"].reduce((sum, s) =>
      sum + total(history[i], "weft_connections", { side: "server", state: s }), 0)],
    ["of clients, parked", "--e", i => total(history[i], "weft_connections", { state: "parked" })],
    ["of clients, at work", "--b", i => ["connecting", "handshaking", "sending", "receiving"].reduce((sum, s) =>
      sum + total(history[i], "weft_connections", { side: "client", state: s }), 0)]] },
  { title: "Bytes per second", form: bytes, lines: [
    ["received", "--a", i => rate(i, "weft_received_bytes_total")],
    ["sent", "--d", i => rate(i, "weft_sent_bytes_total")]] },
];

function draw(chart) {
  const W = 560, H = 150, LEFT = 52, BOTTOM = 18, now = history.at(-1).t;
  const x = t => W - (now - t) / 1000 * (W - LEFT) / (KEEP - 1);
  const data = chart.lines.map(line => history.map((at, i) => [at.t, line[2](i)]));
  const most = Math.max(0, ...data.flat().map(d => d[1] ?? 0));
  let step = 10 ** Math.floor(Math.log10(most || 1));
  step = [step, 2 * step, 5 * step, 10 * step].find(s => s >= most) ?? 1;
  const y = v => (H - BOTTOM) * (1 - v / step);
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" });
  for (const part of [0, .5, 1]) {
    picture.append(svg("line", { x1: LEFT, x2: W, y1: y(part * step), y2: y(part * step), class: "grid-line" }));
    const label = svg("text", { x: LEFT - 6, y: y(part * step) + (part === 1 ? 9 : 4), "text-anchor": "end" });
    label.textContent = part ? chart.form(part * step) : "0";
    picture.append(label);
  }
  for (const s of [120, 60]) {
    const label = svg("text", { x: x(now - s * 1000), y: H - 3, "text-anchor": s === 120 ? "start" : "middle" });
    label.textContent = "-" + s / 60 + " min";
    picture.append(label);
  }
  data.forEach((points, n) => {
    let d = "", pen = "M";
    for (const [t, v] of points) {
      if (v === null) { pen = "M"; continue; }
      d += pen + x(t).toFixed(1) + " " + y(v).toFixed(1);
      pen = "L";
    }
    picture.append(svg("path", { d, style: `stroke: var(${chart.lines[n][1]})` }));
  });
  const legend = make("div", undefined, "legend");
  data.forEach((points, n) => {
    const item = make("span"), mark = make("i"), last = points.at(-1)[1];
    mark.style.background = `var(${chart.lines[n][1]})`;
    item.append(mark, chart.lines[n][0] + " ", make("b", last === null ? "–" : chart.form(last)));
    legend.append(item);
  });
  const card = make("section", undefined, "card");
  card.append(make("h2", chart.title), picture, legend);
  return card;
}

function show_tiles() {
  const i = history.length - 1, at = history[i];
  const server = total(at, "weft_connections", { side: "server" });
  const or = (v, form) => v === null ? "–" : form(v);
  const tiles = [
    ["requests per second", or(rate(i, "weft_server_requests_total"), short)],
    ["99 % within", or(percentile(i, "weft_server_request_duration_seconds", .99), time)],
    ["connections of servers", short(server)],
    ["connections of clients", short(total(at, "weft_connections", { side: "client" }))],
    ["requests, in all", short(total(at, "weft_server_requests_total"))],
    ["workers", short(total(at, "weft_workers"))],
    ["waiting in the queue", short(total(at, "weft_queue_length"))],
    ["timers", short(total(at, "weft_timers"))],
    ["computations", short(total(at, "weft_executor_running") + total(at, "weft_executor_queue_length"))],
  ];
  $("tiles").replaceChildren(...tiles.map(([name, value]) => {
    const tile = make("div", undefined, "card tile");
    tile.append(make("b", value), make("span", name));
    return tile;
  }));
}

const value_text = (family, s) => {
  const form = family.unit === "seconds" ? time : family.unit === "bytes" ? bytes : short;
  if (family.type !== "histogram") return s.value === null ? "–" : form(s.value);
  return s.count === 0 ? "none" : `${short(s.count)}; half ≤ ${form(s.p50)}, 99 % ≤ ${form(s.p99)}`;
};
const label_text = labels => Object.entries(labels).map(([k, v]) => k + " = " + v).join(", ");

function show_tables(status) {
  const i = history.length - 1, at = history[i];
  table("states", ["side", "state", "#now"], samples(at, "weft_connections")
    .filter(s => s.value).map(s => [s.labels.side, s.labels.state, short(s.value)]));
  table("closes", ["reason", "#per second", "#in all"], samples(at, "weft_closes_total")
    .filter(s => s.value).sort((a, b) => b.value - a.value)
    .map(s => [s.labels.reason.replaceAll("_", " "), short(rate(i, "weft_closes_total", s.labels) ?? 0),
      short(s.value)]));
  $("slow-card").hidden = !status.slow;
  if (status.slow) table("slow", ["#took", "#ago", "method", "~target", "status", "peer"], status.slow
    .map(s => [time(s.took_us / 1e6), ago(status.now - s.ended), s.method, s.target, s.status, s.peer]));
  $("list-card").hidden = !status.connections;
  if (status.connections) table("list", ["peer", "state", "#for", "#requests", "#age", ""],
    status.connections.map(c => [c.peer, c.state, c.since < 0 ? "" : ago(c.since), short(c.requests),
      ago(c.age), c.tls ? "TLS" : ""]));
  const rows = [...at.m.values()].flatMap(f => f.samples.map(s =>
    [f.name, label_text(s.labels), value_text(f, s), f.help]));
  const own = r => !r[0].startsWith("weft_");
  table("own", ["name", "labels", "#value", "~what"], rows.filter(own));
  table("all", ["name", "labels", "#value", "~what"], rows.filter(r => !own(r)));
}

async function read() {
  try {
    const answer = await fetch(base + "/json", { cache: "no-store" });
    if (!answer.ok) throw new Error("status " + answer.status);
    const status = await answer.json();
    history.push({ t: status.now, m: new Map(status.metrics.map(f => [f.name, f])) });
    while (history.length > KEEP) history.shift();
    document.title = $("title").textContent = status.title;
    $("note").textContent = "live, each second";
    $("note").className = "";
    show_tiles();
    $("charts").replaceChildren(...charts.map(draw));
    show_tables(status);
  } catch (error) {
    $("note").textContent = "no answer: " + error.message;
    $("note").className = "bad";
  }
  setTimeout(read, history.length === 1 ? 300 : 1000);
}
$("to-metrics").href = base + "/metrics";
$("to-json").href = base + "/json";
read();
</script>
</body>
</html>
)page";

extern const size_t status_page_size = sizeof status_page - 1;

} // namespace wf::detail
