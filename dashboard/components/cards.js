// Passes on what is pressed on the cards beside it (cards.py).
export default function ({ parentElement, setTriggerValue }) {
  const place = parentElement.host.closest(".stVerticalBlock");
  const pass = ({ target }) => {
    const { event, value } = target.closest("button[data-event]")?.dataset ?? {};
    if (event) setTriggerValue(event, JSON.parse(value));
  };
  place.onclick = pass;
  if (place.pressedEarly?.isConnected) pass({ target: place.pressedEarly }); // web/cards.js
  delete place.pressedEarly;
  return () => {
    if (place.onclick === pass) place.onclick = null; // the page may have other cards in this place
  };
}
