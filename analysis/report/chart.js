// The chart: MI to the right, NLL upwards, drawn by Plotly.

const FEW = 3; // frontier points below which they span no view
const FINE = 2_000; // frontier points beyond which bars would be a blur

function webgl() {
  try {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  } catch {
    return false;
  }
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    dark: of("--is-dark") === "1",
    ink: of("--ink"),
    muted: of("--muted"),
    grid: of("--grid"),
    paper: of("--surface"),
    accent: of("--accent"),
  };
}

function createChart(root, { onHover, onLeave, onSelect, onView }) {
  const quick = DATA.webgl && webgl();
  let drawn = null; // { shown, indices } as last given
  let view = null; // { x, y } ranges, null for the frontiers' own
  let listening = false;

  function traces({ shown, indices }) {
    const theme = colours();
    const anyExact = indices.some((i) => TRIALS.exact[i]);
    const many = indices.length > DATA.many;
    const made = [];
    const lines = [];
    DATA.arms.forEach((arm, number) => {
      const own = indices.filter((i) => TRIALS.arm[i] === number);
      const colour = theme.dark ? arm.dark : arm.light;
      const symbol = (i) => {
        if (shown.state(i) === "ambiguous") return `${arm.symbol}-open-dot`;
        return anyExact && !TRIALS.exact[i] ? `${arm.symbol}-open` : arm.symbol;
      };
      const symbols = (some) => (some.some((i) => symbol(i) !== arm.symbol) ? some.map(symbol) : arm.symbol);
      const common = (some) => ({
        x: some.map((i) => shown.mi[i]),
        y: some.map((i) => shown.nll[i]),
        customdata: some,
        name: "",
        hoverinfo: "none",
        showlegend: false,
      });
      const dominated = own.filter((i) => !shown.frontier[i]);
      made.push({
        ...common(dominated),
        type: quick ? "scattergl" : "scatter",
        mode: "markers",
        marker: {
          color: colour,
          symbol: symbols(dominated),
          size: many ? 4 : 7,
          opacity: (many ? 0.2 : 0.4) + (theme.dark ? 0.15 : 0), // dark swallows more
        },
      });
      const frontier = own
        .filter((i) => shown.frontier[i])
        .sort((a, b) => shown.mi[a] - shown.mi[b] || shown.nll[a] - shown.nll[b]);
      const bars = (errors) => ({
        type: "data",
        array: frontier.map((i) => errors[i] ?? 0),
        visible: frontier.length <= FINE && frontier.some((i) => errors[i] > 0),
        color: colour,
        thickness: 1,
        width: 3,
      });
      // The border of what the trials dominate; straight lines would promise models that nobody trained.
      lines.push({
        ...common(frontier),
        type: "scatter",
        mode: "lines+markers",
        line: { color: colour, width: 1.6, shape: "vh", dash: arm.dash },
        marker: { color: colour, symbol: symbols(frontier), size: 9, line: { color: theme.paper, width: 1 } },
        error_x: bars(shown.miError),
        error_y: bars(shown.nllError),
      });
    });
    return [...made, ...lines];
  }

  // Between what few and what most of the seeds attain; the median is a thin line. Right of what
  // most attain, a band has no upper end.
  function bands({ shown, bands: wanted, hidden }) {
    if (!wanted) return [];
    const theme = colours();
    const heights = shown.nll.filter((value) => value !== null);
    const [low, high] = heights.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const over = high + 10 * (high - low);
    return shown.bands.filter(({ arm }) => !hidden.has(arm)).flatMap(({ arm, surfaces }) => {
      const colour = theme.dark ? DATA.arms[arm].dark : DATA.arms[arm].light;
      const start = surfaces.reduce((least, { mi }) => Math.min(least, mi[0]), Infinity);
      const corners = ({ mi, nll }) => nll.flatMap((y, n) => [[n ? mi[n - 1] : start, y], [mi[n], y]]);
      const end = (path) => [...path, [path[path.length - 1][0], over]];
      const [lowest, highest] = [surfaces[0], surfaces[surfaces.length - 1]].map(corners);
      const common = { type: "scatter", mode: "lines", name: "", hoverinfo: "skip", showlegend: false };
      const xy = (path) => ({ x: path.map(([x]) => x), y: path.map(([, y]) => y) });
      return [
        { ...common, ...xy([...end(lowest), ...end(highest).reverse()]), fill: "toself", fillcolor: `${colour}29`, line: { width: 0 } },
        ...surfaces.slice(1, -1).map((inner) => ({ ...common, ...xy(corners(inner)), line: { color: colour, width: 0.8, dash: "3px,2px" } })),
      ];
    });
  }

  // The frontiers without their points that went far astray, and the limits nearby.
  function ownView({ shown, indices, bands: wanted, hidden }) {
    const number = (values, of) => values.reduce((best, value) => of(best, value), values[0]);
    const most = (values) => number(values, Math.max);
    const least = (values) => number(values, Math.min);
    let some = indices.filter((i) => shown.frontier[i]);
    if (some.length < FEW) some = indices;
    if (!some.length) return { x: [0, 1], y: [0, 1] };
    const lowest = least(some.map((i) => shown.nll[i]));
    const above = some.map((i) => shown.nll[i] - lowest).sort((a, b) => a - b);
    const middle = (above[(above.length - 1) >> 1] + above[above.length >> 1]) / 2;
    const far = 10 * Math.max(middle, 0.05 * Math.abs(lowest));
    const near = some.filter((i) => shown.nll[i] - lowest <= far);
    const span = most(near.map((i) => shown.nll[i])) - lowest;
    const bar = (i) => Math.min(shown.nllError[i] ?? 0, span);
    let bottom = least(near.map((i) => shown.nll[i] - bar(i)));
    let top = most(near.map((i) => shown.nll[i] + bar(i)));
    for (const { arm, surfaces } of wanted ? shown.bands : []) {
      if (hidden.has(arm)) continue;
      for (const height of surfaces.flatMap(({ nll }) => nll)) if (height - lowest <= far) top = Math.max(top, height);
    }
    const floor = shown.floor.length ? most(shown.floor) : NaN;
    if (bottom - floor <= Math.max(top - bottom, 0.1 * Math.abs(floor))) bottom = Math.min(bottom, floor);
    const left = Math.min(0, least(near.map((i) => shown.mi[i])));
    let right = Math.max(0.01, most(near.map((i) => shown.mi[i])));
    const ceiling = shown.ceiling.length ? most(shown.ceiling) : NaN;
    if (right > 0.6 * ceiling) right = ceiling;
    return { x: widened(left, right), y: widened(bottom, top) };
  }

  function wholeView({ shown, indices }) {
    let [left, right, bottom, top] = [0, 0.01, Infinity, -Infinity];
    for (const i of indices) {
      [left, right] = [Math.min(left, shown.mi[i]), Math.max(right, shown.mi[i])];
      [bottom, top] = [Math.min(bottom, shown.nll[i]), Math.max(top, shown.nll[i])];
    }
    return indices.length ? { x: widened(left, right), y: widened(bottom, top) } : ownView(drawn);
  }

  function widened(low, high) {
    const margin = Math.max(0.07 * (high - low), 0.002 * Math.abs(high), 1e-6);
    return [low - margin, high + margin];
  }

  // The floor and the ceiling, named where they are in view.
  function limits({ shown }, { x: [left, right], y: [low, high] }) {
    const { muted } = colours();
    const note = { showarrow: false, font: { size: 11, color: muted } };
    const floors = shown.floor.filter((y) => low < y && y < high);
    const ceilings = shown.ceiling.filter((x) => left < x && x < right);
    return [
      ...floors.map((y) => ({ ...note, xref: "paper", x: 0.5, xanchor: "center", y, yanchor: "top",
        text: `lowest possible ${shown.nllShort} ${number(y)}` })),
      ...ceilings.map((x) => ({ ...note, yref: "paper", y: 0.99, yanchor: "top", x, xanchor: "right",
        textangle: -90, text: `${DATA.mi.ceiling} ${number(x)}` })),
    ];
  }

  // Lines for the floor and the ceiling, and last a ring around the marked point.
  function shapes({ shown, indices, selected }) {
    const theme = colours();
    const dashed = { type: "line", layer: "below", line: { color: theme.muted, width: 1, dash: "dash" } };
    const marked = selected !== null && indices.includes(selected);
    const ring = {
      type: "circle", xsizemode: "pixel", ysizemode: "pixel", x0: -11, x1: 11, y0: -11, y1: 11,
      xanchor: marked ? shown.mi[selected] : 0, yanchor: marked ? shown.nll[selected] : 0,
      visible: marked, line: { color: theme.ink, width: 2.5 },
    };
    return [
      ...shown.floor.map((y) => ({ ...dashed, xref: "paper", x0: 0, x1: 1, y0: y, y1: y })),
      ...shown.ceiling.map((x) => ({ ...dashed, yref: "paper", y0: 0, y1: 1, x0: x, x1: x })),
      ring,
    ];
  }

  function layout({ shown }, ranges) {
    const theme = colours();
    const axis = {
      color: theme.muted,
      tickcolor: theme.muted,
      tickfont: { color: theme.muted, size: 12 },
      gridcolor: theme.grid,
      linecolor: theme.muted,
      showline: true,
      ticks: "outside",
      zeroline: false,
      automargin: true,
      exponentformat: "power",
    };
    const title = (text) => ({ text, font: { color: theme.ink, size: 13 }, standoff: 8 });
    return {
      font: { family: "system-ui, sans-serif", color: theme.ink },
      paper_bgcolor: theme.paper,
      plot_bgcolor: theme.paper,
      margin: { l: 64, r: 16, t: 12, b: 56 },
      hovermode: "closest",
      hoverdistance: 12,
      dragmode: drawn?.mode ?? "zoom",
      shapes: shapes(drawn),
      annotations: limits(drawn, ranges),
      modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.muted, activecolor: theme.accent },
      xaxis: { ...axis, range: ranges.x.slice(), title: title(`${DATA.mi.long} (${shown.miUnit}), higher is better →`) },
      yaxis: { ...axis, range: ranges.y.slice(), title: title(`← lower is better, ${shown.nllName} (${shown.nllUnit})`) },
    };
  }

  const config = {
    displaylogo: false,
    displayModeBar: true,
    responsive: true,
    doubleClick: false,
    showTips: false,
    modeBarButtons: [["zoom2d", "pan2d"]],
  };

  function draw(what) {
    drawn = { mode: root.layout?.dragmode, ...what };
    const ranges = view ?? ownView(drawn);
    const done = Plotly.react(root, [...bands(drawn), ...traces(drawn)], layout(drawn, ranges), config);
    if (!listening) listen();
    onView(outside(ranges), Boolean(view));
    return done;
  }

  function listen() {
    listening = true;
    root.on("plotly_hover", ({ points, event }) => onHover(points[0].customdata, event));
    root.on("plotly_unhover", onLeave);
    root.on("plotly_click", ({ points }) => onSelect(points[0].customdata));
    root.on("plotly_doubleclick", () => reset());
    root.on("plotly_relayout", (change) => {
      if (change.annotations || !Object.keys(change).some((key) => /^[xy]axis\.range/.test(key))) return;
      const { xaxis, yaxis } = root.layout;
      show({ x: xaxis.range.slice(), y: yaxis.range.slice() });
    });
  }

  function outside({ x, y }) {
    const { shown, indices } = drawn;
    const out = indices.filter(
      (i) => !(x[0] <= shown.mi[i] && shown.mi[i] <= x[1] && y[0] <= shown.nll[i] && shown.nll[i] <= y[1]),
    );
    return { all: out.length, frontier: out.filter((i) => shown.frontier[i]).length };
  }

  function show(ranges) {
    view = ranges;
    const { x, y } = view ?? ownView(drawn);
    Plotly.relayout(root, { "xaxis.range": x.slice(), "yaxis.range": y.slice(), annotations: limits(drawn, { x, y }) });
    onView(outside({ x, y }), Boolean(view));
  }

  function reset() {
    show(null);
  }

  function move(right, up, factor = 1) {
    const { x, y } = view ?? ownView(drawn);
    const along = ([low, high], share) => {
      const [half, middle] = [(factor * (high - low)) / 2, (low + high) / 2 + share * (high - low)];
      return [middle - half, middle + half];
    };
    show({ x: along(x, right), y: along(y, up) });
  }

  root.addEventListener("keydown", (event) => {
    if (event.target !== root || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => move(-0.1, 0),
      ArrowRight: () => move(0.1, 0),
      ArrowUp: () => move(0, 0.1),
      ArrowDown: () => move(0, -0.1),
      "+": () => move(0, 0, 0.8),
      "=": () => move(0, 0, 0.8),
      "-": () => move(0, 0, 1.25),
      "0": reset,
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });

  return {
    draw,
    reset,
    all: () => show(wholeView(drawn)),
    zoom: (factor) => move(0, 0, factor),
    forget: () => (view = null), // what was in view has other units now
    mark(selected) {
      if (drawn.selected === selected) return;
      drawn.selected = selected;
      Plotly.relayout(root, { shapes: shapes(drawn) });
    },
    picture: () => Plotly.downloadImage(root, { format: "svg", filename: "frontier", width: 1000, height: 640 }),
  };
}
