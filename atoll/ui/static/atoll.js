// What htmx does not do: seconds that tick while a run goes on, and trying again when the hub does not answer.
"use strict";
(() => {
  const pad = (n) => String(n).padStart(2, "0");
  const clock = (s) => (s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`);
  const began = new Map();
  setInterval(() => {
    for (const place of document.querySelectorAll("[data-seconds]")) {
      const key = place.dataset.seconds;
      if (!began.has(key)) began.set(key, performance.now());
      place.textContent = clock(Math.floor(Number(key) + (performance.now() - began.get(key)) / 1000));
    }
  }, 1000);

  let pause = 1000;
  const again = (event) => {
    const line = event.detail?.ctx?.sourceElement;
    if (!line?.matches("[data-live]")) return;
    document.getElementById("away")?.removeAttribute("hidden");
    setTimeout(() => line.isConnected && line.dispatchEvent(new Event("again")), pause);
    pause = Math.min(pause * 2, 30000);
  };
  document.addEventListener("htmx:error", again);
  document.addEventListener("htmx:response:error", again);
  document.addEventListener("htmx:after:swap", () => {
    pause = 1000;
    document.getElementById("away")?.setAttribute("hidden", "");
  });
})();
