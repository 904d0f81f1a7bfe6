// Draws figures as SVG at the width they have. Colours are classes of the style sheet, so that dark mode needs no script.
const SVG = "http://www.w3.org/2000/svg";

function shape(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function textWidth(text, size) {
  textWidth.context = textWidth.context || document.createElement("canvas").getContext("2d");
  textWidth.context.font = (size || 12) + "px system-ui, sans-serif";
  return textWidth.context.measureText(text).width;
}

function fitted(text, room, size) {
  if (textWidth(text, size) <= room) return text;
  let length = text.length;
  while (length > 1 && textWidth(text.slice(0, length) + "…", size) > room) length -= 1;
  return text.slice(0, length) + "…";
}

// Round values between two bounds, about as many as asked for, but two at least.
function linearTicks(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted);
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(Number((i * step).toPrecision(12)));
  return ticks.length > 1 || wanted > 9 ? ticks : linearTicks(low, high, wanted + 2);
}

function logTicks(low, high, wanted) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  if (last - first < 1) return linearTicks(low, high, wanted);
  const every = Math.max(1, Math.min(last - first, Math.ceil((last - first + 1) / Math.max(2, wanted))));
  const ticks = [];
  for (let power = first; power <= last; power += every) ticks.push(Number("1e" + power));
  return ticks;
}

// An axis with its bounds: `place` maps a value to 0 ... 1, `ticks` gives [value, text] pairs.
function scale(axis, values) {
  if (axis.kind === "category") {
    const count = axis.categories.length;
    return { place: (value) => (value + 0.5) / count, ticks: () => axis.categories.map((text, i) => [i, text]), low: -0.5, high: count - 0.5 };
  }
  const log = axis.kind === "log";
  let finite = values.filter((value) => value !== null && isFinite(value) && (!log || value > 0));
  if (!finite.length) finite = log ? [0.1, 1] : [0, 1];
  let low = axis.range ? axis.range[0] : finite.reduce((x, y) => Math.min(x, y));
  let high = axis.range ? axis.range[1] : finite.reduce((x, y) => Math.max(x, y));
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const map = log ? Math.log10 : (value) => value;
  const margin = axis.range || axis.tight ? 0 : 0.04 * (map(high) - map(low));
  const from = map(low) - margin, to = map(high) + margin;
  return {
    low, high,
    place: (value) => (map(value) - from) / (to - from),
    ticks: (wanted) => (log ? logTicks : linearTicks)(low, high, wanted)
      .filter((value) => !axis.whole || Number.isInteger(value)).map((value) => [value, number(value, 4)]),
  };
}

// Points of one category lie side by side, each time the same.
const jitter = (i) => ((i * 0.618034) % 1) - 0.5;

function outline(layer, x, y) {
  const parts = [];
  let pen = false;
  for (let i = 0; i < layer.x.length; i += 1) {
    if (layer.y[i] === null) { pen = false; continue; }
    const px = x(layer.x[i], i).toFixed(1), py = y(layer.y[i], i).toFixed(1);
    if (layer.kind === "points" && layer.style === "pruned") parts.push(`M${px} ${py}m-3 -3l6 6m0 -6l-6 6`);
    else if (layer.kind === "points" && layer.style === "winner") parts.push(`M${px} ${py}m0 -8l2.3 5.4 5.6 .4-4.3 3.7 1.4 5.6-5-3.1-5 3.1 1.4-5.6-4.3-3.7 5.6-.4z`);
    else if (layer.kind === "points") parts.push(`M${px} ${py}h0`);
    else if (!pen) parts.push(`M${px} ${py}` + (layer.y[i + 1] === undefined || layer.y[i + 1] === null ? "h0" : ""));
    else parts.push(layer.kind === "steps" ? `H${px}V${py}` : `L${px} ${py}`);
    pen = true;
  }
  return parts.join("");
}

