// The page's own behaviour: draws a figure's charts when they are opened, in the colours of the page's mode.
"use strict";
window.theorylabCharts = {};
(() => {
  const base = new URL(".", document.currentScript.src);
  const loaded = new Map();
  const load = (url) => {
    if (!loaded.has(url)) {
      loaded.set(url, new Promise((done, failed) => {
        const script = document.createElement("script");
        Object.assign(script, { src: url, onload: done, onerror: () => failed(new Error(`cannot load ${url}`)) });
        document.head.append(script);
      }));
    }
    return loaded.get(url);
  };
  const dark = () => document.body.dataset.mdColorScheme === "slate";
  const theme = () => {
    const ink = dark() ? "#e8e8e8" : "#1a1a1a", line = dark() ? "#4a525b" : "#c8c8c8";
    return { ink, config: {
      background: null, view: { stroke: line }, font: getComputedStyle(document.body).fontFamily, title: { color: ink, anchor: "start", fontSize: 13 },
      axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, gridOpacity: 0.6,
              labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    } };
  };
  const inked = (spec, ink) => JSON.parse(JSON.stringify(spec).replaceAll('"ink"', JSON.stringify(ink)));

  const rows = (packed) => {
    const count = Math.max(...Object.values(packed).map((v) => (Array.isArray(v) ? v.length : 1)));
    const at = (v, i) => (Array.isArray(v) ? v[i] : v);
    return Array.from({ length: count }, (_, index) =>
      Object.fromEntries([["index", index], ...Object.entries(packed).map(([k, v]) => [k, at(v, index)])]));
  };

  // Names of rows may take a part of the chart, not all of a phone.
  const fitted = (axis) => (axis.type === "nominal"
    ? { ...axis, axis: { ...axis.axis, labelLimit: Math.min(axis.axis?.labelLimit ?? 320, innerWidth * 0.36) } } : axis);

  // The short form that `charts.py` writes, completed to a Vega-Lite specification.
  const complete = ({ title, x, y, tip, columns, layer, step }) => {
    const tooltip = ["series", "x", "y"].map((field) => (field === "series" || (field === "y" && y.type === "nominal")
      ? { field, type: "nominal", title: tip[field] ?? field } : { field, type: "quantitative", title: tip[field], format: ".8~g" }));
    const told = (mark, data) => (["point", "rect"].includes(mark.type)
      ? { tooltip: tooltip.filter(({ field }) => field in columns[data]) } : {});
    return {
      title, autosize: { type: "fit-x", contains: "padding" }, width: "container",
      height: step ? { step } : 240, description: `Chart. ${title.join(" ")} The numbers are in the table or the CSV file below.`,
      datasets: Object.fromEntries(Object.entries(columns).map(([name, packed]) => [name, rows(packed)])),
      layer: layer.map(({ mark, data, encoding }) => ({
        mark: { ...mark, clip: true, aria: false }, data: { name: data },
        encoding: Object.fromEntries(Object.entries({ x: { field: "x", ...x }, y: { field: "y", ...fitted(y) }, ...encoding, ...told(mark, data) })
          .filter(([, channel]) => channel !== null)),
      })),
    };
  };

  const draw = async (box) => {
    const space = box.querySelector("div");
    await Promise.all([load(new URL("vega.js", base).href), load(new URL(box.dataset.src, location).href)]);
    const { ink, config } = theme();
    space.replaceChildren();
    space.className = "tl-panels";
    const places = [];  // all of them first: a chart takes the width that its place has when it is drawn
    for (const panel of window.theorylabCharts[box.dataset.name]) {
      const place = document.createElement("div"), key = document.createElement("p"), chart = document.createElement("div");
      place.className = "tl-panel";
      key.className = "tl-key";
      for (const { name, colour } of panel.series) {
        const item = document.createElement("span"), dot = document.createElement("i");
        dot.style.background = colour === "ink" ? ink : colour;
        item.append(dot, name);
        key.append(item);
      }
      place.append(chart, key);
      space.append(place);
      places.push([panel, chart]);
    }
    for (const [panel, chart] of places) {
      const spec = inked(complete(panel), ink);
      const marks = spec.layer.reduce((n, { data }) => n + spec.datasets[data.name].length, 0);
      await window.vegaEmbed(chart, { ...spec, config }, { mode: "vega-lite", actions: false, renderer: marks > 1500 ? "canvas" : "svg",
                                                           tooltip: { theme: dark() ? "dark" : "light" } });
    }
    box.dataset.drawn = dark() ? "dark" : "light";
  };
  const refresh = (box) => {
    if (box.open && box.dataset.drawn !== (dark() ? "dark" : "light")) draw(box).catch((e) => console.error(e));
  };
  const openTarget = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  // The theme lets wide tables of the documentation scroll: with the keyboard as well.
  const reachable = () => {
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) {
      Object.entries({ tabindex: "0", role: "region", "aria-label": "Table" }).forEach(([k, v]) => box.setAttribute(k, v));
    }
  };
  // A table that a phone shows as cards is a table still for who hears the page.
  const roles = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell" };
  const named = () => {
    for (const [tag, role] of Object.entries(roles)) {
      const found = tag === "table" ? ".tl-scroll table" : `.tl-scroll table ${tag}`;
      document.querySelectorAll(found).forEach((e) => e.setAttribute("role", role));
    }
  };
  const start = () => {
    named();
    reachable();
    new MutationObserver(reachable).observe(document.body, { childList: true, subtree: true });
    const boxes = [...document.querySelectorAll("details.tl-charts")];
    for (const box of boxes) {
      box.addEventListener("toggle", () => refresh(box));
      refresh(box);
    }
    new MutationObserver(() => boxes.forEach(refresh))
      .observe(document.body, { attributes: true, attributeFilter: ["data-md-color-scheme"] });
    addEventListener("hashchange", openTarget);
    openTarget();
  };
  document.readyState === "loading" ? addEventListener("DOMContentLoaded", start) : start();
})();
