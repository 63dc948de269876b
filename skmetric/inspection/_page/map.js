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

  function sample(i, note) {
    const box = document.createElement("div"), words = document.createElement("div");
    box.className = "sample";
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
  const layout = {
    margin: { l: 48, r: 12, t: 12, b: 44 }, showlegend: false, dragmode: "pan", hovermode: "closest", hoverdistance: 12,
    xaxis: axis(data.axes[0]), yaxis: axis(data.axes[1]),
  };
  const config = { responsive: true, scrollZoom: true, displaylogo: false, showSendToCloud: false,
    plotGlPixelRatio: Math.min(window.devicePixelRatio || 1, 2), // of plotly 2, whatever the screen: 4 times the work
    modeBarButtonsToRemove: ["sendDataToCloud", "sendChartToCloud"] };
  let selection = [];

  function ringed(rows, trace) {
    Plotly.restyle(plot, { x: [rows.map((i) => x[i])], y: [rows.map((i) => y[i])] }, [trace]);
  }

  function select(rows, words) {
    selection = rows || [];
    const places = SYMBOLS.map(() => (rows ? [] : null));
    selection.forEach((i) => places[groupOf[i]].push(placeOf[i]));
    Plotly.restyle(plot, { selectedpoints: used.map((group) => places[group]) }, used.map((_, trace) => trace));
    element("found").textContent = words;
    element("export").disabled = !selection.length;
  }

  function search(words) {
    const wanted = words.trim().toLowerCase();
    if (!wanted) return select(null, "");
    const hits = data.labels.map((label) => label.toLowerCase().includes(wanted));
    const rows = every.filter((i) => hits[codes[i]]);
    const classes = hits.filter(Boolean).length;
    select(rows, `${rows.length} samples in ${classes} ${classes === 1 ? "class" : "classes"}`);
  }

  function showNeighbors(i) {
    const rows = Array.from(neighbors.subarray(i * k, i * k + k));
    panel.replaceChildren(line("h2", "Sample"), sample(i), line("h2", "Nearest in the embedding space"));
    rows.forEach((row, place) => {
      const box = sample(row, `distance ${distances[i * k + place].toPrecision(3)}`);
      if (data.labels.length) box.classList.add(codes[row] === codes[i] ? "same" : "other");
      panel.append(box);
    });
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
      button.addEventListener("click", () => { select(every.filter((i) => codes[i] === code), `${counts[code]} samples in 1 class`); });
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
      if (!event || !event.points) return;
      const rows = sampled(event.points).sort((a, b) => a - b);
      select(rows, `${rows.length} samples selected`);
    });
    plot.on("plotly_deselect", () => select(null, ""));
    element("search").addEventListener("input", (event) => search(event.target.value));
    element("export").addEventListener("click", exportIds);
    document.body.dataset.ready = type;
  });
})();
