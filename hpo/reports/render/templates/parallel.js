// Parallel coordinates: each trial is a line down the page over the axes of all parameters, the objective last. A part
// of an axis is chosen by dragging, or by its two handles with the arrow keys; trials outside any such part turn grey.
function parallel(holder, figure, status, reset) {
  const count = figure.trials.length, axes = figure.axes;
  const parts = axes.map(() => [0, 1]);
  const scales = axes.map((axis) => scale({ ...axis, tight: true }, axis.values));
  const places = axes.map((axis, i) => axis.values.map((value) => (value === null ? null : scales[i].place(value))));
  const step = 58, top = 30, side = 14;
  let width = 0, across, lines, handles, marks;

  const chosen = (trial) => parts.every(([low, high], i) => {
    if (low === 0 && high === 1) return true;
    const place = places[i][trial];
    return place !== null && place >= low - 1e-9 && place <= high + 1e-9;
  });
  // Trials without a parameter pass the axis beside its line.
  const at = (place, trial) => (place === null ? width - side : side + across * Math.min(1, Math.max(0, place)));

  function said(i, place) {
    const axis = axes[i];
    if (axis.kind === "category") return axis.categories[Math.min(axis.categories.length - 1, Math.max(0, Math.round(place * axis.categories.length - 0.5)))];
    const { low, high } = scales[i];
    return number(axis.kind === "log" ? low * Math.pow(high / low, place) : low + (high - low) * place, 3);
  }

  function colour() {
    const paths = Array.from({ length: 6 }, () => []);
    let inside = 0, best = -1;
    const better = (one, other) => (figure.less ? one < other : one > other);
    for (let trial = 0; trial < count; trial += 1) {
      const shown = chosen(trial);
      if (shown) {
        inside += 1;
        if (best < 0 || better(figure.scores[trial], figure.scores[best])) best = trial;
      }
      paths[shown ? figure.shades[trial] + 1 : 0].push(places.map((of, i) => `${i ? "L" : "M"}${at(of[trial], trial).toFixed(1)} ${top + step * i}`).join(""));
    }
    paths.forEach((path, i) => lines[i].setAttribute("d", path.join("")));
    const free = parts.every(([low, high]) => low === 0 && high === 1);
    const where = parts.map(([low, high], i) => (low === 0 && high === 1 ? "" : `${axes[i].title} from ${said(i, low)} to ${said(i, high)}`)).filter(Boolean);
    status.textContent = free ? `All ${count} trials; best: trial ${figure.trials[best]}, ${number(figure.scores[best], 5)}.`
      : `${inside} of ${count} trials with ${where.join(", ")}` + (best < 0 ? "." : `; best: trial ${figure.trials[best]}, ${number(figure.scores[best], 5)}.`);
    reset.disabled = free;
    axes.forEach((axis, i) => [0, 1].forEach((end) => {
      const [low, high] = parts[i], handle = handles[i][end];
      handle.setAttribute("transform", `translate(${side + across * parts[i][end]} ${top + step * i})`);
      handle.setAttribute("aria-valuenow", Math.round(100 * parts[i][end]));
      handle.setAttribute("aria-valuetext", said(i, parts[i][end]));
      marks[i].setAttribute("d", low === 0 && high === 1 ? "" : `M${side + across * low} ${top + step * i}H${side + across * high}`);
    }));
  }

  function set(i, low, high) {
    const bounds = [Math.max(0, Math.min(low, high)), Math.min(1, Math.max(low, high))];
    parts[i] = bounds[1] - bounds[0] < 0.004 ? [0, 1] : bounds;
    colour();
  }

  function draw() {
    width = Math.max(240, holder.clientWidth);
    across = width - 2 * side - 24;
    holder.querySelectorAll("svg").forEach((old) => old.remove());
    const svg = shape(holder, "svg", { viewBox: `0 0 ${width} ${top + step * (axes.length - 1) + 34}`, role: "group", "aria-label": "parallel coordinates" });
    lines = [0, 1, 2, 3, 4, 5].map((shade) => shape(svg, "path", { class: shade ? `line shade${shade}` : "line left-out" }));
    handles = [], marks = [];
    axes.forEach((axis, i) => {
      const y = top + step * i;
      shape(svg, "path", { class: "axis", d: `M${side} ${y}h${across}` });
      marks.push(shape(svg, "path", { class: "part" }));
      shape(svg, "text", { x: side, y: y - 11, class: "title halo" }, fitted(axis.title + (axis.kind === "log" ? " (log scale)" : ""), across));
      let free = -Infinity;
      for (const [value, text] of scales[i].ticks(Math.max(2, Math.floor(across / 110)))) {
        const room = axis.kind === "category" ? across / axis.categories.length - 6 : 80;
        const label = fitted(text, room, 11), half = textWidth(label, 11) / 2, place = scales[i].place(value);
        const x = Math.min(Math.max(side + across * place, half), width - half);
        shape(svg, "path", { class: "axis", d: `M${side + across * place} ${y}v5` });
        if (x - half < free) continue;
        free = x + half + 6;
        shape(svg, "text", { x, y: y + 19, "text-anchor": "middle", class: "small halo" }, label);
      }
      const ground = shape(svg, "rect", { class: "ground", x: 0, y: y - 13, width: across + 2 * side, height: 26 });
      ground.addEventListener("pointerdown", (event) => drag(event, svg, i, null));
      handles.push([0, 1].map((end) => {
        const handle = shape(svg, "g", {
          class: "handle", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 100,
          "aria-label": `${axis.title}, ${end ? "upper" : "lower"} bound`,
        });
        shape(handle, "path", { d: end ? "M0 -8l6 0v16h-6z" : "M0 -8l-6 0v16h6z" });
        handle.addEventListener("pointerdown", (event) => drag(event, svg, i, end));
        handle.addEventListener("keydown", (event) => press(event, i, end));
        return handle;
      }));
    });
    colour();
  }

  function drag(event, svg, i, end) {
    event.preventDefault();
    const place = (moved) => {
      const box = svg.getBoundingClientRect();
      return Math.min(1, Math.max(0, ((moved.clientX - box.left) * width / box.width - side) / across));
    };
    const start = end === null ? place(event) : parts[i][1 - end];
    const move = (moved) => set(i, start, place(moved));
    const stop = (moved) => {
      if (end === null && Math.abs(place(moved) - start) < 0.004) set(i, 0, 1);
      svg.removeEventListener("pointermove", move);
    };
    svg.setPointerCapture(event.pointerId);
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerup", stop, { once: true });
    svg.addEventListener("pointercancel", stop, { once: true });
  }

  function press(event, i, end) {
    const axis = axes[i];
    const by = axis.kind === "category" ? 1 / axis.categories.length : event.shiftKey ? 0.1 : 0.02;
    const [low, high] = parts[i];
    const old = parts[i][end];
    const moves = { ArrowLeft: old - by, ArrowDown: old - by, ArrowRight: old + by, ArrowUp: old + by, Home: end ? low + by : 0, End: end ? 1 : high - by };
    if (event.key === "Escape") set(i, 0, 1);
    else if (event.key in moves) {
      const to = Math.min(1, Math.max(0, moves[event.key]));
      if (end ? to > low + 0.004 : to < high - 0.004) end ? set(i, low, to) : set(i, to, high);
    } else return;
    event.preventDefault();
  }

  reset.onclick = () => {
    parts.forEach((_, i) => { parts[i] = [0, 1]; });
    colour();
  };
  keepDrawn(holder, draw);
}
