"use strict";
// All texts of the user's data reach the page through textContent: they are never markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const plot = element("plot"), tip = element("tip"), panel = element("panel");
  const decode = (text, Kind) =>
    new Kind(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const n = data.n, k = data.n_neighbors;
  const x = decode(data.x, Float32Array), y = decode(data.y, Float32Array);
  const codes = decode(data.codes, Int32Array);
  const neighbors = decode(data.neighbors, Int32Array), distances = decode(data.distances, Float32Array);
  const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star"];
  const SIGNS = ["●", "■", "◆", "▲", "✖", "★"]; // of these, in the legend
  const color = (code) => data.palette[code % data.palette.length];
  const symbol = (code) => Math.floor(code / data.palette.length) % SYMBOLS.length;

  // What a sample looks like

  const sheets = data.sheets.map((source) => { const image = new Image(); image.src = source; return image; });

  function thumbnail(i) {
    const side = data.side, place = i % data.per_sheet, columns = data.columns;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const image = sheets[Math.floor(i / data.per_sheet)];
    const draw = () => canvas.getContext("2d").drawImage(
      image, (place % columns) * side, Math.floor(place / columns) * side, side, side, 0, 0, side, side);
    if (image.complete) draw(); else image.addEventListener("load", draw, { once: true });
    return canvas;
  }

  function line(tag, text) {
    const node = document.createElement(tag);
    node.textContent = text;
    return node;
  }

  function sample(i, { tag = "div", note = "", large = false } = {}) {
    const box = document.createElement(tag), words = document.createElement("div");
    box.className = large ? "sample large" : "sample";
    if (sheets.length) box.append(thumbnail(i));
    if (data.labels.length) words.append(line("strong", data.labels[codes[i]]));
    if (note) words.append(line("small", note));
    if (data.texts) words.append(line("div", data.texts[i]));
    for (const [name, values] of Object.entries(data.metadata)) words.append(line("small", `${name}: ${values[i]}`));
    words.append(line("small", `id ${data.ids[i]}`));
    box.append(words);
    return box;
  }

  // The plot: all points, one trace a symbol (symbols that change within a trace are drawn many times slower),
  // then the neighbours that are shown and whose they are

  const probe = document.createElement("canvas");
  const type = probe.getContext("webgl") ? "scattergl" : "scatter"; // without WebGL it is slower, not empty
  const every = Array.from({ length: n }, (_, i) => i);
  const groups = SYMBOLS.map(() => []);
  const groupOf = new Uint8Array(n), placeOf = new Uint32Array(n); // which trace a sample is in, and where
  every.forEach((i) => { placeOf[i] = groups[groupOf[i] = symbol(codes[i])].push(i) - 1; });
  const used = groups.flatMap((rows, group) => (rows.length ? [group] : []));
  const size = n > 20000 ? 4 : 6;
  const ring = { size: 13, color: "rgba(0,0,0,0)", line: { width: 2, color: "#000" }, symbol: "circle" };
  const quiet = { type, mode: "markers", hoverinfo: "skip", x: [], y: [] };
  const traces = [
    ...used.map((group) => ({
      type, mode: "markers", customdata: groups[group], hoverinfo: "none", selectedpoints: null,
      x: groups[group].map((i) => x[i]), y: groups[group].map((i) => y[i]),
      marker: { size, opacity: 0.75, symbol: SYMBOLS[group], color: groups[group].map((i) => color(codes[i])) },
      selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 0.12 } },
    })),
    { ...quiet, marker: ring },
    { ...quiet, marker: { ...ring, size: 18, line: { width: 3, color: "#d55e00" } } },
  ];
  const axis = (title) => ({ title: { text: title }, zeroline: false, showticklabels: data.units, ticks: "" });
  const narrow = matchMedia("(max-width: 700px)").matches;
  const layout = {
    margin: narrow ? { l: 46, r: 6, t: 6, b: 40 } : { l: 48, r: 12, t: 12, b: 44 }, showlegend: false,
    dragmode: "pan", hovermode: "closest", hoverdistance: narrow ? 24 : 12, // a finger is wider than a pointer
    xaxis: axis(data.axes[0]), yaxis: axis(data.axes[1]),
  };
  const config = { responsive: true, scrollZoom: true, displayModeBar: false,
    plotGlPixelRatio: Math.min(window.devicePixelRatio || 1, 2) }; // of plotly 2, whatever the screen: 4 times the work

  // What is selected: the samples of the classes chosen, or those a search finds, or those drawn around

  const chosen = new Set();
  let selection = [];

  function select(rows, words) {
    selection = rows || [];
    const places = SYMBOLS.map(() => (rows ? [] : null));
    selection.forEach((i) => places[groupOf[i]].push(placeOf[i]));
    Plotly.restyle(plot, { selectedpoints: used.map((group) => places[group]) }, used.map((_, trace) => trace));
    element("found").textContent = words;
    element("export").disabled = !selection.length;
    element("clear").disabled = !rows;
  }

  function count(rows) {
    const samples = `${rows.length} ${rows.length === 1 ? "sample" : "samples"}`;
    if (!data.labels.length) return samples;
    const classes = new Set(rows.map((i) => codes[i])).size;
    return `${samples} in ${classes} ${classes === 1 ? "class" : "classes"}`;
  }

  function forget(except) {
    if (except !== "classes") {
      chosen.clear();
      document.querySelectorAll("#legend [aria-pressed]").forEach((button) => button.setAttribute("aria-pressed", "false"));
    }
    if (except !== "words") element("search").value = "";
    if (except !== "line" && plot.layout.selections && plot.layout.selections.length) Plotly.relayout(plot, { selections: [] });
  }

  let haystack = null; // all that is said of each sample, made by the first search

  function saidOf(i) {
    const said = Object.values(data.metadata).map((values) => values[i]);
    if (data.own_ids) said.push(data.ids[i]);
    if (data.texts) said.push(data.texts[i]);
    if (data.labels.length) said.push(data.labels[codes[i]]);
    return said.join("\n").toLowerCase();
  }

  function search(words) {
    const wanted = words.trim().toLowerCase();
    forget("words");
    if (!wanted) return select(null, "");
    haystack = haystack || every.map(saidOf);
    const rows = every.filter((i) => haystack[i].includes(wanted));
    select(rows, count(rows));
  }

  function toggle(code, button) {
    forget("classes");
    if (!chosen.delete(code)) chosen.add(code);
    button.setAttribute("aria-pressed", String(chosen.has(code)));
    const rows = every.filter((i) => chosen.has(codes[i]));
    select(chosen.size ? rows : null, chosen.size ? count(rows) : "");
  }

  function draw(on) {
    element("draw").setAttribute("aria-pressed", String(on));
    Plotly.relayout(plot, { dragmode: on ? "lasso" : "pan" });
  }

  // The view

  const whole = () => Plotly.relayout(plot, { "xaxis.autorange": true, "yaxis.autorange": true });

  function zoom(factor) {
    const stretched = ([low, high]) => [(low + high) / 2 - factor * (high - low) / 2, (low + high) / 2 + factor * (high - low) / 2];
    const { xaxis: right, yaxis: up } = plot._fullLayout;
    Plotly.relayout(plot, { "xaxis.range": stretched(right.range), "yaxis.range": stretched(up.range) });
  }

  function ringed(rows, trace) {
    Plotly.restyle(plot, { x: [rows.map((i) => x[i])], y: [rows.map((i) => y[i])] }, [trace]);
  }

  function showNeighbors(i) {
    const rows = Array.from(neighbors.subarray(i * k, i * k + k));
    tip.hidden = true;
    panel.replaceChildren(line("h2", "Sample"), sample(i, { large: true }), line("h2", "Nearest in the embedding space"));
    rows.forEach((row, place) => {
      const box = sample(row, { tag: "button", note: `distance ${distances[i * k + place].toPrecision(3)}` });
      if (data.labels.length) box.classList.add(codes[row] === codes[i] ? "same" : "other");
      box.addEventListener("click", () => showNeighbors(row));
      panel.append(box);
    });
    panel.parentElement.scrollTop = 0;
    const { xaxis: right, yaxis: up } = plot._fullLayout;
    const outside = (value, [low, high]) => value < low || value > high;
    if (outside(x[i], right.range) || outside(y[i], up.range)) whole();
    ringed(rows, used.length);
    ringed([i], used.length + 1);
  }

  function showTip(i, event) {
    tip.replaceChildren(sample(i));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4))}px`;
  }

  function exportIds() {
    const text = JSON.stringify(selection.map((i) => data.ids[i]));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "ids.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function fillLegend() {
    if (data.advice) element("advice").append(line("p", data.advice));
    if (data.labels.length) element("legend").append(line("h2", "Classes: click to select, again to undo"));
    const counts = new Array(data.labels.length).fill(0);
    codes.forEach((code) => { counts[code] += 1; });
    data.labels.forEach((label, code) => {
      const option = document.createElement("option");
      option.value = label;
      element("labels").append(option);
      if (code >= data.most_in_legend) return;
      const button = document.createElement("button"), swatch = line("span", SIGNS[symbol(code)]);
      swatch.className = "swatch";
      swatch.style.color = color(code);
      button.append(swatch, line("span", `${label} (${counts[code]})`));
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => toggle(code, button));
      element("legend").append(button);
    });
    const hidden = data.labels.length - data.most_in_legend;
    if (hidden > 0) element("legend").append(line("p", `and ${hidden} more classes: search them`));
  }

  fillLegend();
  const sampled = (points) => points.filter((point) => point.curveNumber < used.length).map((point) => point.customdata);
  Plotly.newPlot(plot, traces, layout, config).then(() => {
    plot.on("plotly_hover", (event) => sampled(event.points).slice(0, 1).forEach((i) => showTip(i, event.event)));
    plot.on("plotly_unhover", () => { tip.hidden = true; });
    plot.on("plotly_click", (event) => sampled(event.points).slice(0, 1).forEach(showNeighbors));
    plot.on("plotly_selected", (event) => {
      if (!event || !event.points || !event.lassoPoints) return;
      const rows = sampled(event.points).sort((a, b) => a - b);
      forget("line");
      select(rows, `${count(rows)} selected`);
    });
    plot.on("plotly_deselect", () => { forget(""); select(null, ""); });
    element("search").addEventListener("input", (event) => search(event.target.value));
    element("draw").addEventListener("click", () => draw(element("draw").getAttribute("aria-pressed") !== "true"));
    element("closer").addEventListener("click", () => zoom(2 / 3));
    element("farther").addEventListener("click", () => zoom(3 / 2));
    element("whole").addEventListener("click", whole);
    element("clear").addEventListener("click", () => { forget(""); select(null, ""); });
    element("export").addEventListener("click", exportIds);
    document.body.dataset.ready = type;
  });
})();
