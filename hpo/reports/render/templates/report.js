// Puts the page's figures in their places, and draws the learning curves as their controls say.
(function () {
  const read = (id) => JSON.parse((document.getElementById(id) || { textContent: "{}" }).textContent);
  const figures = read("figure-data");
  for (const [name, figure] of Object.entries(figures)) {
    const holder = document.getElementById("figure-" + name);
    if (name === "parallel") {
      parallel(holder, figure, document.getElementById("parallel-status"), document.getElementById("parallel-reset"));
      continue;
    }
    const draw = () => plot(holder, figure);
    if (figure.y.range) wholeButton(holder, draw);
    keepDrawn(holder, draw);
  }

  if (!document.getElementById("curve-data")) return;
  const data = read("curve-data");
  const holder = document.getElementById("figure-curves");
  const control = (id) => document.getElementById(id);
  const smoothings = {
    raw: (values) => values,
    cumulative: cumulative,
    simple: (values) => simple(values, Number(control("window").value)),
    exponential: (values) => exponential(values, 1 - Number(control("factor").value)),
  };
  const names = { winner: "winner", finished: "finished", pruned: "pruned", other: "failed or running" };
  const shown = {
    all: () => true,
    best: (curve) => curve.rank !== null && curve.rank < 10,
    finished: (curve) => curve.rank !== null,
    winner: (curve) => curve.rank === 0,
  };

  // Wild values of diverging trials must not flatten the rest: the axis spans what lies within Tukey's far-out fence.
  function tameRange(curves, logarithmic) {
    let values = curves.flatMap((curve) => curve.filter((value) => value !== null));
    if (logarithmic) values = values.filter((value) => value > 0).map(Math.log10);
    if (values.length < 8) return null;
    values.sort((x, y) => x - y);
    const first = values[Math.floor(values.length / 4)], third = values[Math.floor(3 * values.length / 4)];
    const reach = 3 * (third - first);
    const tame = values.filter((value) => value >= first - reach && value <= third + reach);
    if (reach === 0 || tame.length === values.length) return null;
    const margin = 0.06 * (tame[tame.length - 1] - tame[0]);
    const range = [tame[0] - margin, tame[tame.length - 1] + margin];
    return logarithmic ? range.map((power) => Math.pow(10, power)) : range;
  }

  function draw() {
    const measure = control("measure").value, kind = control("smoothing").value;
    const logarithmic = control("logarithmic").checked;
    const smooth = smoothings[kind];
    control("window-control").hidden = kind !== "simple";
    control("factor-control").hidden = kind !== "exponential";
    control("window-value").textContent = control("window").value;
    control("factor-value").textContent = Number(control("factor").value).toFixed(2);
    const curves = data.curves.filter(shown[control("shown").value]);
    const drawable = (values) => (logarithmic ? values.map((value) => (value > 0 ? value : null)) : values);
    const faint = [], strong = [];
    for (const curve of curves.slice().reverse()) {
      const layer = { kind: "curve", style: curve.group, x: curve.epochs, trials: curve.number };
      const raw = drawable(curve.series[measure]);
      if (kind !== "raw") faint.push({ ...layer, y: raw, opacity: curve.rank === 0 ? 0.35 : 0.16, hidden: true });
      strong.push({ ...layer, y: drawable(smooth(curve.series[measure])), name: names[curve.group] });
    }
    plot(holder, {
      height: 440,
      x: { title: "epoch", kind: "linear", whole: true },
      y: { title: data.labels[measure], kind: logarithmic ? "log" : "linear", range: tameRange(curves.map((curve) => curve.series[measure]), logarithmic) },
      layers: [...faint, ...strong],
      legend: true,
    });
  }

  for (const id of ["measure", "smoothing", "shown", "logarithmic", "window", "factor"]) control(id).addEventListener("input", draw);
  keepDrawn(holder, draw);
})();
