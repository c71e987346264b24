"use strict";
// State, events, drawing. Everything that is shown follows from `app`.

class App {
  constructor(raw) {
    this.sides = raw.sides.map(readSide);
    this.pairs = readPairs(raw.pairs, this.sides);
    this.valueName = raw.valueName;
    this.title = raw.title;
    this.faithfulness = raw.faithfulness;
    this.texts = null;
    this.hover = null; // {s, i}: side and place
    this.pinned = null;
    this.outline = null; // {s, points}: of the selection, in the coordinates of the map
    this.picked = null; // [Set, Set] of places, partners included
    this.query = "";
    this.hits = null; // [Uint8Array, Uint8Array]
    this.hit = -1;
    this.hidden = new Set();
    this.sort = { column: 0, descending: true };
    this.tool = "pan";
    this.modes = colourModes(this.sides, this.pairs, this.valueName);
    this.firstMode = Object.keys(this.modes)[0];
    this.modeName = this.firstMode;
    this.timings = {};
  }

  get mode() { return this.modes[this.modeName]; }

  start() {
    document.getElementById("title").textContent = this.title;
    document.getElementById("faithfulness").textContent = this.faithfulness.join(" ");
    this.plots = this.sides.map((side, s) => {
      const matched = new Set(s === 0 ? this.pairs.a : this.pairs.b).size;
      document.getElementById(`name${s}`).textContent = `${side.name}: ${side.n.toLocaleString("en")} features, ${matched.toLocaleString("en")} with a partner`;
      return new Plot(document.getElementById(`plot${s}`), side, `Map of the features of ${side.name}; arrow keys go from feature to feature`);
    });
    this.lines = document.getElementById("lines");
    const select = document.getElementById("colour");
    for (const [name, mode] of Object.entries(this.modes)) select.append(element("option", { value: name, text: mode.title }));
    this.listen(select);
    this.restore();
    this.resize();
    this.timings.firstPaint = performance.now();
    document.documentElement.dataset.painted = "yes";
  }

  async readTexts() {
    this.texts = await unpack("texts");
    this.haystacks = searchTexts(this.sides, this.texts);
    if (this.query) this.setQuery(this.query);
    showCard(this);
    showTable(this);
    this.drawTop();
    this.timings.ready = performance.now();
    document.documentElement.dataset.ready = "yes";
  }

  restore() {
    const found = readAddress();
    if (found.colour && this.modes[found.colour]) this.modeName = found.colour;
    document.getElementById("colour").value = this.modeName;
    this.hidden = new Set(found.hidden);
    for (const [s, view] of Object.entries(found.views)) this.plots[s].view = view;
    if (found.pin && this.sides[found.pin.s]) {
      const i = this.sides[found.pin.s].placeOf.get(found.pin.id);
      if (i !== undefined) this.pinned = { s: found.pin.s, i };
    }
    this.query = found.query;
    document.getElementById("query").value = this.query;
    this.restyle();
    if (found.outline) this.select(found.outline);
    showCard(this);
  }

  // ---- what changes

  setHover(focus) {
    const same = (p, q) => p === q || (p && q && p.s === q.s && p.i === q.i);
    if (same(focus, this.hover)) return;
    const started = performance.now();
    this.hover = focus;
    showCard(this);
    this.drawTop();
    this.timings.hover = performance.now() - started;
  }

  pin(focus) {
    this.pinned = focus;
    this.changed();
    showCard(this);
  }

  select(outline) {
    this.outline = { s: outline.s, points: thinned(outline.points) };
    const places = pointsInOutline(this.plots[outline.s], this.outline.points), partners = new Set();
    for (const i of places) for (const row of pairsOf(this.pairs, outline.s, i)) partners.add(otherEnd(this.pairs, outline.s, row));
    this.picked = outline.s === 0 ? [new Set(places), partners] : [partners, new Set(places)];
    this.restyle();
    this.changed();
    showTable(this);
  }

  clearSelection() {
    this.outline = this.picked = null;
    this.restyle();
    this.changed();
    showTable(this);
  }

