/* A reading line: hovering a chart shows the values of the points nearest to the pointer. Without it every point still
   has its own hover text. */
(() => {
  "use strict";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const bind = (chart) => {
    const dots = [...chart.querySelectorAll("circle.dot")].map((dot) => {
      const title = dot.querySelector("title");
      title.remove(); // otherwise the browser would show it a second time
      return { dot, x: Number(dot.getAttribute("cx")), text: title.textContent };
    });
    if (!dots.length) return;
    const lit = [];
    const clear = () => {
      for (const dot of lit.splice(0)) dot.classList.remove("lit");
      tip.hidden = true;
    };
    const show = (event) => {
      const box = chart.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
      const nearest = dots.reduce((a, b) => (Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a)).x;
      clear();
      const near = dots.filter((d) => Math.abs(d.x - nearest) < 0.51);
      for (const { dot } of near) {
        dot.classList.add("lit");
        lit.push(dot);
      }
      tip.textContent = [...new Set(near.map((d) => d.text))].join("\n");
      tip.hidden = false;
      const width = tip.offsetWidth;
      const left = Math.min(Math.max(event.clientX - width / 2, 8), document.documentElement.clientWidth - width - 8);
      tip.style.left = `${left}px`;
      tip.style.top = `${Math.max(box.top - tip.offsetHeight - 4, 8)}px`;
    };
    chart.classList.add("live");
    chart.addEventListener("pointermove", show);
    chart.addEventListener("pointerdown", show);
    chart.addEventListener("pointerleave", clear);
  };

  document.querySelectorAll("svg.chart").forEach(bind);
  document.addEventListener("redrawn", (event) => {
    tip.hidden = true;
    event.target.querySelectorAll("svg.chart").forEach(bind);
  });
})();
