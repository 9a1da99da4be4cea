// The page: what is chosen, and everything that follows from it.

const at = (id) => document.getElementById(id);
const chosen = { unit: DATA.unit, measure: "nats", hidden: new Set(), frontierOnly: false, bands: true, selected: null };
let shown = figures(chosen.unit, chosen.measure);

const tooltip = createTooltip(at("tooltip"));
const chart = createChart(at("chart"), {
  onHover: (i, event) => tooltip.show(i, shown, event),
  onLeave: tooltip.hide,
  onSelect: select,
  onView: tellView,
});
const points = createTable(at("points-table"), {
  label: "Points",
  length: 25,
  columns: [],
  onFocus: (i) => chart.mark(i),
  onOpen: select,
});
points.sortBy("mi");

function visible() {
  const indices = [];
  for (let i = 0; i < N; i += 1) {
    const kept = shown.isPoint(i) && !chosen.hidden.has(TRIALS.arm[i]);
    if (kept && (shown.frontier[i] || !chosen.frontierOnly)) indices.push(i);
  }
  return indices;
}

function pointColumns() {
  const plain = (name, title, value, text = (i) => number(value(i))) => ({ name, title, value, text, numeric: true });
  const arm = (i) => DATA.arms[TRIALS.arm[i]];
  return [
    { name: "arm", title: "arm", value: (i) => arm(i).label, cell: (i) => named(arm(i)) },
    {
      name: "state",
      title: "state",
      value: (i) => shown.state(i),
      text: (i) => shown.state(i),
    },
    plain("nll", `${shown.nllShort} (${shown.nllUnit.replace(" per ", "/")})`, (i) => shown.nll[i], (i) => measurement(shown.nll[i], shown.nllError[i], shown.nllDecimals)),
    plain("mi", `${DATA.mi.short} (${shown.miUnit.replace(" per ", "/")})`, (i) => shown.mi[i], (i) => measurement(shown.mi[i], shown.miError[i], shown.miDecimals)),
    ...DATA.knobs.map(({ name, short, values }) => plain(name, short, (i) => values[i])),
    plain("ess", "ESS", (i) => TRIALS.ess[i], (i) => number(TRIALS.ess[i], 3)),
    plain("cost", "training", (i) => TRIALS.train_seconds[i], (i) => seconds(TRIALS.train_seconds[i])),
    plain("seed", "seed", (i) => TRIALS.seed[i], (i) => String(TRIALS.seed[i])),
    { name: "trial", title: "trial", value: (i) => TRIALS.id[i], text: (i) => TRIALS.id[i] },
  ];
}

function named(arm) {
  return element("span", { class: "arm" }, swatch(arm), arm.label);
}

function render() {
  const indices = visible();
  chart.draw({ shown, indices, bands: chosen.bands, hidden: chosen.hidden, selected: chosen.selected });
  points.update(indices, pointColumns());
  const all = DATA.units[chosen.unit].nll.filter((value) => value !== null).length;
  at("count").textContent = `${indices.length.toLocaleString("en")} of ${counted(all, "point")} shown`;
  at("csv").disabled = !indices.length;
  at("nothing").hidden = indices.length > 0;
  at("nothing").textContent = all ? "All points are filtered out." : "No finished trial to show.";
  showPanel();
}

function showPanel() {
  if (chosen.selected === null) showGuide(at("details"), shown);
  else showDetails(at("details"), chosen.selected, shown, () => {
    const was = chosen.selected;
    chosen.selected = null;
    chart.mark(null);
    points.select(null);
    left.select(null);
    showPanel();
    document.querySelector(`tr[data-trial="${was}"]`)?.focus();
  });
}

function select(i) {
  chosen.selected = i;
  chart.mark(i);
  points.select(i);
  left.select(i);
  showPanel();
  speak(`Trial ${TRIALS.id[i]} opened`);
  if (matchMedia("(max-width: 70rem)").matches) at("details").scrollIntoView({ block: "start" });
}

