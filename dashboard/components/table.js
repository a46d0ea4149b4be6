// What a spreadsheet would run when it is pasted: all that begins like a formula and is no plain number.
const FORMULA = /^[\s"]*(?:[=@＝＠]|[+\-＋－](?![\d.]+%?$))/;

// A plain table whose rows can be picked. All text is set as text, never as markup.
export default function ({ data, parentElement, setTriggerValue }) {
  const table = document.createElement("table");
  table.setAttribute("aria-label", data.label);
  const cells = data.rows.flatMap((row) => row.cells);
  table.classList.toggle("barred", cells.some((cell) => cell.share !== undefined));
  table.classList.toggle("heat", cells.some((cell) => cell.heat !== undefined));

  const head = table.createTHead().insertRow();
  data.columns.forEach((column, i) => {
    const cell = document.createElement(column.label ? "th" : "td"); // an empty header is noise to screen readers
    if (column.label) cell.scope = "col";
    cell.append(...header(column));
    cell.className = look(column);
    if (i === 0 && table.classList.contains("barred")) cell.style.width = "40%";
    if (column.sort) cell.setAttribute("aria-sort", data.sorted[column.sort] || "none");
    head.append(cell);
  });
  table.tHead.hidden = !data.headed;

  const body = table.createTBody();
  data.rows.forEach((row, place) => {
    const line = draw(row);
    line.hidden = data.shown !== null && place >= data.shown && row.look !== "strong";
    if (row.inner) opens(line, row.inner.map((each) => draw(each)));
  });

  const scroll = element("div", "scroll");
  scroll.append(table);
  const parts = [scroll, element("p", "hint", "Scroll sideways for more columns.")];
  const hidden = [...body.rows].filter((line) => line.hidden && !("inner" in line.dataset));
  if (hidden.length) parts.push(rest(hidden));
  if (data.exported && data.rows.length) parts.push(exports());
  parentElement.querySelector(".place").replaceChildren(...parts);
  parentElement.host.dataset.drawn = ""; // style.css no longer needs to keep space for it
  slide();
  const observer = new ResizeObserver(slide);
  observer.observe(scroll);
  table.addEventListener("copy", copied);
  return () => observer.disconnect();

  function draw(row) {
    const line = body.insertRow();
    line.className = row.look || "";
    row.cells.forEach((value, i) => {
      const cell = line.insertCell();
      cell.className = look(data.columns[i]);
      const text = value.text ?? value;
      cell.classList.toggle("short", text.length <= 14 && /\d/.test(text)); // a date or a number of something
      cell.append(...content(value, row, i));
      if (value.value !== undefined) cell.dataset.value = value.value;
      if (value.heat !== undefined) {
        cell.style.background = `color-mix(in srgb, var(--st-primary-color) ${Math.round(Math.min(1, value.heat) * 50)}%, transparent)`;
      }
    });
    if (row.id === null) return line;
    line.classList.add("pickable");
    line.addEventListener("click", () => {
      if (!window.getSelection().toString()) setTriggerValue("picked", row.id);
    });
    return line;
  }

  // A row that shows and hides the rows which it adds up.
  function opens(line, inner) {
    const button = element("button", "", line.cells[0].firstChild.textContent);
    button.type = "button";
    line.cells[0].firstChild.replaceWith(button);
    line.classList.add("opens", "pickable");
    const show = (open) => {
      button.setAttribute("aria-expanded", open);
      inner.forEach((each) => (each.hidden = !open));
    };
    inner.forEach((each) => (each.dataset.inner = ""));
    show(false);
    line.addEventListener("click", () => show(button.getAttribute("aria-expanded") === "false"));
  }

  // A button that shows the rows which the table leaves out at first.
  function rest(lines) {
    const button = element("button", "rest", `Show all ${body.rows.length.toLocaleString("en")} rows`);
    button.type = "button";
    button.addEventListener("click", () => {
      lines.forEach((line) => (line.hidden = false));
      button.remove();
    });
    return button;
  }

  // What copies the table, or saves it as a file, with the columns that are chosen.
  function exports() {
    const details = element("details", "exports");
    const loading = data.paged && data.whole === null; // the table is drawn again when its rows are there
    details.open = data.whole !== null;
    if (loading) {
      details.addEventListener("toggle", () => details.open && setTriggerValue("exported", true), { once: true });
    }
    const summary = element("summary", "", "Export");
    summary.setAttribute("aria-label", `Export ${data.label}`);
    const choices = element("fieldset", "");
    choices.append(element("legend", "", "Columns"));
    const left = (parentElement.host.columnsLeftOut ??= new Set()); // kept when the table is drawn again
    const boxes = data.columns.map((column) => {
      const label = element("label", "", column.label || data.label);
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = column.label || data.label;
      box.checked = !left.has(box.value);
      box.addEventListener("change", () => (box.checked ? left.delete(box.value) : left.add(box.value)));
      label.prepend(box);
      choices.append(label);
      return box;
    });
    const said = element("span", "said");
    said.setAttribute("role", "status");
    const ways = element("div", "ways");
    const way = (text, act) => {
      const button = element("button", "", text);
      button.type = "button";
      button.disabled = loading;
      button.addEventListener("click", async () => {
        const chosen = boxes.map((box, i) => (box.checked ? i : -1)).filter((i) => i >= 0);
        if (!chosen.length) return (said.textContent = "Choose a column.");
        said.textContent = "";
        try {
          said.textContent = (await act(chosen)) || "";
        } catch (error) {
          said.textContent = `This did not work: ${error.message}`;
        }
      });
      ways.append(button);
    };
    way("Copy", copyAll);
    for (const [text, format] of [["CSV", "csv"], ["Excel", "xlsx"], ["Parquet", "parquet"]]) {
      way(text, (chosen) => save(format, chosen));
    }
    ways.append(said);
    if (loading) said.textContent = "The rows are loading.";
    details.append(summary, choices, ways);
    return details;
  }

  async function copyAll(chosen) {
    const header = chosen.map((i) => data.columns[i].label || data.label);
    const safe = (text) => (FORMULA.test(text) ? `'${text}` : text);
    const lines = [header, ...values(chosen)].map((row) => row.map(safe).join("\t"));
    await put(lines.join("\n"));
    return lines.length === 2 ? "1 row is copied." : `${lines.length - 1} rows are copied.`;
  }

  // Over plain HTTP, browsers have no `navigator.clipboard`.
  async function put(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const give = (event) => {
      event.clipboardData.setData("text/plain", text);
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    document.addEventListener("copy", give, { once: true, capture: true });
    if (!document.execCommand("copy")) throw new Error("the browser refused it");
  }

  async function save(format, chosen) {
    const columns = chosen.map((i) => ({ label: data.columns[i].label || data.label, number: data.columns[i].number }));
    const server = window.__streamlit?.BACKEND_BASE_URL ?? location.origin;
    const body = JSON.stringify({ format, name: data.label, columns, rows: values(chosen) });
    const answer = await fetch(`${server}/export/table`, { method: "POST", body });
    if (!answer.ok) throw new Error(await answer.text());
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `${data.label.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  // All rows, also those that are not shown, with exact numbers. A row that adds up others gives way to them.
  function values(chosen) {
    const rows = (data.whole ?? data.rows).flatMap((row) => row.inner || [row]);
    return rows.map((row) =>
      chosen.map((i) => {
        const cell = row.cells[i];
        const text = typeof cell === "string" ? cell : (cell.value ?? cell.text);
        return text === "–" ? "" : text.replace(/\s+/g, " ");
      }),
    );
  }

  // A table that is wider than its place scrolls sideways, also by the keyboard.
  function slide() {
    const slides = scroll.scrollWidth > scroll.clientWidth + 1;
    scroll.classList.toggle("slides", slides);
    if (!slides) {
      ["tabindex", "role", "aria-label"].forEach((name) => scroll.removeAttribute(name));
      return;
    }
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `${data.label}, scrolls sideways`);
  }

  // What is copied has numbers that a spreadsheet takes for numbers, and a tab between cells.
  function copied(event) {
    const root = table.getRootNode();
    const selection = root.getSelection ? root.getSelection() : window.getSelection();
    const range = selection && selection.rangeCount ? selection.getRangeAt(0) : null;
    if (!range) return;
    const rows = [...table.rows].map((line) => [...line.cells].filter((cell) => chosen(cell, selection, range)));
    const lines = rows.filter((row) => row.length).map((row) => row.map(plain).join("\t"));
    if (!lines.length || (lines.length === 1 && !lines[0].includes("\t") && !whole(rows, selection))) return;
    event.clipboardData.setData("text/plain", lines.join("\n"));
    event.preventDefault();
  }

  function chosen(cell, selection, range) {
    return cell.getClientRects().length > 0 && (selection.containsNode(cell, true) || range.intersectsNode(cell));
  }

  // Whether the only cell of a selection is selected as a whole: a part of a text is copied as it is.
  function whole(rows, selection) {
    const cell = rows.find((row) => row.length)[0];
    return selection.toString().trim() === cell.innerText.trim();
  }

  function plain(cell) {
    return cell.dataset.value ?? cell.innerText.replace(/\s+/g, " ").trim();
  }

  // The label of a column; a button where the table can be sorted by it.
  function header(column) {
    if (!column.sort) return [column.label];
    const button = element("button", "", column.label);
    button.type = "button";
    button.addEventListener("click", () => setTriggerValue("sorted", column.sort));
    return [button];
  }

  function content(value, row, i) {
    const cell = typeof value === "string" ? { text: value } : value;
    const parts = [];
    if (cell.pill) {
      parts.push(element("span", `pill ${cell.pill}`, cell.text));
    } else if (i === 0 && row.id !== null) {
      const button = element("button", "", cell.text);
      button.type = "button";
      if (row.pressed !== undefined) button.setAttribute("aria-pressed", row.pressed);
      parts.push(button);
    } else if (cell.pick) {
      const button = element("button", "cell", cell.text);
      button.type = "button";
      button.addEventListener("click", (event) => {
        event.stopPropagation(); // the row has a pick of its own
        setTriggerValue("picked", cell.pick);
      });
      parts.push(button);
    } else {
      parts.push(element("span", cell.tone || "", cell.text));
    }
    if (cell.note) parts.push(element("span", "note", cell.note));
    if (cell.under) parts.push(element("span", "under", cell.under));
    (cell.links || []).forEach(([text, id]) => {
      const button = element("button", "link", text);
      button.type = "button";
      button.addEventListener("click", () => setTriggerValue("picked", id));
      parts.push(button);
    });
    if (cell.more) parts.push(element("span", "more", cell.more));
    if (cell.share !== undefined) {
      const track = element("span", "track", "");
      if (cell.share > 0) {
        const bar = element("span", "bar", "");
        bar.style.width = `${Math.min(1, cell.share) * 100}%`;
        track.append(bar);
      }
      parts.push(track);
    }
    return parts;
  }

  function element(name, className, text = "") {
    const node = document.createElement(name);
    node.className = className;
    node.textContent = text;
    node.dir = "auto";
    return node;
  }

  function look(column) {
    return [column.number ? "number" : "", column.wide ? "wide" : ""].join(" ");
  }
}
