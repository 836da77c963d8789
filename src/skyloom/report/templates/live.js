/* Asks every two seconds for the parts that changed, and puts them in their places. */
(() => {
  "use strict";
  const root = document.documentElement;
  const said = document.getElementById("said");
  let cursor = root.dataset.cursor;
  const ask = async () => {
    try {
      const answer = await fetch(`news?lang=${root.dataset.lang}&since=${cursor}`, { cache: "no-store" });
      const news = await answer.json();
      cursor = news.cursor;
      said.textContent = news.said;
      for (const [name, markup] of Object.entries(news.parts)) {
        const place = document.getElementById(name);
        place.innerHTML = markup;
        place.dispatchEvent(new CustomEvent("redrawn", { bubbles: true }));
      }
    } catch {
      said.textContent = root.dataset.lost;
    }
    setTimeout(ask, document.hidden ? 15000 : 2000);
  };
  setTimeout(ask, 2000);
})();