function tellView(outside, moved) {
  const also = outside.frontier ? `, ${outside.frontier.toLocaleString("en")} of them on a frontier` : "";
  at("outside").textContent = outside.all ? `${counted(outside.all, "point")} outside this view${also}` : "";
  at("reset").disabled = !moved;
}

function choose(change) {
  Object.assign(chosen, change);
  if (chosen.unit !== "token" && chosen.measure === "perplexity") chosen.measure = "nats";
  if ("unit" in change || "measure" in change) {
    shown = figures(chosen.unit, chosen.measure);
    chart.forget();
    drawMeasures();
    tellWarnings();
  }
  render();
}

function radios(root, name, options, current, onChange) {
  for (const { value, text, disabled, title } of options) {
    const input = element("input", {
      type: "radio", name, value, checked: value === current, disabled, onchange: () => onChange(value),
    });
    root.append(element("label", { title }, input, ` ${text}`));
  }
}

function drawMeasures() {
  const focused = document.activeElement?.name === "measure";
  const root = at("measures");
  root.replaceChildren(root.firstElementChild);
  const options = [
    { value: "nats", text: "NLL in nats" },
    { value: "bits", text: "NLL in bits" },
  ];
  if ("token" in DATA.units) {
    const disabled = chosen.unit !== "token";
    options.push({ value: "perplexity", text: "perplexity", disabled, title: disabled ? "Perplexity is per token" : null });
  }
  radios(root, "measure", options, chosen.measure, (measure) => choose({ measure }));
  if (focused) root.querySelector(":checked").focus();
}

function drawArms() {
  const hide = (number, hidden) => {
    if (hidden) chosen.hidden.add(number);
    else chosen.hidden.delete(number);
    render();
  };
  const boxes = DATA.arms.map((arm, number) => {
    const own = TRIALS.arm.flatMap((of, i) => (of === number && shown.isPoint(i) ? [i] : []));
    const best = own.filter((i) => shown.frontier[i]).length;
    const box = element("input", { type: "checkbox", checked: true, onchange: () => hide(number, !box.checked) });
    const counts = `${own.length.toLocaleString("en")} (${best.toLocaleString("en")} on the frontier)`;
    at("arms").append(element("label", {}, box, swatch(arm), element("span", { class: "label" }, arm.label), " ", element("small", {}, counts)));
    return box;
  });
  if (boxes.length < 3) return;
  const all = (checked) => {
    boxes.forEach((box, number) => {
      box.checked = checked;
      if (checked) chosen.hidden.delete(number);
      else chosen.hidden.add(number);
    });
    render();
  };
  at("arms").append(button("All arms", () => all(true)), button("No arms", () => all(false)));
}

function tellWarnings() {
  const { warnings } = DATA.units[chosen.unit];
  at("warnings").hidden = !warnings.length;
  at("warnings").replaceChildren(...warnings.map((text) => element("li", {}, text)));
}

function tellSummary() {
  const { nll, frontier, left_out: out } = DATA.units[DATA.unit];
  const n = nll.filter((value) => value !== null).length;
  const parts = [counted(n, "point"), `${frontier.filter(Boolean).length.toLocaleString("en")} on a frontier`, counted(DATA.arms.length, "arm")];
  const counts = Object.entries(out).map(([reason, many]) => `${many.toLocaleString("en")} ${reason}`);
  if (counts.length) parts.push(`left out: ${counts.join(", ")}`);
  at("summary").textContent = parts.join(" · ");
  at("failed-count").textContent = counts.length ? `Trials that are no point: ${counts.join(", ")}.` : "Nothing: every trial that ended is a point.";
}