function plot(holder, figure) {
  const width = Math.max(220, holder.clientWidth), wide = width > 480;
  const xs = figure.layers.flatMap((layer) => layer.x), ys = figure.layers.flatMap((layer) => layer.y);
  const whole = holder.dataset.whole === "true";
  const yAxis = whole ? { ...figure.y, range: null } : figure.y;
  const x = scale(figure.x, xs), y = scale(yAxis, ys);
  // Curves of one group have one entry.
  const named = figure.legend ? figure.layers.filter((layer) => layer.name && layer.x.length && !layer.hidden) : [];
  const legend = [...new Map(named.map((layer) => [layer.name, layer])).values()];
  const yTicks = y.ticks(Math.floor(figure.height / 60));
  const left = 14 + Math.max(...yTicks.map(([, text]) => textWidth(text)), 20), right = 12;
  const top = 26 + (legend.length && !wide ? 22 : 0);
  const inner = width - left - right;
  const room = figure.x.kind === "category" ? inner / figure.x.categories.length - 6 : 70;
  const lines = (text) => text.replace(/([_ ])/g, "$1\n").split("\n").slice(0, 3).map((line) => fitted(line, Math.max(room, 20), 11));
  const xTicks = x.ticks(Math.max(2, Math.floor(inner / 80)));
  const deep = figure.x.kind === "category" ? Math.max(...xTicks.map(([, text]) => lines(text).length)) : 1;
  const bottom = 30 + 13 * deep, high = figure.height - top - bottom;
  const px = (value) => left + inner * x.place(value), py = (value) => top + high * (1 - y.place(value));

  holder.querySelectorAll("svg").forEach((old) => old.remove());
  const svg = shape(holder, "svg", { viewBox: `0 0 ${width} ${figure.height}`, "aria-hidden": "true" });
  for (const [value, text] of yTicks) {
    shape(svg, "path", { class: "grid", d: `M${left} ${py(value).toFixed(1)}h${inner}` });
    shape(svg, "text", { x: left - 6, y: py(value) + 4, "text-anchor": "end" }, text);
  }
  let free = -Infinity;
  for (const [value, text] of xTicks) {
    const at = px(value);
    if (figure.x.kind !== "category") {
      const half = textWidth(text) / 2;
      shape(svg, "path", { class: "grid", d: `M${at.toFixed(1)} ${top}v${high}` });
      if (at - half < free || at + half > width) continue;
      free = at + half + 8;
      shape(svg, "text", { x: at, y: top + high + 17, "text-anchor": "middle" }, text);
    } else lines(text).forEach((line, i) => shape(svg, "text", { x: at, y: top + high + 16 + 13 * i, "text-anchor": "middle", class: "small" }, line));
  }
  shape(svg, "path", { class: "axis", d: `M${left} ${top}v${high}h${inner}` });
  shape(svg, "text", { x: 0, y: 13, class: "title" }, fitted(figure.y.title, legend.length && wide ? width / 2 - 10 : width - 4));
  const xTitle = figure.x.title + (figure.x.kind === "log" ? " (log scale)" : "");
  shape(svg, "text", { x: left + inner / 2, y: figure.height - 5, "text-anchor": "middle", class: "title" }, fitted(xTitle, width - 8));
  let at = wide ? width - right : left;
  for (const layer of wide ? legend.slice().reverse() : legend) {
    const size = textWidth(layer.name) + 24;
    if (wide) at -= size + 10;
    const from = at, row = wide ? 9 : 31;
    const sample = layer.kind === "points" ? { ...layer, x: [from + 8], y: [row] } : { ...layer, kind: "line", x: [from, from + 16], y: [row, row] };
    shape(svg, "path", { class: `mark ${sample.kind} ${layer.style}`, d: outline(sample, (v) => v, (v) => v) });
    shape(svg, "text", { x: from + 22, y: row + 4 }, layer.name);
    if (!wide) at += size + 12;
  }
  // What lies beyond the axes is cut off by a picture within the picture.
  const inside = shape(svg, "svg", { x: left, y: top - 9, width: inner + right, height: high + 18, viewBox: `${left} ${top - 9} ${inner + right} ${high + 18}` });
  const spread = figure.x.kind === "category" ? Math.min(40, 0.6 * inner / figure.x.categories.length) : 0;
  const targets = [];
  for (const layer of figure.layers) {
    const moved = spread && layer.style !== "winner" ? (value, i) => px(value) + spread * jitter(i + 1) : px;
    const drawn = shape(inside, "path", { class: `mark ${layer.kind} ${layer.style}`, d: outline(layer, moved, py) });
    if (layer.opacity !== undefined) drawn.setAttribute("opacity", layer.opacity);
    if (layer.hidden) continue;
    layer.x.forEach((value, i) => {
      if (layer.y[i] === null || y.place(layer.y[i]) < -0.01 || y.place(layer.y[i]) > 1.01) return;
      targets.push({ px: moved(value, i), py: py(layer.y[i]), layer, i });
    });
  }
  const ring = shape(svg, "circle", { class: "ring", r: 7, visibility: "hidden" });
  listen(holder, figure, targets, ring, width);
}

