// Keeps what is pressed on a card before the script is there that passes it on (components/cards.js).
addEventListener("click", ({ target }) => {
  const place = target.closest?.(".cards button[data-event]")?.closest(".stVerticalBlock");
  if (place && !place.onclick) place.pressedEarly = target;
});
