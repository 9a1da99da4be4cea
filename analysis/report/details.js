// One trial: beside the pointer in short, and in full in the panel.

function facts(i, shown) {
  const trial = (name) => TRIALS[name][i];
  const figures = shown.isPoint(i)
    ? [
        [shown.nllShort, `${measurement(shown.nll[i], shown.nllError[i], shown.nllDecimals)} ${shown.nllUnit}`],
        [DATA.mi.short, `${measurement(shown.mi[i], shown.miError[i], shown.miDecimals)} ${shown.miUnit}`],
        ["values", trial("exact") ? "exact, by enumeration" : `estimated, K = ${number(trial("samples"))}`],
      ]
    : [["reason", trial("reason") ?? "without a finite value"]];
  const cost = [trial("train_seconds"), trial("eval_seconds")];
  const spent = ["training", "evaluation"].map((what, n) => (cost[n] === null ? null : `${seconds(cost[n])} ${what}`));
  return {
    figures,
    knobs: DATA.knobs.filter(({ values }) => values[i] !== null).map(({ short, name, values }) => [short, number(values[i]), name]),
    rest: [
      ["ESS", number(trial("ess"), 3), "effective sample size"],
      ["cost", spent.filter(Boolean).join(", ")],
      ["steps", number(trial("step"), 9)],
      ["seed", String(trial("seed"))],
      ["status", stateOf(i, shown)],
    ].filter(([, value]) => value !== ""),
  };
}

function stateOf(i, shown) {
  if (!shown.isPoint(i)) return TRIALS.status[i];
  const told = `${TRIALS.status[i]}, ${shown.frontier[i] ? "on the frontier" : "dominated"}`;
  if (shown.state(i) !== "ambiguous") return told;
  const often = shown.probability[i];
  return `${told}; ambiguous, ${often === null ? "its error is unknown" : `on it in ${Math.round(100 * often)}% of redraws`}`;
}

function pairs(entries) {
  const cells = entries.flatMap(([name, value, title]) => [
    element("dt", { title: title ?? null }, name),
    element("dd", {}, value),
  ]);
  return element("dl", {}, ...cells);
}

function heading(i, level, attributes = {}) {
  const arm = DATA.arms[TRIALS.arm[i]];
  return element(level, { class: "arm", ...attributes }, swatch(arm), arm.label);
}

function createTooltip(root) {
  return {
    show(i, shown, { clientX, clientY }) {
      const { figures: shownFigures, knobs, rest } = facts(i, shown);
      const id = element("p", { class: "id" }, TRIALS.id[i]);
      root.replaceChildren(heading(i, "p"), id, pairs([...shownFigures, ...knobs, ...rest]));
      root.hidden = false;
      const { width, height } = root.getBoundingClientRect();
      const left = clientX + 18 + width < innerWidth ? clientX + 18 : Math.max(4, clientX - 18 - width);
      const top = Math.max(4, Math.min(clientY - height / 2, innerHeight - height - 4));
      root.style.transform = `translate(${left}px, ${top}px)`;
    },
    hide() {
      root.hidden = true;
    },
  };
}

// What the panel holds before a trial is chosen: how to read the chart.
function showGuide(root, shown) {
  const lines = [
    `Filled and joined: the frontier, points that no other of their arm beats in both NLL and ${DATA.mi.short}. The line borders what they dominate.`,
    "Faint: dominated points.",
  ];
  if (DATA.units[shown.unit].bars) lines.push("Bars: one Monte Carlo standard error.");
  if (TRIALS.id.some((_, i) => shown.isPoint(i) && shown.state(i) === "ambiguous")) {
    lines.push("Hollow with a dot: ambiguous, on the frontier or not when all errors are drawn anew.");
  }
  if (TRIALS.exact.some(Boolean) && TRIALS.exact.some((exact, i) => !exact && shown.isPoint(i))) {
    lines.push("Hollow: estimates, which do not compare with exact values.");
  }
  const limits = [];
  if (shown.floor.length) limits.push("the lowest possible NLL");
  if (shown.ceiling.length) limits.push(`the ${DATA.mi.limit.replace(/,$/, "")}`);
  if (limits.length) lines.push(`Dashed: ${limits.join(" and ")}.`);
  const { bands } = DATA.units[shown.unit];
  if (bands.length) {
    const [lowest, ...others] = bands[0].surfaces.map(({ level }) => level);
    const counts = [...new Set(bands.map(({ seeds }) => seeds))].join(" or ");
    lines.push(
      `Bands: what between ${lowest} % and ${others[others.length - 1]} % of the ${counts} seeds attain, each seed's trials taken as a sweep of its own; thin and dashed: half of them.`,
    );
  }
  const shared = DATA.units[shown.unit].shared_error;
  if (shared) lines.push(`Shared by all points: ${shared} (nats per ${shown.unit}).`);
  root.replaceChildren(
    element("h2", { id: "details-title" }, "How to read this"),
    element("ul", { class: "guide" }, ...lines.map((line) => element("li", {}, line))),
    element("p", { class: "hint" }, "Choose a point, in the chart or in the table, for its exact trial and the command that runs it again."),
  );
}

function block(title, id, text, kind, buttons) {
  return element(
    "section",
    { class: "block" },
    element("div", { class: "heading" }, element("h3", { id }, title), ...buttons),
    element("pre", { class: kind, tabindex: 0, role: "region", "aria-labelledby": id }, text),
  );
}

function button(text, action) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", () => action(made));
  return made;
}

function showDetails(root, i, shown, onClose) {
  const { figures: shownFigures, knobs, rest } = facts(i, shown);
  const text = trialYaml(i);
  const command = rerunCommand(i);
  const close = element("button", { type: "button", id: "close", onclick: onClose }, "Close");
  root.replaceChildren(
    element("div", { class: "heading" }, heading(i, "h2", { id: "details-title" }), close),
    element("p", { class: "id" }, TRIALS.id[i]),
    pairs([...shownFigures, ...rest]),
    ...(knobs.length ? [element("h3", {}, "Swept"), pairs(knobs)] : []),
    block("Run it again", "command-title", command, "command", [button("Copy", (pressed) => copy(command, pressed))]),
    text === null
      ? element("p", { class: "hint" }, "Its configuration is not stored.")
      : block("Trial", "yaml-title", text, "yaml", [
          button("Copy", (pressed) => copy(text, pressed)),
          button("Download", () => download(`${TRIALS.id[i]}.yaml`, "application/yaml", `${text}\n`)),
        ]),
  );
  root.scrollTop = 0;
}
