"use strict";
// The address keeps what is looked at, so that a finding can be sent on: search, colours, pinned feature, outline, views.

function writeAddress(app) {
  const parts = [];
  const round = (v) => Number(v.toFixed(3));
  if (app.query) parts.push(`q=${encodeURIComponent(app.query)}`);
  if (app.modeName !== app.firstMode) parts.push(`colour=${app.modeName}`);
  if (app.pinned) parts.push(`pin=${app.pinned.s}.${app.sides[app.pinned.s].ids[app.pinned.i]}`);
  if (app.outline) parts.push(`sel=${app.outline.s}:${app.outline.points.map((p) => p.map(round).join(",")).join(";")}`);
  if (app.hidden.size) parts.push(`hide=${[...app.hidden].join(",")}`);
  app.plots.forEach((plot, s) => {
    const { x, y, zoom } = plot.view;
    if (zoom !== 1 || x !== 0 || y !== 0) parts.push(`view${s}=${[x, y, zoom].map(round).join(",")}`);
  });
  const hash = parts.length ? "#" + parts.join("&") : "";
  // A page inside a notebook has no address of its own to keep things in.
  if (location.protocol !== "about:" && hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
}

function readAddress() {
  const values = Object.fromEntries(location.hash.slice(1).split("&").filter(Boolean).map((part) => {
    const at = part.indexOf("=");
    return [part.slice(0, at), part.slice(at + 1)];
  }));
  const list = (text) => text.split(",").map(Number);
  const found = { query: "", hidden: [], views: {} };
  if (values.q) { try { found.query = decodeURIComponent(values.q); } catch { found.query = ""; } }
  if (values.colour) found.colour = values.colour;
  if (values.pin) { const [s, id] = values.pin.split(".").map(Number); found.pin = { s, id }; }
  if (values.sel) {
    const [s, corners] = values.sel.split(":");
    const points = (corners || "").split(";").map(list);
    if (points.length > 2 && points.every((p) => p.length === 2 && p.every(Number.isFinite))) found.outline = { s: Number(s) ? 1 : 0, points };
  }
  if (values.hide) found.hidden = list(values.hide).filter(Number.isFinite);
  for (const s of [0, 1]) {
    const view = values[`view${s}`] ? list(values[`view${s}`]) : [];
    if (view.length === 3 && view.every(Number.isFinite) && view[2] > 0) found.views[s] = { x: view[0], y: view[1], zoom: view[2] };
  }
  return found;
}