// A tip for the point under the pointer, or the one that the arrow keys have come to.
function listen(holder, figure, targets, ring, width) {
  let tip = holder.querySelector(".tip");
  if (!tip) {
    tip = document.createElement("output");
    tip.className = "tip";
    tip.hidden = true;
    holder.append(tip);
  }
  const ordered = targets.slice().sort((a, b) => a.px - b.px || a.py - b.py);
  let current = -1;
  function show(target) {
    ring.setAttribute("visibility", target ? "visible" : "hidden");
    tip.hidden = !target;
    if (!target) return;
    ring.setAttribute("cx", target.px);
    ring.setAttribute("cy", target.py);
    const { layer, i } = target;
    const value = figure.x.kind === "category" ? figure.x.categories[layer.x[i]] : number(layer.x[i], 5);
    const trial = Array.isArray(layer.trials) ? layer.trials[i] : layer.trials;
    const first = figure.x.title.startsWith("trial") ? "" : `${figure.x.title}: ${value}\n`;
    tip.textContent = `trial ${trial}, ${layer.name}\n${first}${figure.y.title}: ${number(layer.y[i], 5)}`;
    const factor = holder.clientWidth / width;
    tip.style.left = Math.max(0, Math.min(target.px * factor + 12, holder.clientWidth - tip.offsetWidth)) + "px";
    tip.style.top = Math.max(0, target.py * factor - tip.offsetHeight - 10) + "px";
  }
  holder.onpointermove = (event) => {
    const box = holder.getBoundingClientRect(), factor = width / box.width;
    const x = (event.clientX - box.left) * factor, y = (event.clientY - box.top) * factor;
    let best = null, least = 24 * 24;
    for (const target of targets) {
      const distance = (target.px - x) ** 2 + (target.py - y) ** 2;
      if (distance < least) [best, least] = [target, distance];
    }
    current = best ? ordered.indexOf(best) : -1;
    show(best);
  };
  holder.onpointerleave = () => show(null);
  holder.onblur = () => show(null);
  holder.onkeydown = (event) => {
    if (!ordered.length || event.target !== holder) return;
    const last = ordered.length - 1;
    const moves = { ArrowRight: Math.min(last, current + 1), ArrowLeft: Math.max(0, current - 1), Home: 0, End: last };
    if (event.key === "Escape") show(null);
    if (!(event.key in moves)) return;
    event.preventDefault();
    current = moves[event.key];
    show(ordered[current]);
  };
}

// Draws now, and again whenever the width changes.
function keepDrawn(holder, draw) {
  let width = 0;
  const again = () => {
    if (holder.clientWidth === width || !holder.clientWidth) return;
    width = holder.clientWidth;
    draw();
  };
  again();
  new ResizeObserver(again).observe(holder);
}

// Values far outside the rest are left out until the reader asks for them.
function wholeButton(holder, draw) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "show all values";
  button.onclick = () => {
    const whole = holder.dataset.whole !== "true";
    holder.dataset.whole = whole;
    button.textContent = whole ? "without outliers" : "show all values";
    draw();
  };
  holder.after(button);
}
