// Cards of figures. All text is set as text, never as markup.
export default function ({ data, parentElement, setTriggerValue }) {
  const list = element("ul");
  list.setAttribute("aria-label", data.label);
  const columns = { 1: 1, 2: 2, 3: 3, 5: 3, 6: 3 }[data.cards.length] || 4; // no card stands alone in a second row
  list.style.setProperty("--columns", columns);
  list.addEventListener("copy", copied);
  data.cards.forEach((card, place) => {
    const item = element("li");
    const label = element("div", "label");
    label.append(element("span", "name", card.label));
    if (card.formula) {
      const help = element("button", "help", "?");
      help.type = "button";
      help.setAttribute("aria-label", `How ${card.label} is computed`);
      help.setAttribute("aria-describedby", `tip-${card.id}`);
      const tip = element("span", "tip", card.formula);
      tip.id = `tip-${card.id}`;
      tip.setAttribute("role", "tooltip");
      label.append(help, tip);
    }
    const value = element(data.pickable ? "button" : "span", "value", card.value);
    value.dataset.exact = card.exact;
    if (data.pickable) {
      value.type = "button";
      value.setAttribute("aria-label", [`${card.label}: ${card.value}`, card.change, card.before].filter(Boolean).join(", "));
      value.title = "Show what this figure is made of";
      value.addEventListener("click", () => setTriggerValue("picked", card.id));
    }
    const compared = element("div", "compared");
    if (card.change) compared.append(element("span", `change ${card.tone}`, card.change));
    if (card.before) compared.append(element("span", "before", card.before));
    item.append(label, value, compared);
    card.marks.forEach((mark, i) => {
      const button = element("button", "mark", mark.text);
      button.type = "button";
      button.title = "Open these orders";
      button.addEventListener("click", () => setTriggerValue("marked", [place, i]));
      item.append(button);
    });
    if (card.line && card.line.now.length > 1) item.append(spark(card.line));
    list.append(item);
  });
  parentElement.querySelector(".place").replaceChildren(list);
  parentElement.host.dataset.drawn = "";

  // What is copied has the figures as plain numbers, which a spreadsheet takes for numbers.
  function copied(event) {
    const root = list.getRootNode();
    const selection = root.getSelection ? root.getSelection() : window.getSelection();
    const range = selection && selection.rangeCount ? selection.getRangeAt(0) : null;
    if (!range) return;
    const chosen = (node) => selection.containsNode(node, true) || range.intersectsNode(node);
    const items = [...list.children].filter((item) => chosen(item.querySelector(".value")));
    if (!items.length) return;
    const lines = items.map((item) => {
      const value = item.querySelector(".value");
      const name = item.querySelector(".name");
      const number = value.dataset.exact || value.textContent;
      return chosen(name) ? `${name.textContent}\t${number}` : number;
    });
    event.clipboardData.setData("text/plain", lines.join("\n"));
    event.preventDefault();
  }

  function spark(line) {
    const values = [...line.now, ...line.partial, ...line.then].filter((value) => value !== null);
    const high = Math.max(...values, 0);
    const low = Math.min(...values, 0);
    const svg = drawn("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" });
    const y = (value) => 29 - (28 * (value - low)) / (high - low || 1);
    svg.append(drawn("path", { class: "floor", d: `M0 ${y(0)}H100` }));
    for (const name of ["then", "now", "partial"]) svg.append(drawn("path", { class: name, d: path(line[name], y) }));
    return svg;
  }

  // A line through the values, with a gap wherever there is none.
  function path(values, y) {
    return values
      .map((value, i) => {
        if (value === null) return "";
        const x = (100 * i) / (values.length - 1 || 1);
        return `${i && values[i - 1] !== null ? "L" : "M"}${x.toFixed(2)} ${y(value).toFixed(2)}`;
      })
      .join("");
  }

  function drawn(name, attributes) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    return node;
  }

  function element(name, className = "", text = "") {
    const node = document.createElement(name);
    node.className = className;
    node.textContent = text;
    return node;
  }
}
