// One choice of the visitor is one step of the browser's history. This runs before Streamlit's script.
{
  const push = history.pushState;
  let leaving = false; // whether the server is opening another page (navigator.py)

  history.pushState = function (state, unused, url) {
    const from = new URL(location.href);
    const to = new URL(url ?? from, from);
    const step = leaving || passes(from, to) ? history.replaceState : push;
    // Streamlit first adds the parameters of the other page to the address of this one.
    leaving = from.pathname === to.pathname && (leaving || to.searchParams.has("passing"));
    step.call(history, state, unused, url);
  };
  for (const input of ["pointerdown", "keydown"]) addEventListener(input, () => { leaving = false; }, true);

  // Whether an address is not a step of its own, but leads to the next one.
  function passes(from, to) {
    if (from.searchParams.has("passing")) return true;
    if (from.pathname !== to.pathname) return false;
    if (!from.searchParams.has("period") && to.searchParams.has("period")) return true; // the server completes it
    if (!from.searchParams.has("q") || !to.searchParams.has("q")) return false;
    for (const { searchParams } of [from, to]) searchParams.delete("q"); // each pause in typing searches once more
    return from.search === to.search;
  }

  // The link to the open page opens it anew, as a step. Streamlit would do nothing.
  addEventListener("click", (event) => {
    const link = event.target.closest('a[data-testid="stSidebarNavLink"]');
    if (!link || link.pathname !== location.pathname || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    push.call(history, {}, "", link.pathname);
    dispatchEvent(new PopStateEvent("popstate"));
    if (innerWidth <= 768) document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
  }, true);
}
