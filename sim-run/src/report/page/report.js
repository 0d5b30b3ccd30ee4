"use strict";
// Draws one failing run. All data comes from the element #data; whatever is shown goes through textContent or a canvas.
(() => {
const began = performance.now();
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

// ---- words ----

const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
function duration(ns) {
  const [size, unit] = UNITS.find(([size]) => Math.abs(ns) >= size) || UNITS[3];
  return +(ns / size).toFixed(3) + " " + unit;
}
const instant = (ns) => (ns / 1e9).toFixed(6) + " s";

function words(line) {
  switch (line.kind) {
    case "process_start": return "process " + line.process + " starts";
    case "process_end": return "process " + line.process + { exit: " ends", kill: " is killed", power_cut: " loses power" }[line.how];
    case "packet": {
      const fate = line.fate === "arrives" ? "arrives after " + duration(line.arrives - line.at) : line.fate === "lost" ? "is lost" : "is held";
      return "→ " + line.to + ", " + (line.ack ? "acknowledgement" : line.bytes + " bytes") + ", " + fate +
        (line.damaged ? ", damaged" : "") + (line.copy ? ", and once more" : "");
    }
    case "fault": return line.family + " of " + line.target + (line.parameters.length ? ": " + line.parameters.join(", ") : "") +
      (line.vetoed ? " (vetoed: " + line.vetoed + ")" : line.effects ? "" : " (nothing came of it)");
    case "fault_end": return "fault " + line.fault + " ends";
    case "op": return "operation " + line.index + " of " + line.client + (line.words.length ? ": " + line.words.join(" ") : "");
    case "op_end": return "operation returns" + (line.error ? ": " + line.error : "");
    case "log": return line.level + " " + line.target + ": " + line.text;
    case "failure": return line.signature + ": " + line.message;
    case "claim": return line.claim + " " + line.name + ": held " + line.held + " of " + line.asked + " times";
    default: return line.name + " " + line.text;
  }
}
const SHORT = { process_start: "process", process_end: "process", fault_end: "fault", op: "op", op_end: "op" };
const classOf = (line) => line.kind === "packet" && line.fate !== "arrives" ? "lost" : SHORT[line.kind] || line.kind;

// ---- what led to the failure ----

const lines = data.trace.lines.filter((line) => line.kind !== "claim");
const claims = data.trace.lines.filter((line) => line.kind === "claim");
const nodes = data.trace.head.nodes;
const failureAt = lines.findIndex((line) => line.kind === "failure");
const failure = lines[failureAt];
const sentBy = new Map();
lines.forEach((line, i) => {
  if (line.kind !== "packet") return;
  sentBy.set(line.id, i);
  if (line.copy) sentBy.set(line.copy.id, i);
});

/** Happened-before, after Lamport: what came earlier on the same node, and what sent the packets that had arrived there. */
function pastOf(from) {
  const past = new Uint8Array(lines.length);
  const last = lines[from].node === undefined || lines[from].node === nodes[0]
    ? new Map(nodes.map((node) => [node, from])) : new Map([[lines[from].node, from]]);
  const seenUntil = new Map([...last].map(([node]) => [node, lines[from].at]));
  past[from] = 1;
  for (let i = from - 1; i >= 0; i--) {
    const line = lines[i];
    const known = last.get(line.node) >= i;
    const arrived = line.kind === "packet" && line.fate === "arrives" && line.arrives <= (seenUntil.get(line.to) ?? -1);
    if (!known && !arrived) continue;
    past[i] = 1;
    if (!last.has(line.node)) { last.set(line.node, i); seenUntil.set(line.node, line.at); }
  }
  return past;
}

/** The packets and the work by which the failure came about: from what was being handled back to who sent it. */
function chainOf(from) {
  const chain = new Uint8Array(lines.length);
  let at = from;
  while (at !== undefined && at >= 0 && !chain[at]) {
    chain[at] = 1;
    const line = lines[at];
    let cause = line.cause;
    if (cause === undefined) {
      let before = at - 1;
      while (before >= 0 && !(lines[before].node === line.node && lines[before].at === line.at)) before--;
      if (before < 0) { before = at - 1; while (before >= 0 && lines[before].node !== line.node) before--; }
      if (before < 0) break;
      at = before;
      continue;
    }
    const sender = sentBy.get(cause);
    if (sender !== undefined && sender < at) { at = sender; continue; }
    // A timer, or another thing without a line: what its node did before.
    let before = at - 1;
    while (before >= 0 && lines[before].node !== line.node) before--;
    at = before;
  }
  return chain;
}
const past = failureAt < 0 ? new Uint8Array(lines.length).fill(1) : pastOf(failureAt);
const chain = failureAt < 0 ? new Uint8Array(lines.length) : chainOf(failureAt);

// ---- head, story, strip ----

$("test").textContent = data.trace.head.test;
$("sentence").textContent = failure ? failure.message : "The run does not fail.";
document.title = (failure ? failure.signature : "a run") + " – " + data.trace.head.test;
const fact = (name, value) => {
  if (value === undefined || value === null || value === "") return;
  const pair = make("div");
  pair.append(make("dt", "", name), make("dd", "", value));
  $("facts").append(pair);
};
if (failure) {
  fact("signature", failure.signature);
  fact("at", instant(failure.at));
  fact("node", failure.node);
  fact("task", failure.task);
}
fact("seed", data.seed);
fact("run", data.size ? "shrunk to " + data.size : "as it was");

for (const [name, line] of data.replays) {
  const row = make("div", "replay");
  const copy = make("button", "", "Copy");
  copy.onclick = () => copyText(line, copy);
  row.append(make("span", "", name), make("code", "", line), copy);
  $("replays").append(row);
}
function copyText(text, button) {
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
  const byHand = () => {
    const area = make("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    done();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand); else byHand();
}

if (data.story.length) {
  $("story").hidden = false;
  const list = $("story").querySelector("ol");
  for (const sentence of data.story) {
    const [, time, rest, , remarks] = /^(\S+) (.*?)(  \[(.*)\])?$/s.exec(sentence) || [0, "", sentence];
    const item = make("li"), told = make("div", "", rest);
    for (const remark of remarks ? remarks.split("; ") : []) told.append(make("span", "tag " + remark, remark));
    item.append(make("time", "", time), told);
    list.append(item);
  }
  if (failure) {
    const item = make("li", "end");
    item.append(make("time", "", +(failure.at / 1e9).toFixed(6) + "s"), make("div", "", failure.message));
    list.append(item);
  }
  $("story").querySelector(".note").textContent = "Needed: without it, the run does not fail. Where any value does, do not read anything into the one shown.";
}

if (data.likelihood && data.likelihood.strip.length > 1) {
  $("strip").hidden = false;
  const { strip, inevitable } = data.likelihood, end = strip.at(-1)[0] || 1;
  const W = 520, H = 150, L = 34, B = 22, x = (at) => L + (W - L - 8) * at / end, y = (share) => 8 + (H - B - 8) * (1 - share / 100);
  const svg = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) element.setAttribute(name, attributes[name]);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "How many continuations fail, by the instant from which they go on" });
  const points = strip.map(([at, share]) => x(at).toFixed(1) + "," + y(share).toFixed(1));
  for (const share of [0, 50, 100]) {
    picture.append(svg("line", { x1: L, x2: W - 8, y1: y(share), y2: y(share), stroke: "var(--line)" }),
      svg("text", { x: L - 6, y: y(share) + 4, "text-anchor": "end" }, share + "%"));
  }
  picture.append(svg("polygon", { points: [x(0) + "," + y(0), ...points, x(end) + "," + y(0)].join(" "), fill: "var(--red)", opacity: .14 }),
    svg("polyline", { points: points.join(" "), fill: "none", stroke: "var(--red)", "stroke-width": 2, "stroke-linejoin": "round" }),
    svg("text", { x: x(0), y: H - 6 }, "0"), svg("text", { x: W - 8, y: H - 6, "text-anchor": "end" }, duration(end)));
  if (inevitable !== null) {
    const right = x(inevitable) > W * .7;
    picture.append(svg("line", { x1: x(inevitable), x2: x(inevitable), y1: 4, y2: H - B, stroke: "var(--chain)", "stroke-width": 2, "stroke-dasharray": "4 3" }),
      svg("text", { x: x(inevitable) + (right ? -6 : 6), y: 16, "text-anchor": right ? "end" : "start", style: "fill: var(--chain)" }, duration(inevitable)));
  }
  $("strip").querySelector("figure").append(picture);
  $("strip").querySelector(".note").textContent = "The run of the seed, repeated up to an instant and continued with other seeds from there: how many of a hundred fail." +
    (inevitable ? " From " + duration(inevitable) + " on more than half do." : "");
}

// ---- time ----

const end = Math.max(1, data.trace.head.end);
const stops = [...new Set([0, end, ...lines.map((line) => line.at), ...lines.filter((line) => line.arrives <= end).map((line) => line.arrives)])].sort((a, b) => a - b);
let places = [];
/** A place between 0 and 1 for each stop; where nothing happens for long, time is shortened. */
function layOut(shorten) {
  let sum = 0;
  places = stops.map((at, i) => {
    if (i) {
      const gap = at - stops[i - 1];
      sum += shorten ? .25 + Math.log2(1 + gap / 20000) : gap;
    }
    return sum;
  });
  places = places.map((place) => place / (sum || 1));
}
function placeOf(at) {
  let low = 0, high = stops.length - 1;
  if (at >= stops[high]) return 1;
  while (high - low > 1) { const middle = (low + high) >> 1; if (stops[middle] <= at) low = middle; else high = middle; }
  return places[low] + (places[high] - places[low]) * (at - stops[low]) / (stops[high] - stops[low]);
}

// ---- the diagram ----

const canvas = document.querySelector("canvas"), frame = $("frame"), tip = $("tip");
const active = new Set(lines.filter((line) => !line.kind.startsWith("fault") || line.node !== nodes[0]).flatMap((line) => [line.node, line.to]));
const shown = nodes.filter((node) => active.has(node)), idle = nodes.slice(1).filter((node) => !active.has(node));
const laneOf = new Map(shown.map((node, i) => [node, i]));
const LANE = shown.length > 12 ? 44 : 62, TOP = 30, LEFT = 112, RIGHT = 18;
const height = TOP + shown.length * LANE + 14;
const laneY = (node) => TOP + (laneOf.get(node) + .56) * LANE;
let view = [0, 1], selected = failureAt, hits = [];
const opEnds = new Map(lines.filter((line) => line.kind === "op_end").map((line) => [line.op, line]));

function draw() {
  const width = frame.clientWidth, ratio = devicePixelRatio || 1, style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue("--" + name).trim();
  const [ink, soft, rule, lane, red, packet, lost, op, opSoft, fault, faultSoft, chained, card] =
    ["ink", "soft", "line", "lane", "red", "packet", "lost", "op", "op-soft", "fault", "fault-soft", "chain", "card"].map(colour);
  const faded = +colour("faded");
  canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  g.clearRect(0, 0, width, height);
  const span = width - LEFT - RIGHT;
  const x = (at) => LEFT + span * (placeOf(at) - view[0]) / (view[1] - view[0]);
  const mono = "11px " + colour("mono");
  hits = [];
  g.save();
  g.beginPath(); g.rect(LEFT - 2, 0, width - LEFT + 2, height); g.clip();

  // Instants: as many as there is room for.
  g.font = mono; g.fillStyle = soft; g.strokeStyle = rule; g.lineWidth = 1;
  for (let px = LEFT, last = -1e9; px <= width - RIGHT; px += 6) {
    const place = view[0] + (view[1] - view[0]) * (px - LEFT) / span;
    let low = 0, high = places.length - 1;
    while (high - low > 1) { const middle = (low + high) >> 1; if (places[middle] <= place) low = middle; else high = middle; }
    const near = place - places[low] < places[high] - place ? low : high, at = stops[near], where = x(at);
    if (where < LEFT || where - last < 104 || where > width - 60) continue;
    last = where;
    g.beginPath(); g.moveTo(where + .5, 20); g.lineTo(where + .5, height); g.stroke();
    g.fillText(duration(at), where + 4, 14);
  }

  // Faults behind everything.
  for (const [i, line] of lines.entries()) {
    if (line.kind !== "fault" || line.vetoed) continue;
    const from = x(line.at), to = Math.max(x(line.end ?? end), from + 3);
    // Of the whole run: one band over all lanes.
    const bands = line.nodes.length ? line.nodes.filter((node) => laneOf.has(node)).map((node) => [TOP + laneOf.get(node) * LANE, LANE]) : [[TOP, shown.length * LANE]];
    for (const [y, tall] of bands) {
      g.fillStyle = faultSoft; g.fillRect(from, y + 2, to - from, tall - 4);
      g.fillStyle = fault; g.fillRect(from, y + 2, 2, tall - 4);
      if (to - from > 40) { g.font = mono; g.fillText(fit(g, line.family + " of " + line.target, to - from - 10), Math.max(from, LEFT) + 7, y + 14); }
      hits.push([from, y, to, y + tall, i, 3]);
    }
  }

  // Lanes, and the lives of processes on them.
  for (const node of shown) {
    const y = laneY(node);
    g.strokeStyle = lane; g.lineWidth = 1; g.setLineDash([2, 4]);
    g.beginPath(); g.moveTo(LEFT, y); g.lineTo(width - RIGHT, y); g.stroke(); g.setLineDash([]);
    let since = lines.some((line) => line.node === node && line.kind === "process_start") ? null : 0;
    const life = (from, to) => { g.lineWidth = 2.5; g.strokeStyle = lane; g.beginPath(); g.moveTo(x(from), y); g.lineTo(x(to), y); g.stroke(); };
    for (const line of lines) {
      if (line.node !== node) continue;
      if (line.kind === "process_start") since = line.at;
      if (line.kind === "process_end") {
        if (since !== null) life(since, line.at);
        since = null;
        cross(x(line.at), y, line.how === "exit" ? lane : red, 5);
      }
    }
    if (since !== null) life(since, end);
  }
  function cross(px, py, stroke, size) {
    g.strokeStyle = stroke; g.lineWidth = 2;
    g.beginPath(); g.moveTo(px - size, py - size); g.lineTo(px + size, py + size); g.moveTo(px - size, py + size); g.lineTo(px + size, py - size); g.stroke();
  }

  // Operations.
  for (const [i, line] of lines.entries()) {
    if (line.kind !== "op" || !laneOf.has(line.node)) continue;
    const from = x(line.at), to = Math.max(x(line.end ?? end), from + 4), y = laneY(line.node) - 24;
    if (to < LEFT || from > width) continue;
    const ended = opEnds.get(line.op), bad = ended && ended.error;
    g.globalAlpha = past[i] ? 1 : .45;
    g.fillStyle = opSoft; g.strokeStyle = bad ? lost : op; g.lineWidth = 1.2;
    g.setLineDash(line.end === undefined ? [3, 3] : []);
    g.beginPath(); g.roundRect(from, y, to - from, 15, 4); g.fill(); g.stroke(); g.setLineDash([]);
    const text = line.words.join(" ") || "operation " + line.index;
    g.font = mono; g.fillStyle = bad ? lost : op;
    const left = Math.max(from, LEFT) + 5;
    if (to - left > 24) g.fillText(fit(g, text, to - left - 6), left, y + 11.5);
    g.globalAlpha = 1;
    hits.push([from, y, to, y + 15, i, 1]);
  }

  // Packets: first those that do not matter, then those that may, then those that did.
  const acks = $("acks").checked;
  for (const level of [0, 1, 2]) {
    for (const [i, line] of lines.entries()) {
      if (line.kind !== "packet" || (chain[i] ? 2 : past[i] ? 1 : 0) !== level) continue;
      if (line.ack && !acks && level < 2 && line.fate === "arrives" || !laneOf.has(line.node) || !laneOf.has(line.to)) continue;
      const y1 = laneY(line.node), gone = line.fate !== "arrives";
      let x1 = x(line.at), x2 = gone ? x1 + 26 : x(Math.min(line.arrives, end)), y2 = laneY(line.to);
      if (Math.max(x1, x2) < LEFT - 40 || Math.min(x1, x2) > width + 40) continue;
      if (gone) y2 = y1 + (y2 - y1) * .5;
      g.globalAlpha = level || gone ? 1 : faded * 2;
      g.strokeStyle = g.fillStyle = gone ? lost : level === 2 ? chained : packet;
      g.lineWidth = level === 2 ? 2.4 : gone ? 1.6 : 1;
      g.setLineDash(gone || line.ack ? [4, 3] : []);
      g.beginPath();
      if (line.node === line.to) g.arc((x1 + x2) / 2, y1, Math.max(3, (x2 - x1) / 2), Math.PI, 0); else { g.moveTo(x1, y1); g.lineTo(x2, y2); }
      g.stroke(); g.setLineDash([]);
      if (gone) cross(x2, y2, lost, 4);
      else if (line.node !== line.to) {
        const angle = Math.atan2(y2 - y1, x2 - x1), size = level === 2 ? 8 : 6;
        g.beginPath(); g.moveTo(x2, y2);
        g.lineTo(x2 - size * Math.cos(angle - .42), y2 - size * Math.sin(angle - .42));
        g.lineTo(x2 - size * Math.cos(angle + .42), y2 - size * Math.sin(angle + .42));
        g.fill();
      }
      g.globalAlpha = 1;
      hits.push([x1, y1, x2, y2, i, 2]);
    }
  }

  // Everything else is a tick on its lane.
  for (const [i, line] of lines.entries()) {
    if (["packet", "op", "op_end", "fault", "fault_end", "failure"].includes(line.kind) || !laneOf.has(line.node)) continue;
    const px = x(line.at), y = laneY(line.node);
    if (px < LEFT - 4 || px > width) continue;
    g.globalAlpha = past[i] ? 1 : .4;
    g.fillStyle = chain[i] ? chained : line.kind === "process_start" ? op : soft;
    g.beginPath(); g.arc(px, y, line.kind === "process_start" ? 4 : 2.2, 0, 7); g.fill();
    g.globalAlpha = 1;
    hits.push([px - 4, y - 4, px + 4, y + 4, i, 0]);
  }

  if (failure) {
    const px = x(failure.at);
    g.strokeStyle = red; g.lineWidth = 1.5;
    g.beginPath(); g.moveTo(px, 20); g.lineTo(px, height); g.stroke();
    const y = laneOf.has(failure.node) ? laneY(failure.node) : TOP + 6;
    g.fillStyle = red; g.beginPath(); g.arc(px, y, 7, 0, 7); g.fill();
    g.fillStyle = card; g.font = "bold 11px sans-serif"; g.textAlign = "center"; g.fillText("!", px, y + 4); g.textAlign = "left";
    hits.push([px - 7, y - 7, px + 7, y + 7, failureAt, 0]);
  }
  if (selected >= 0 && lines[selected] && laneOf.has(lines[selected].node)) {
    const px = x(lines[selected].at), y = laneY(lines[selected].node);
    g.strokeStyle = ink; g.lineWidth = 1.5;
    g.beginPath(); g.arc(px, y, 10, 0, 7); g.stroke();
  }
  g.restore();

  g.font = "600 13px system-ui, sans-serif"; g.textAlign = "right";
  for (const node of shown) { g.fillStyle = failure && failure.node === node ? red : ink; g.fillText(fit(g, node, LEFT - 20), LEFT - 14, laneY(node) + 4); }
  g.textAlign = "left";
}
function fit(g, text, room) {
  if (g.measureText(text).width <= room) return text;
  let length = text.length;
  while (length > 1 && g.measureText(text.slice(0, length) + "…").width > room) length--;
  return text.slice(0, length) + "…";
}

function hit(px, py) {
  let best = null, least = 7;
  for (const [x1, y1, x2, y2, i, kind] of hits) {
    let distance;
    if (kind === 2) {
      const length = (x2 - x1) ** 2 + (y2 - y1) ** 2 || 1, along = Math.max(0, Math.min(1, ((px - x1) * (x2 - x1) + (py - y1) * (y2 - y1)) / length));
      distance = Math.hypot(px - x1 - along * (x2 - x1), py - y1 - along * (y2 - y1));
    } else distance = px >= x1 && px <= x2 && py >= y1 && py <= y2 ? kind === 3 ? 6.9 : kind : 9;
    if (distance < least) { least = distance; best = i; }
  }
  return best;
}

function zoom(factor, around = .5) {
  const length = Math.min(1, Math.max(1e-5, (view[1] - view[0]) * factor));
  const middle = view[0] + (view[1] - view[0]) * around, from = Math.min(1 - length, Math.max(0, middle - length * around));
  view = [from, from + length];
  redraw();
}
function pan(by) {
  const length = view[1] - view[0], from = Math.min(1 - length, Math.max(0, view[0] + by * length));
  view = [from, from + length];
  redraw();
}
let asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}
let held = null;
frame.addEventListener("pointerdown", (event) => { held = [event.offsetX, view[0], false]; });
addEventListener("pointerup", (event) => {
  if (held && !held[2] && event.target === canvas) { const found = hit(event.offsetX, event.offsetY); if (found !== null) select(found, true); }
  held = null;
});
frame.addEventListener("pointermove", (event) => {
  if (held) {
    const moved = (held[0] - event.offsetX) / (frame.clientWidth - LEFT - RIGHT), length = view[1] - view[0];
    if (Math.abs(held[0] - event.offsetX) > 3) held[2] = true;
    const from = Math.min(1 - length, Math.max(0, held[1] + moved * length));
    view = [from, from + length];
    redraw();
    return;
  }
  const found = hit(event.offsetX, event.offsetY);
  tip.hidden = found === null;
  if (found === null) return;
  tip.textContent = instant(lines[found].at) + "  " + (lines[found].node || "") + "  " + words(lines[found]);
  tip.style.left = Math.max(0, Math.min(event.offsetX + 14, frame.clientWidth - 320)) + "px";
  tip.style.top = event.offsetY + 16 + "px";
});
frame.addEventListener("pointerleave", () => { tip.hidden = true; });
frame.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
  event.preventDefault();
  if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY / 200), (event.offsetX - LEFT) / (frame.clientWidth - LEFT - RIGHT));
  else pan(event.deltaX / 800);
}, { passive: false });
$("closer").onclick = () => zoom(.5);
$("wider").onclick = () => zoom(2);
$("whole").onclick = () => { view = [0, 1]; redraw(); };
$("acks").onchange = redraw;
$("even").onchange = () => { layOut($("even").checked); redraw(); };