const unfinished = TRIALS.id.map((_, i) => i).filter((i) => !shown.isPoint(i));
const leftColumns = [
  { name: "arm", title: "arm", value: (i) => DATA.arms[TRIALS.arm[i]].label, cell: (i) => named(DATA.arms[TRIALS.arm[i]]) },
  { name: "status", title: "status", value: (i) => TRIALS.status[i], text: (i) => TRIALS.status[i] },
  { name: "reason", title: "reason", value: (i) => TRIALS.reason[i], text: (i) => TRIALS.reason[i] ?? "without a finite value" },
  ...DATA.knobs.map(({ name, short, values }) => ({ name, title: short, value: (i) => values[i], text: (i) => number(values[i]), numeric: true })),
  { name: "step", title: "step", value: (i) => TRIALS.step[i], text: (i) => String(TRIALS.step[i]), numeric: true },
  { name: "seed", title: "seed", value: (i) => TRIALS.seed[i], text: (i) => String(TRIALS.seed[i]), numeric: true },
  { name: "trial", title: "trial", value: (i) => TRIALS.id[i], text: (i) => TRIALS.id[i] },
];
const left = createTable(at("failed-table"), { label: "Trials left out", length: 10, columns: leftColumns, onOpen: select });

function drawProvenance() {
  DATA.runs.forEach((run, number_) => {
    const spent = [["training in all", run.train_seconds], ["evaluation in all", run.eval_seconds]];
    const entries = [...Object.entries(run.facts), ...spent.map(([name, value]) => [name, seconds(value)])];
    const text = run.experiment;
    const tools = element("div", { class: "heading" },
      button("Copy", (pressed) => copy(text, pressed)),
      button("Download", () => download("experiment.yaml", "application/yaml", text)));
    const id = `experiment-${number_}`;
    at("provenance").append(
      element("article", {},
        element("h3", {}, run.name),
        pairs(entries),
        element("details", {}, element("summary", { id }, "experiment.yaml, as it was resolved"), tools,
          element("pre", { tabindex: 0, role: "region", "aria-labelledby": id }, text))),
    );
  });
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  at("theme").setAttribute("aria-pressed", String(colours().dark));
  render();
}

at("theme").addEventListener("click", () => setTheme(colours().dark ? "light" : "dark"));
systemDark.addEventListener("change", () => setTheme(document.documentElement.dataset.theme));
at("frontier-only").addEventListener("change", ({ target }) => choose({ frontierOnly: target.checked }));
at("bands").addEventListener("change", ({ target }) => choose({ bands: target.checked }));
at("banded").hidden = !Object.values(DATA.units).some(({ bands }) => bands.length);
at("zoom-in").addEventListener("click", () => chart.zoom(0.7));
at("zoom-out").addEventListener("click", () => chart.zoom(1 / 0.7));
at("reset").addEventListener("click", () => {
  chart.reset();
  at("all").focus(); // the pressed button is disabled now
});
at("all").addEventListener("click", chart.all);
at("picture").addEventListener("click", chart.picture);
at("csv").addEventListener("click", () => download("points.csv", "text/csv", csv(shown, visible())));
addEventListener("keydown", ({ key }) => key === "Escape" && tooltip.hide());
addEventListener("scroll", tooltip.hide, { passive: true });

// Paper is light, and has no use for what is folded away.
let before = null;
addEventListener("beforeprint", () => {
  before = { theme: document.documentElement.dataset.theme, folded: [...document.querySelectorAll("details:not([open])")] };
  before.folded.forEach((details) => (details.open = true));
  setTheme("light");
});
addEventListener("afterprint", () => {
  before.folded.forEach((details) => (details.open = false));
  setTheme(before.theme);
});

drawArms();
drawMeasures();
radios(at("units"), "unit", Object.keys(DATA.units).map((value) => ({ value, text: value })), chosen.unit, (unit) => choose({ unit }));
at("units").hidden = Object.keys(DATA.units).length < 2;
tellSummary();
tellWarnings();
drawProvenance();
at("failed-table").hidden = !unfinished.length;
left.update(unfinished);
setTheme(null);
document.documentElement.dataset.ready = "true";
