// Colours of the figures for light and dark, and the learning curves with their controls.
(function () {
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // Plotly's labels are a subset of HTML.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function recolour(figure) {
    const changes = { "font.color": css("--text"), "hoverlabel.bgcolor": css("--card"),
                      "hoverlabel.font.color": css("--text"), "hoverlabel.bordercolor": css("--line") };
    for (const axis of ["xaxis", "yaxis"]) {
      changes[axis + ".gridcolor"] = css("--grid");
      changes[axis + ".linecolor"] = css("--line");
      changes[axis + ".tickcolor"] = css("--line");
    }
    Plotly.relayout(figure, changes);
  }
  const recolourAll = () => document.querySelectorAll(".plotly-graph-div").forEach(recolour);

  const holder = document.getElementById("curve-data");
  if (holder) {
    const data = JSON.parse(holder.textContent);
    const figure = document.getElementById("figure-curves");
    const control = (id) => document.getElementById(id);
    const smoothings = {
      raw: (values) => values,
      cumulative: cumulative,
      simple: (values) => simple(values, Number(control("window").value)),
      exponential: (values) => exponential(values, 1 - Number(control("factor").value)),
    };
    const styles = {
      winner: { name: "winner", width: 3, opacity: 1 },
      finished: { name: "finished", width: 1.3, opacity: 0.55 },
      pruned: { name: "pruned", width: 1.1, opacity: 0.55 },
      other: { name: "failed or running", width: 1.1, opacity: 0.55 },
    };
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
      return [tame[0] - margin, tame[tame.length - 1] + margin];
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
      const faint = [], strong = [];
      for (const curve of curves.slice().reverse()) {
        const raw = curve.series[measure];
        const style = styles[curve.group];
        const trace = {
          x: curve.epochs, type: "scatter", legendgroup: curve.group,
          mode: curve.epochs.length === 1 ? "markers" : "lines",
          line: { color: css("--" + curve.group), width: style.width },
          marker: { color: css("--" + curve.group), size: 5 },
        };
        if (kind !== "raw") {
          faint.push({ ...trace, y: raw, opacity: curve.rank === 0 ? 0.35 : 0.16, showlegend: false, hoverinfo: "skip" });
        }
        const smoothed = smooth(raw);
        strong.push({
          ...trace, y: smoothed, opacity: style.opacity, name: style.name, showlegend: false,
          hovertext: smoothed.map((value) => (value === null ? "" : number(value, 5))),
          hovertemplate: "trial " + curve.number + ", epoch %{x}<br>%{hovertext}<extra>" + style.name + "</extra>",
        });
      }
      // The legend has lines of its own: a trial of one epoch is a dot, and would stand for its whole group.
      const legend = Object.keys(styles).filter((group) => curves.some((curve) => curve.group === group)).map((group) => ({
        x: [null], y: [null], type: "scatter", mode: "lines", legendgroup: group, name: styles[group].name,
        line: { color: css("--" + group), width: styles[group].width },
      }));
      const layout = figure.layout;
      const raw = curves.map((curve) => curve.series[measure]);
      const range = tameRange(raw, logarithmic);
      const positive = raw.flat().filter((value) => value > 0);
      const decades = Math.log10(positive.reduce((x, y) => Math.max(x, y), 0) / positive.reduce((x, y) => Math.min(x, y), Infinity));
      layout.yaxis = { ...layout.yaxis, title: { ...layout.yaxis.title, text: plain(data.labels[measure]) }, type: logarithmic ? "log" : "linear",
                       autorange: range === null, range: range === null ? undefined : range,
                       dtick: logarithmic ? (decades > 2 ? Math.max(1, Math.round(decades / 8)) : "D2") : undefined };
      layout.xaxis = { ...layout.xaxis, autorange: true };
      Plotly.react(figure, [...faint, ...strong, ...legend], layout);
    }

    for (const id of ["measure", "smoothing", "shown", "logarithmic", "window", "factor"]) {
      control(id).addEventListener("input", draw);
    }
    dark.addEventListener("change", draw);
    draw();
  }
  dark.addEventListener("change", recolourAll);
  recolourAll();
})();