  setQuery(query) {
    this.query = query;
    this.hit = -1;
    const found = this.haystacks ? search(query, this.sides, this.haystacks) : null;
    this.found = found;
    this.hits = found && found.map((places, s) => { const hit = new Uint8Array(this.sides[s].n); for (const i of places) hit[i] = 1; return hit; });
    const say = !found ? "" : found.some((places) => places.length) ? `${found.map((places, s) => `${places.length.toLocaleString("en")} in ${this.sides[s].name}`).join(", ")}; Enter: next` : "nothing found";
    document.getElementById("hits").textContent = say;
    this.restyle();
    this.changed();
  }

  nextHit() {
    const all = (this.found || []).flatMap((places, s) => places.map((i) => ({ s, i })));
    if (!all.length) return;
    this.hit = (this.hit + 1) % all.length;
    const focus = all[this.hit];
    this.pin(focus);
    this.plots[focus.s].showPoint(focus.i, 6);
    const rows = pairsOf(this.pairs, focus.s, focus.i);
    if (rows.length) this.plots[1 - focus.s].showPoint(otherEnd(this.pairs, focus.s, rows[0]), 6);
    this.draw();
    this.changed();
  }

  setMode(name) { this.modeName = name; this.hidden.clear(); this.restyle(); this.changed(); }

  toggleGroup(key) { if (!this.hidden.delete(key)) this.hidden.add(key); this.restyle(); this.changed(); }

  onlyGroup(key) {
    const keys = this.mode.kind === "scale" ? [0, -1] : [...this.mode.names.keys(), -1];
    this.hidden = new Set(keys.filter((other) => other !== key));
    this.restyle();
    this.changed();
  }

  setTool(tool) {
    this.tool = tool;
    document.querySelectorAll("[data-tool]").forEach((node) => {
      if (node.tagName === "BUTTON") node.setAttribute("aria-pressed", String(node.dataset.tool === tool));
    });
    this.plots.forEach((plot) => { plot.top.dataset.tool = tool; });
  }

  sortBy(column) {
    this.sort = { column, descending: this.sort.column === column ? !this.sort.descending : column === 0 };
    showTable(this);
  }

  whole() {
    for (const plot of this.plots) plot.view = { x: 0, y: 0, zoom: 1 };
    this.pinned = this.hover = this.outline = this.picked = null;
    this.hidden.clear();
    document.getElementById("query").value = "";
    this.setQuery("");
    showCard(this);
    showTable(this);
  }

  letGo() {
    if (this.pinned || this.hover) { this.pinned = this.hover = null; showCard(this); this.changed(); }
    else if (this.picked) this.clearSelection();
    else if (this.query) { document.getElementById("query").value = ""; this.setQuery(""); }
  }

  changed() { this.drawTop(); writeAddress(this); }

  // ---- drawing

  restyle() {
    const size = (n) => Math.min(9, Math.max(4.5, 190 / Math.sqrt(n) + 3));
    this.plots.forEach((plot, s) => {
      const picked = this.picked && this.picked[s], hits = this.hits && this.hits[s];
      const chosen = (i) => (!picked || picked.has(i)) && (!hits || hits[i] === 1);
      plot.restyle(paint(this.mode, s, plot.side.n), this.hidden, chosen, size(plot.side.n));
      plot.drawPoints();
    });
    showLegend(this);
    this.drawTop();
  }

  draw() { for (const plot of this.plots) plot.drawPoints(); this.drawTop(); }

  drawTop() {
    const style = getComputedStyle(document.documentElement);
    const ink = { ring: style.getPropertyValue("--ring"), link: style.getPropertyValue("--link"), page: style.getPropertyValue("--page"), text: style.getPropertyValue("--text") };
    const pens = this.plots.map((plot) => plot.clearTop());
    this.drawOutline(pens, ink);
    const rows = new Set();
    for (const focus of [this.pinned, this.hover]) {
      if (!focus) continue;
      this.drawRing(pens[focus.s], focus.s, focus.i, ink, true);
      for (const row of pairsOf(this.pairs, focus.s, focus.i)) {
        this.drawRing(pens[1 - focus.s], 1 - focus.s, otherEnd(this.pairs, focus.s, row), ink, rows.size < MOST_PARTNERS);
        rows.add(row);
      }
    }
    this.drawLines(rows, ink);
  }

