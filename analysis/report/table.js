// A table of trials: sorted by its header buttons, one page at a time, walked through by arrow keys.

// `columns` are { name, title, text(i), value(i), numeric, cell(i)? }; `value` sorts, null comes last.
function createTable(root, { label, columns, length, onFocus, onOpen }) {
  let shownColumns = columns;
  let indices = [];
  let order = { key: null, down: false };
  let first = 0;
  let current = null; // the trial whose row takes the focus
  let selected = null;

  const body = element("tbody");
  const head = element("thead");
  const table = element("table", { role: "grid", "aria-label": label }, head, body);
  const where = element("span", { role: "status" });
  const before = element("button", { type: "button", onclick: () => turn(-1) }, "Previous rows");
  const after = element("button", { type: "button", onclick: () => turn(1) }, "Next rows");
  const pager = element("div", { class: "pager" }, before, where, after);
  const scroller = element("div", { class: "scroller" }, table);
  root.append(scroller, pager);

  function sort() {
    const column = shownColumns.find(({ name }) => name === order.key);
    if (!column) return;
    const sign = order.down ? -1 : 1;
    const keyed = indices.map((i) => [column.value(i), i]);
    const text = new Intl.Collator("en", { numeric: true });
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j;
      const less = typeof a === "number" && typeof b === "number" ? a - b : text.compare(String(a), String(b));
      return sign * less || i - j;
    });
    indices = keyed.map(([, i]) => i);
  }

  function drawHead() {
    const focused = head.contains(document.activeElement) ? document.activeElement.dataset.sort : null;
    const cells = shownColumns.map(({ name, title, numeric }) => {
      const state = order.key !== name ? "none" : order.down ? "descending" : "ascending";
      const button = element(
        "button",
        { type: "button", "data-sort": name, onclick: () => sortBy(name) },
        title,
        element("span", { class: "arrow", "aria-hidden": "true" }, { none: "", ascending: "▲", descending: "▼" }[state]),
      );
      return element("th", { scope: "col", "aria-sort": state, class: numeric ? "numeric" : null }, button);
    });
    head.replaceChildren(element("tr", {}, ...cells));
    if (focused) [...head.querySelectorAll("button")].find((b) => b.dataset.sort === focused)?.focus();
  }

  function drawBody() {
    const page = indices.slice(first, first + length);
    if (!page.includes(current)) current = page[0] ?? null;
    const rows = page.map((i, offset) =>
      element(
        "tr",
        {
          "data-trial": i,
          "aria-rowindex": first + offset + 2,
          "aria-selected": String(i === selected),
          tabindex: i === current ? 0 : -1,
        },
        ...shownColumns.map(({ text, cell, numeric }) =>
          element("td", { class: numeric ? "numeric" : null }, cell ? cell(i) : text(i)),
        ),
      ),
    );
    body.replaceChildren(...rows);
    table.setAttribute("aria-rowcount", indices.length + 1);
    const last = Math.min(first + length, indices.length);
    where.textContent = `${(first + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${counted(indices.length, "row")}`;
    pager.hidden = indices.length <= length;
    before.disabled = first === 0;
    after.disabled = last === indices.length;
  }

  function sortBy(name) {
    order = { key: name, down: order.key === name && !order.down };
    first = 0;
    current = null;
    sort();
    drawHead();
    drawBody();
  }

  function turn(pages) {
    first = Math.max(0, Math.min(first + pages * length, length * Math.floor((indices.length - 1) / length)));
    current = null;
    drawBody();
  }

  function go(place) {
    const at = Math.max(0, Math.min(place, indices.length - 1));
    const page = length * Math.floor(at / length);
    current = indices[at];
    if (page !== first) {
      first = page;
      drawBody();
    }
    const row = body.querySelector(`[data-trial="${current}"]`);
    for (const other of body.rows) other.tabIndex = other === row ? 0 : -1;
    row.focus();
  }

  body.addEventListener("focusin", ({ target }) => {
    const row = target.closest("tr");
    current = Number(row.dataset.trial);
    onFocus?.(current);
  });
  body.addEventListener("click", ({ target }) => {
    const row = target.closest("tr");
    if (!row || !getSelection().isCollapsed) return; // somebody marks text to copy it
    go(indices.indexOf(Number(row.dataset.trial)));
    onOpen(current);
  });
  body.addEventListener("keydown", (event) => {
    const at = indices.indexOf(current);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + length, PageUp: at - length };
    if (event.key === "Enter" || event.key === " ") onOpen(current);
    else if (event.key === "ArrowRight") scroller.scrollBy({ left: 60 });
    else if (event.key === "ArrowLeft") scroller.scrollBy({ left: -60 });
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(indices.length - 1);
    else if (event.key in moves) go(moves[event.key]);
    else return;
    event.preventDefault();
  });

  return {
    update(newIndices, newColumns = shownColumns) {
      shownColumns = newColumns;
      indices = newIndices.slice();
      first = 0;
      sort();
      drawHead();
      drawBody();
    },
    select(trial) {
      selected = trial;
      const at = indices.indexOf(trial);
      if (at >= 0) {
        current = trial;
        first = length * Math.floor(at / length);
      }
      const focused = body.contains(document.activeElement);
      drawBody();
      if (focused) body.querySelector(`[data-trial="${current}"]`)?.focus();
    },
    sortBy,
  };
}