// ---- events ----

const ROW = 25, rows = $("rows"), inner = rows.firstElementChild;
let listed = [];
function row(line, more) {
  const element = make("div", "row " + classOf(line) + (more || ""));
  element.append(make("span", "at", instant(line.at)), make("span", "node", line.node || "–"), make("span", "kind", SHORT[line.kind] || line.kind), make("span", "what", words(line)));
  return element;
}
function list() {
  const which = document.querySelector("input[name=which]:checked").value, wanted = $("search").value.toLowerCase();
  listed = lines.map((_, i) => i).filter((i) => (which === "all" || (which === "chain" ? chain[i] : past[i])) &&
    (!wanted || ((lines[i].node || "") + " " + lines[i].kind + " " + words(lines[i])).toLowerCase().includes(wanted)));
  $("count").textContent = listed.length + " of " + lines.length;
  inner.style.height = listed.length * ROW + "px";
  fill();
}
/** Only the rows that can be seen are there; on paper, the last ones before the failure. */
function fill(all) {
  const from = all ? Math.max(0, listed.length - 400) : Math.max(0, Math.floor(rows.scrollTop / ROW) - 8);
  const until = all ? listed.length : Math.min(listed.length, from + Math.ceil(rows.clientHeight / ROW) + 16);
  inner.replaceChildren(...listed.slice(from, until).map((i, place) => {
    const element = row(lines[i], (chain[i] ? " chain" : "") + (i === selected ? " on" : ""));
    element.style.top = (from + place) * ROW + "px";
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", i === selected);
    element.title = words(lines[i]);
    element.onclick = () => select(i, true);
    return element;
  }));
}
function select(i, see) {
  selected = i;
  let place = listed.indexOf(i);
  if (place < 0) { document.querySelector("input[value=all]").checked = true; $("search").value = ""; list(); place = listed.indexOf(i); }
  const top = place * ROW;
  if (top < rows.scrollTop || top > rows.scrollTop + rows.clientHeight - 2 * ROW) rows.scrollTop = top - rows.clientHeight / 2;
  const where = placeOf(lines[i].at), length = view[1] - view[0];
  if (see && (where < view[0] || where > view[1])) { const start = Math.min(1 - length, Math.max(0, where - length / 2)); view = [start, start + length]; }
  fill();
  redraw();
}
rows.addEventListener("scroll", () => fill());
$("search").addEventListener("input", list);
document.querySelectorAll("input[name=which]").forEach((input) => { input.onchange = list; });
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input[type=search]")) { if (event.key === "Escape") { event.target.value = ""; list(); rows.focus(); } return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=radio]")) return;
  const step = (by) => { const at = listed.indexOf(selected); select(listed[Math.max(0, Math.min(listed.length - 1, (at < 0 ? 0 : at) + by))] ?? selected, true); };
  const keys = {
    ArrowDown: () => step(1), ArrowUp: () => step(-1), j: () => step(1), k: () => step(-1), PageDown: () => step(20), PageUp: () => step(-20),
    Home: () => step(-1e9), End: () => step(1e9), ArrowLeft: () => pan(-.2), ArrowRight: () => pan(.2),
    "+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), 0: () => { view = [0, 1]; redraw(); },
    "/": () => $("search").focus(), c: () => { const button = document.querySelector(".replay button"); if (button) button.click(); },
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

// ---- the run that passes ----

if (data.passing) {
  const other = data.passing.trace.lines.filter((line) => line.kind !== "claim");
  // What a fault has come to by the end is no difference at its beginning.
  const key = (line) => line.at + " " + line.node + " " + (line.kind === "fault" ? line.family + line.target : words(line));
  let common = 0;
  while (common < Math.min(lines.length, other.length) && key(lines[common]) === key(other[common])) common++;
  $("parting").hidden = false;
  $("parting").querySelector(".note").textContent = "It is the same run without one thing that the failure needs: " + data.passing.without + ". " +
    (common ? common + " events are the same in both, until " + instant(lines[common - 1].at) + "." : "They differ from the first event on.");
  const sides = $("parting").querySelector(".sides");
  for (const [title, run] of [["fails", lines], ["passes", other]]) {
    const side = make("div");
    side.append(make("h3", "", "The run that " + title));
    run.slice(Math.max(0, common - 3), common + 9).forEach((line, i) => {
      const element = row(line, i >= Math.min(3, common) ? " other" : "");
      element.querySelector(".kind").remove();
      element.title = words(line);
      side.append(element);
    });
    if (run.length > common + 9) side.append(make("p", "note", "… and " + (run.length - common - 9) + " more"));
    sides.append(side);
  }
}

if (idle.length) $("idle").textContent = "Nothing happens on " + idle.join(", ") + ".";
for (const claim of claims.filter((claim) => !claim.held && claim.asked)) fact("never held", claim.claim + " " + claim.name);
layOut(true);
// Where all would be too dense to read, begin at the end: that is where it broke.
if (lines.length > 600) { const length = Math.max(.02, 400 / lines.length); view = [1 - length, 1]; }
list();
draw();
if (failureAt >= 0) select(failureAt);
addEventListener("resize", () => { redraw(); fill(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => { fill(true); draw(); });
addEventListener("afterprint", () => { fill(); draw(); });
document.documentElement.dataset.drawn = Math.ceil(performance.now() - began);
})();
