// Passes on what is pressed on the cards beside it (cards.py), and copies their figures as plain numbers.
export default function ({ parentElement, setTriggerValue }) {
  const place = parentElement.host.closest(".stVerticalBlock");
  const pass = ({ target }) => {
    const { event, value } = target.closest("button[data-event]")?.dataset ?? {};
    if (event) setTriggerValue(event, JSON.parse(value));
  };
  place.onclick = pass;
  place.oncopy = (event) => {
    const selection = getSelection();
    const chosen = (node) => selection.containsNode(node, true);
    const lines = [...place.querySelectorAll(".cards > li")].flatMap((item) => {
      const [name, value] = [item.querySelector(".name"), item.querySelector(".value")];
      if (!chosen(value)) return [];
      const number = value.dataset.exact || value.textContent; // which a spreadsheet takes for a number
      return chosen(name) ? `${name.textContent}\t${number}` : number;
    });
    if (!lines.length) return;
    event.clipboardData.setData("text/plain", lines.join("\n"));
    event.preventDefault();
  };
  if (place.pressedEarly) pass({ target: place.pressedEarly }); // web/early_presses.js
  delete place.pressedEarly;
  return () => {
    if (place.onclick === pass) place.onclick = place.oncopy = null; // the page may have other cards in this place
  };
}
