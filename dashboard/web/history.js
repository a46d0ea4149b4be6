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

  // A link to the open page opens it anew, or with other parameters, as a step. Of one in the side bar, Streamlit would
  // do nothing. Of one on the page, the server would take an address that it has just replaced for an old one.
  addEventListener("click", (event) => {
    const link = event.target.closest('a[data-testid="stSidebarNavLink"], .stPageLink a');
    if (!link || link.pathname !== location.pathname || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    push.call(history, {}, "", link.pathname + link.search);
    dispatchEvent(new PopStateEvent("popstate"));
    if (innerWidth <= 768 && link.closest('[data-testid="stSidebar"]')) document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
  }, true);
}
