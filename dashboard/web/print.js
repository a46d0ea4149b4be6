// The button of an order prints it (print.css).
addEventListener("click", (event) => {
  if (event.target.closest?.(".print-page")) print();
});