  drawRing(pen, s, i, ink, named) {
    const plot = this.plots[s], [px, py] = plot.toScreen(plot.side.x[i], plot.side.y[i]);
    pen.lineWidth = 5; pen.strokeStyle = ink.page;
    pen.beginPath(); pen.arc(px, py, 9, 0, 2 * Math.PI); pen.stroke();
    pen.lineWidth = 2.5; pen.strokeStyle = ink.ring;
    pen.beginPath(); pen.arc(px, py, 9, 0, 2 * Math.PI); pen.stroke();
    if (!named) return;
    const text = featureTitle(this, s, i).slice(0, 46);
    pen.font = "600 13px system-ui, sans-serif";
    const width = pen.measureText(text).width, right = px + 16 + width < plot.width, x = right ? px + 14 : Math.max(4, px - 14 - width);
    const y = Math.min(plot.height - 8, Math.max(16, py + 4));
    pen.fillStyle = ink.page; pen.globalAlpha = 0.86;
    pen.fillRect(x - 3, y - 13, width + 6, 18);
    pen.globalAlpha = 1; pen.fillStyle = ink.text;
    pen.fillText(text, x, y);
  }

  drawOutline(pens, ink) {
    const shown = this.drawing || this.outline;
    if (!shown || shown.points.length < 2) return;
    const pen = pens[shown.s];
    pen.lineWidth = 1.6; pen.strokeStyle = ink.link; pen.setLineDash([6, 4]);
    pen.beginPath();
    shown.points.forEach(([x, y], k) => { const [px, py] = this.plots[shown.s].toScreen(x, y); if (k) pen.lineTo(px, py); else pen.moveTo(px, py); });
    pen.closePath(); pen.stroke(); pen.setLineDash([]);
  }

