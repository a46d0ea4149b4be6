// A plain table whose rows can be picked. All text is set as text, never as markup.
export default function ({ data, parentElement, setTriggerValue }) {
  const table = document.createElement("table");
  table.setAttribute("aria-label", data.label);

  const head = table.createTHead().insertRow();
  data.columns.forEach((column) => {
    const cell = document.createElement(column.label ? "th" : "td"); // an empty header is noise to screen readers
    if (column.label) cell.scope = "col";
    cell.append(...header(column));
    cell.className = look(column);
    if (column.sort) cell.setAttribute("aria-sort", data.sorted[column.sort] || "none");
    head.append(cell);
  });
  table.tHead.hidden = !data.headed;

  const body = table.createTBody();
  data.rows.forEach((row) => {
    const line = body.insertRow();
    line.className = row.look || "";
    row.cells.forEach((value, i) => {
      const cell = line.insertCell();
      cell.className = look(data.columns[i]);
      cell.append(...content(value, row, i));
      if (value.heat !== undefined) {
        cell.style.background = `color-mix(in srgb, var(--st-primary-color) ${Math.round(Math.min(1, value.heat) * 60)}%, transparent)`;
      }
    });
    if (row.id === null) return;
    line.classList.add("pickable");
    line.addEventListener("click", () => {
      if (!window.getSelection().toString()) setTriggerValue("picked", row.id);
    });
  });
  parentElement.querySelector(".place").replaceChildren(table);
  parentElement.host.dataset.drawn = ""; // style.css no longer needs to keep space for it

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
      const bar = element("span", "bar", "");
      bar.style.width = `${Math.max(0, Math.min(1, cell.share)) * 100}%`;
      track.append(bar);
      parts.push(track);
    }
    return parts;
  }

  function element(name, className, text) {
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
