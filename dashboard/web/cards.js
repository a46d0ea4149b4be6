// Cards of figures (components/cards.py).
{
  // What is pressed before the script is there that passes it on (components/cards.js) is kept for it.
  addEventListener("click", ({ target }) => {
    const place = target.closest?.(".cards button[data-event]")?.closest(".stVerticalBlock");
    if (place && !place.onclick) place.pressedEarly = target;
  });

  // Figures that are copied are plain numbers, which a spreadsheet takes for numbers. Other text is copied as it is.
  addEventListener("copy", (event) => {
    const selection = getSelection();
    const chosen = (node) => selection.containsNode(node, true);
    const items = [...document.querySelectorAll(".cards > li")].filter((item) => chosen(item.querySelector(".value")));
    const plain = (text) => text.replace(/\s+/g, "");
    if (!items.length || !plain(items.map((item) => item.innerText).join("")).includes(plain(`${selection}`))) return;
    const lines = items.map((item) => {
      const [name, value] = [item.querySelector(".name"), item.querySelector(".value")];
      const number = value.dataset.exact || value.textContent;
      return chosen(name) ? `${name.textContent}\t${number}` : number;
    });
    event.clipboardData.setData("text/plain", lines.join("\n"));
    event.preventDefault();
  });
}
