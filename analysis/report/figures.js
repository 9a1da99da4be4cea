// What is shown of each trial: NLL and MI in the chosen unit and measure, as text and as numbers.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TRIALS = DATA.trials;
const N = TRIALS.id.length;
const SHARE = 1 / Math.LN2; // bits in a nat

// A perplexity's error is carried through exp to first order; MI beside it stays in nats.
const MEASURES = {
  nats: { name: "nats", nll: (v) => v, nllError: (v, e) => e, mi: (v) => v },
  bits: {
    name: "bits",
    nll: (v) => v * SHARE,
    nllError: (v, e) => e * SHARE,
    mi: (v) => v * SHARE,
  },
  perplexity: { name: "perplexity", nll: Math.exp, nllError: (v, e) => Math.exp(v) * e, mi: (v) => v },
};

function finite(value) {
  return Number.isFinite(value) ? value : null;
}

// The figures of all trials, by index; null for trials that are no point in this unit.
function figures(unit, measure) {
  const stored = DATA.units[unit];
  const by = MEASURES[measure];
  const miUnit = measure === "bits" ? "bits" : "nats";
  const point = (i) => stored.nll[i] !== null && stored.mi[i] !== null;
  const each = (value) => Array.from({ length: N }, (_, i) => (point(i) ? finite(value(i)) : null));
  const error = (values, i, of) => (values[i] === null ? null : of(values[i]));
  const shown = {
    unit,
    measure,
    nll: each((i) => by.nll(stored.nll[i])),
    mi: each((i) => by.mi(stored.mi[i])),
    nllError: each((i) => error(stored.nll_error, i, (e) => by.nllError(stored.nll[i], e)) ?? NaN),
    miError: each((i) => error(stored.mi_error, i, (e) => by.mi(e)) ?? NaN),
    frontier: stored.frontier,
    probability: stored.probability ?? [],
    // The verdict in view of the errors, where there is one.
    state: (i) => stored.membership?.[i] ?? (stored.frontier[i] ? "frontier" : "dominated"),
    bands: stored.bands.map(({ surfaces, ...band }) => ({
      ...band,
      surfaces: surfaces.map(({ level, nll, mi }) => ({ level, nll: nll.map(by.nll), mi: mi.map(by.mi) })),
    })),
    floor: stored.floor.map(by.nll).filter(Number.isFinite),
    ceiling: stored.ceiling.map(by.mi),
    nllShort: measure === "perplexity" ? "perplexity" : "NLL",
    nllName: measure === "perplexity" ? "perplexity" : "negative log-likelihood",
    nllUnit: measure === "perplexity" ? "per token" : `${by.name} per ${unit}`,
    miUnit: `${miUnit} per ${unit}`,
  };
  shown.isPoint = (i) => shown.nll[i] !== null && shown.mi[i] !== null;
  shown.nllDecimals = decimals(shown.nllError);
  shown.miDecimals = decimals(shown.miError);
  return shown;
}

// As many decimals as show the smallest error of a column, between 3 and 5.
function decimals(errors) {
  let least = Infinity;
  for (const error of errors) if (error > 0 && error < least) least = error;
  if (!Number.isFinite(least)) return 3;
  return Math.min(Math.max(1 - Math.floor(Math.log10(least)), 3), 5);
}

function measurement(value, error, places) {
  const text = value.toFixed(places);
  if (error === null) return `${text} ± unknown`;
  return error > 0 ? `${text} ± ${error.toFixed(places)}` : text;
}

function number(value, digits = 4) {
  if (value === null) return "";
  return typeof value === "number" ? String(Number(value.toPrecision(digits))) : String(value);
}

function seconds(value) {
  if (value === null) return "";
  if (value < 120) return `${number(value, 3)} s`;
  return value < 7200 ? `${number(value / 60, 3)} min` : `${number(value / 3600, 3)} h`;
}

function counted(n, one, many) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : (many ?? `${one}s`)}`;
}

// The exact YAML of a trial, put together from what it shares with others and its own lines.
function trialYaml(i) {
  const packed = DATA.yaml;
  if (packed.which[i] < 0) return null;
  const [lines] = packed.templates[packed.which[i]];
  return lines.map((line) => (typeof line === "string" ? line : line[packed.members[i]])).join("\n");
}

function rerunCommand(i) {
  return DATA.runs.find(({ name }) => name === TRIALS.run[i]).rerun.replace("TRIAL_ID", () => TRIALS.id[i]);
}

function csv(shown, indices) {
  const nll = shown.measure === "perplexity" ? "perplexity" : `nll_${shown.nllUnit.replaceAll(" ", "_")}`;
  const mi = `mi_${shown.miUnit.replaceAll(" ", "_")}`;
  const columns = {
    run: (i) => TRIALS.run[i],
    arm: (i) => DATA.arms[TRIALS.arm[i]].label,
    trial_id: (i) => TRIALS.id[i],
    seed: (i) => TRIALS.seed[i],
    on_frontier: (i) => shown.frontier[i],
    state: shown.state,
    [nll]: (i) => shown.nll[i],
    [`${nll}_error`]: (i) => shown.nllError[i],
    [mi]: (i) => shown.mi[i],
    [`${mi}_error`]: (i) => shown.miError[i],
    exact: (i) => TRIALS.exact[i],
    ess: (i) => TRIALS.ess[i],
    train_seconds: (i) => TRIALS.train_seconds[i],
    eval_seconds: (i) => TRIALS.eval_seconds[i],
  };
  for (const knob of DATA.knobs) columns[knob.name] = (i) => knob.values[i];
  const cell = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = indices.map((i) => Object.values(columns).map((of) => cell(of(i))).join(","));
  return [Object.keys(columns).map(cell).join(","), ...lines, ""].join("\r\n");
}

// Elements with text in them; user text never becomes markup.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const SHAPES = {
  circle: '<circle cx="7" cy="7" r="4.5"/>',
  square: '<rect x="3" y="3" width="8" height="8"/>',
  "triangle-up": '<path d="M7 2 12 11H2z"/>',
  diamond: '<path d="M7 1.5 12.5 7 7 12.5 1.5 7z"/>',
  "triangle-down": '<path d="M7 12 2 3h10z"/>',
  cross: '<path d="M5 2h4v3h3v4H9v3H5V9H2V5h3z"/>',
  x: '<path d="M3 1 7 5l4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z"/>',
};

// The mark of an arm: constant markup of ours, coloured by the theme.
function swatch(arm) {
  const made = element("span", { class: "swatch", "aria-hidden": "true" });
  made.innerHTML = `<svg viewBox="0 0 14 14" width="14" height="14">${SHAPES[arm.symbol]}</svg>`;
  made.style.setProperty("--light", arm.light);
  made.style.setProperty("--dark", arm.dark);
  return made;
}

function speak(text) {
  document.getElementById("spoken").textContent = text;
}

function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function copy(text, button) {
  const was = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "Copied";
  speak("Copied");
  setTimeout(() => (button.textContent = was), 1500);
}