  drawLines(rows, ink) {
    const frame = this.lines.getBoundingClientRect(), ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(frame.width * ratio), Math.round(frame.height * ratio)];
    if (this.lines.width !== width || this.lines.height !== height) { this.lines.width = width; this.lines.height = height; }
    const pen = this.lines.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, frame.width, frame.height);
    const boxes = this.plots.map((plot) => plot.root.getBoundingClientRect());
    const place = (s, i) => { const [px, py] = this.plots[s].toScreen(this.plots[s].side.x[i], this.plots[s].side.y[i]); return px < 0 || py < 0 || px > boxes[s].width || py > boxes[s].height ? null : [px + boxes[s].left - frame.left, py + boxes[s].top - frame.top]; };
    const stroke = (list, alpha, lineWidth) => {
      pen.strokeStyle = ink.link; pen.globalAlpha = alpha; pen.lineWidth = lineWidth;
      pen.beginPath();
      for (const row of list) {
        const [from, to] = [place(0, this.pairs.a[row]), place(1, this.pairs.b[row])];
        if (from && to) { pen.moveTo(...from); pen.lineTo(...to); }
      }
      pen.stroke();
    };
    if (this.picked) {
      const chosen = pairsOfPicked(this.pairs, this.picked).sort((p, q) => this.pairs.value[q] - this.pairs.value[p]).slice(0, 1500);
      stroke(chosen, Math.max(0.08, Math.min(0.6, 40 / (chosen.length + 1))), 1);
    }
    stroke(rows, 0.95, 1.8);
    pen.globalAlpha = 1;
  }

  resize() { for (const plot of this.plots) plot.resize(); this.restyle(); }

  // ---- events

  listen(select) {
    select.addEventListener("change", () => this.setMode(select.value));
    const query = document.getElementById("query");
    query.addEventListener("input", () => this.setQuery(query.value));
    query.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); this.nextHit(); }
      if (event.key === "Escape") { query.value = ""; this.setQuery(""); }
    });
    document.querySelectorAll("button[data-tool]").forEach((node) => node.addEventListener("click", () => this.setTool(node.dataset.tool)));
    document.getElementById("whole").addEventListener("click", () => this.whole());
    document.getElementById("theme").addEventListener("click", () => { setTheme(isDark() ? "light" : "dark"); this.restyle(); });
    this.plots.forEach((plot, s) => this.listenToPlot(plot, s));
    this.setTool("pan");
    document.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(document.getElementById("maps"));
    window.addEventListener("hashchange", () => this.restore());
  }

  listenToPlot(plot, s) {
    const top = plot.top, fingers = new Map();
    let last = null, moved = 0;
    const at = (event) => { const box = top.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    top.addEventListener("pointerdown", (event) => {
      top.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, at(event));
      last = at(event); moved = 0;
      if (this.tool !== "pan") this.drawing = { s, points: [plot.fromScreen(...last)], from: last };
      top.classList.add("dragging");
    });
    top.addEventListener("pointermove", (event) => {
      const now = at(event);
      if (!fingers.size) { const i = plot.nearest(...now, 14); this.setHover(i < 0 ? null : { s, i }); return; }
      const before = fingers.get(event.pointerId);
      if (!before) return;
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      if (fingers.size === 2) this.pinch(plot, fingers, event.pointerId, now);
      else if (this.drawing) this.extend(plot, now);
      else if (moved > 4) plot.pan(now[0] - before[0], now[1] - before[1]);
      fingers.set(event.pointerId, now);
      this.draw();
    });
    const release = (event) => {
      if (!fingers.delete(event.pointerId)) return;
      top.classList.remove("dragging");
      const drawing = this.drawing;
      this.drawing = null;
      if (moved <= 4) { const i = plot.nearest(...at(event), event.pointerType === "touch" ? 26 : 14); this.hover = null; this.pin(i < 0 ? null : { s, i }); }
      else if (drawing && drawing.points.length > 2) this.select(drawing);
      else this.changed();
    };
    top.addEventListener("pointerup", release);
    top.addEventListener("pointercancel", release);
    top.addEventListener("pointerleave", () => { if (!fingers.size) this.setHover(null); });
    top.addEventListener("wheel", (event) => { event.preventDefault(); plot.zoomAt(...at(event), Math.exp(-event.deltaY * 0.0015)); this.draw(); writeAddress(this); }, { passive: false });
    top.addEventListener("dblclick", (event) => { plot.zoomAt(...at(event), 2); this.draw(); writeAddress(this); });
  }

  extend(plot, now) {
    const drawing = this.drawing, from = drawing.from;
    if (this.tool === "lasso") drawing.points.push(plot.fromScreen(...now));
    else drawing.points = [from, [now[0], from[1]], now, [from[0], now[1]]].map((corner) => plot.fromScreen(...corner));
  }

  pinch(plot, fingers, id, now) {
    const other = [...fingers].find(([key]) => key !== id)[1], before = fingers.get(id);
    const [far, was] = [now, before].map((p) => Math.hypot(p[0] - other[0], p[1] - other[1]));
    if (was > 0) plot.zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, far / was);
    this.drawing = null;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); document.getElementById("query").focus(); return; }
    if (typing) return;
    if (event.key === "Escape") { this.letGo(); return; }
    if (event.key === "0") { this.whole(); return; }
    const tool = { p: "pan", b: "box", l: "lasso" }[event.key.toLowerCase()];
    if (tool) { this.setTool(tool); return; }
    const s = this.plots.findIndex((plot) => plot.top === document.activeElement);
    if (s < 0) return;
    const plot = this.plots[s], way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const here = [this.hover, this.pinned].find((focus) => focus && focus.s === s);
    if (way && event.shiftKey) { plot.pan(-40 * way[0], 40 * way[1]); this.draw(); }
    else if (way) { const i = plot.towards(here ? here.i : -1, ...way); if (i >= 0) this.setHover({ s, i }); }
    else if (event.key === "Enter" && this.hover) this.pin(this.hover);
    else if (event.key === "+" || event.key === "=") { plot.zoomAt(plot.width / 2, plot.height / 2, 1.3); this.draw(); }
    else if (event.key === "-") { plot.zoomAt(plot.width / 2, plot.height / 2, 1 / 1.3); this.draw(); }
    else return;
    event.preventDefault();
    writeAddress(this);
  }
}

function setTheme(theme) { document.documentElement.dataset.theme = theme; }

setTheme(window.matchMedia && window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
window.linkedMap = unpack("points").then((raw) => {
  const app = new App(raw);
  app.start();
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => app.readTexts().then(() => resolve(app)), 0)));
});
