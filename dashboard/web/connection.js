// Says what to check where the page gets no live connection. Without it, Streamlit's page stays empty.
{
  const connected = () => document.querySelector('[data-test-connection-state="CONNECTED"]');
  setTimeout(() => {
    if (connected()) return;
    const notice = document.createElement("p");
    notice.setAttribute("role", "alert");
    notice.id = "no-connection";
    notice.textContent = "The page has no live connection to the dashboard yet. If this stays, let the proxy pass " +
      `websockets and the header Host, and set DASHBOARD_URL to ${location.origin}.`;
    document.body.append(notice);
    const timer = setInterval(() => {
      if (!connected()) return;
      notice.remove();
      clearInterval(timer);
    }, 500);
  }, 10000);
}
