/* Makes the page's values easy to reach. A reading line: hovering a chart, or the arrow keys on it, show the values of the nearest
   points. Values under a figure, the browser of drops, saving and printing. Without it every point still has its hover text, all drops
   are listed, and the page's zip holds all data. */
(() => {
  "use strict";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);

  const bind = (chart) => {
    const dots = [...chart.querySelectorAll("circle.dot, circle.hollow")].map((dot) => {
      const title = dot.querySelector("title");
      title?.remove(); // otherwise the browser would show it a second time
      return { dot, x: Number(dot.getAttribute("cx")), y: Number(dot.getAttribute("cy")), text: title?.textContent };
    }).filter((d) => d.text);
    if (!dots.length) return;
    const rows = chart.classList.contains("forest");
    const along = rows ? (d) => d.y : (d) => d.x;
    const places = [...new Set(dots.map(along))].sort((a, b) => a - b);
    let at = -1;
    const lit = [];
    const clear = () => {
      for (const dot of lit.splice(0)) dot.classList.remove("lit");
      tip.hidden = true;
    };
    const show = (place, clientX) => {
      const box = chart.getBoundingClientRect();
      clear();
      const near = dots.filter((d) => Math.abs(along(d) - place) < 0.51);
      for (const { dot } of near) {
        dot.classList.add("lit");
        lit.push(dot);
      }
      at = places.indexOf(place);
      tip.textContent = [...new Set(near.map((d) => d.text))].join("\n");
      tip.hidden = false;
      const width = tip.offsetWidth;
      const x = clientX ?? near[0].dot.getBoundingClientRect().x;
      const left = Math.min(Math.max(x - width / 2, 8), document.documentElement.clientWidth - width - 8);
      tip.style.left = `${left}px`;
      tip.style.top = `${Math.max(box.top - tip.offsetHeight - 4, 8)}px`;
    };
    const point = (event) => {
      const box = chart.getBoundingClientRect();
      const scale = chart.viewBox.baseVal.width / box.width;
      const here = rows ? (event.clientY - box.top) * scale : (event.clientX - box.left) * scale;
      show(places.reduce((a, b) => (Math.abs(b - here) < Math.abs(a - here) ? b : a)), event.clientX);
    };
    chart.classList.add("live");
    chart.setAttribute("tabindex", "0");
    chart.addEventListener("pointermove", point);
    chart.addEventListener("pointerdown", point);
    chart.addEventListener("pointerleave", clear);
    chart.addEventListener("blur", clear);
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const end = { Home: 0, End: places.length - 1 }[event.key];
      if (event.key === "Escape") clear();
      if (step === undefined && end === undefined) return;
      event.preventDefault();
      show(places[Math.min(Math.max(end ?? at + step, 0), places.length - 1)]);
    });
  };

  const figure = (anchor) => JSON.parse(document.getElementById(`data-${anchor}`).textContent);
  const csv = ({ columns, rows }) => {
    const cell = (value) => (/[",\r\n]/.test(value ?? "") ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
    return [columns, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
  };
  const save = (name, kind, text) => {
    const link = document.createElement("a");
    link.download = name;
    link.href = `data:${kind};charset=utf-8,${encodeURIComponent(text)}`;
    link.click();
  };
  const fill = (place) => {
    if (!place.hidden) return;
    const { columns, rows } = figure(place.dataset.values);
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const name of columns) {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = name;
      head.append(th);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of row) line.insertCell().textContent = value ?? "–";
    }
    place.append(table);
    place.hidden = false;
  };

  const browse = (form) => {
    const drops = [...document.getElementById(form.dataset.browser).children];
    const choices = [...form.querySelectorAll("select")];
    const narrow = () => {
      for (const drop of drops) drop.hidden = choices.some((c) => c.value && drop.dataset[c.dataset.by] !== c.value);
      form.querySelector(".count").textContent = `${drops.filter((drop) => !drop.hidden).length} / ${drops.length}`;
    };
    form.hidden = false;
    form.addEventListener("change", narrow);
    narrow();
  };

  const bindAll = (place) => place.querySelectorAll("svg.chart, svg.forest").forEach(bind);
  bindAll(document);
  document.addEventListener("redrawn", (event) => {
    tip.hidden = true;
    bindAll(event.target);
  });
  document.querySelectorAll("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  });
  document.querySelectorAll("[data-save]").forEach((button) => {
    const { save: kind, figure: anchor } = button.dataset;
    button.hidden = false;
    button.addEventListener("click", () => {
      const data = figure(anchor);
      save(`${anchor}.${kind}`, kind === "csv" ? "text/csv" : "application/json", kind === "csv" ? csv(data) : JSON.stringify(data, null, 1));
    });
  });
  document.querySelectorAll("details.behind").forEach((part) => {
    part.addEventListener("toggle", () => part.open && part.querySelectorAll("[data-values]").forEach(fill));
  });
  document.querySelectorAll("[data-browser]").forEach(browse);
})();
