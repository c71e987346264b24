"use strict";
// What is read: the cards of a feature and its partners, the table of selected pairs, the legend.

const MOST_ROWS = 300; // drawn; the file has all
const MOST_PARTNERS = 3;

function featureTitle(app, s, i) {
  const label = app.texts ? app.texts[s].labels[i] : "";
  return `${app.sides[s].name} ${app.sides[s].ids[i]}${label ? `: ${label}` : ""}`;
}

function showCard(app) {
  const root = document.getElementById("card"), focus = app.hover || app.pinned;
  if (!focus) {
    root.replaceChildren(element("p", { className: "soft hint", text: "Point at a feature: its partner lights up in the other map, and both are described here. A click keeps them." }));
    return;
  }
  const { s, i } = focus, other = 1 - s, rows = pairsOf(app.pairs, s, i);
  const own = featureCard(app, s, i, app.hover ? [] : [["pinned", "(Esc lets go)"]]);
  const partners = [...rows.slice(0, MOST_PARTNERS)].map((row) =>
    featureCard(app, other, otherEnd(app.pairs, s, row), [[app.valueName, app.pairs.value[row].toFixed(3)]]));
  if (!rows.length) partners.push(element("p", { className: "soft hint", text: `No partner in ${app.sides[other].name} is shown.` }));
  if (rows.length > MOST_PARTNERS) partners.push(element("p", { className: "soft hint", text: `and ${rows.length - MOST_PARTNERS} further partners` }));
  const columns = [element("div", {}, [own]), element("div", {}, partners)];
  root.replaceChildren(...(s === 0 ? columns : columns.reverse()));
}

function showTable(app) {
  const root = document.getElementById("table");
  root.replaceChildren();
  const counts = app.picked ? app.picked.map((places) => places.size) : null;
  if (!counts) return;
  const columns = pairColumns(app.sides, app.texts, app.valueName);
  const rows = sortedRows(pairsOfPicked(app.pairs, app.picked), app.pairs, columns[app.sort.column] || columns[0], app.sort.descending);
  const where = app.sides.map((side, s) => `${counts[s].toLocaleString("en")} of ${side.name}`).join(", ");
  const say = element("span", { className: "soft", role: "status", text: `${where}; ${rows.length.toLocaleString("en")} pairs${rows.length > MOST_ROWS ? `, the first ${MOST_ROWS} drawn` : ""}` });
  const copy = element("button", { type: "button", text: "Copy", onclick: () => copyText(delimited(rows, app.pairs, columns, "\t"), say) });
  const save = element("button", { type: "button", text: "Download CSV", onclick: () => download(delimited(rows, app.pairs, columns, ","), "pairs.csv") });
  const clear = element("button", { type: "button", text: "Clear selection", onclick: () => app.clearSelection() });
  root.append(element("div", { className: "bar" }, [say, copy, save, clear]));
  if (!rows.length) return;
  const head = element("tr", {}, columns.map((column, at) => element("th", { className: column.number ? "number" : "", "aria-sort": app.sort.column === at ? (app.sort.descending ? "descending" : "ascending") : "none" }, [
    element("button", { type: "button", text: column.title + (app.sort.column === at ? (app.sort.descending ? " ↓" : " ↑") : ""), onclick: () => app.sortBy(at) })])));
  const body = rows.slice(0, MOST_ROWS).map((row) => element("tr", {
    tabindex: 0,
    onmouseenter: () => app.setHover({ s: 0, i: app.pairs.a[row] }),
    onmouseleave: () => app.setHover(null),
    onclick: () => app.pin({ s: 0, i: app.pairs.a[row] }),
    onkeydown: (event) => { if (event.key === "Enter") app.pin({ s: 0, i: app.pairs.a[row] }); },
  }, columns.map((column) => element("td", { className: column.number ? "number" : "", text: column.text(column.value(app.pairs, row)) }))));
  root.append(element("div", { className: "scroll" }, [element("table", {}, [element("thead", {}, [head]), element("tbody", {}, body)])]));
}

async function copyText(text, say) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A frame without the right to the clipboard: the old way.
    const area = document.body.appendChild(element("textarea", {}));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say.textContent = "Copied, tab-separated.";
}

function download(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

const MARKS = ['<circle cx="6" cy="6" r="4.6"/>', '<rect x="1.8" y="1.8" width="8.4" height="8.4"/>', '<path d="M6 .8 11.2 6 6 11.2 .8 6Z"/>', '<path d="M6 1 11 10.4H1Z"/>'];

function showLegend(app) {
  const root = document.getElementById("legend"), mode = app.mode;
  root.replaceChildren();
  if (mode.kind === "scale") {
    const stops = Array.from({ length: 9 }, (_, k) => `rgb(${ramp(k / 8).join(",")})`).join(",");
    const number = (v) => (v !== 0 && Math.abs(v) < 0.01 ? v.toExponential(1) : v.toPrecision(2));
    root.append(`${mode.label}: `, number(mode.low), element("span", { className: "ramp", style: `background:linear-gradient(90deg,${stops})` }), number(mode.high));
    root.append(legendButton(app, -1, mode.missing, NOTHING, 0));
    return;
  }
  const counts = new Map();
  mode.codes.forEach((codes) => codes.forEach((code) => counts.set(code, (counts.get(code) || 0) + 1)));
  mode.names.forEach((name, code) => { if (counts.get(code)) root.append(legendButton(app, code, `${name} (${counts.get(code).toLocaleString("en")})`, rgb(HUES[code % HUES.length]), Math.floor(code / HUES.length) % SHAPES)); });
  if (counts.get(-1)) root.append(legendButton(app, -1, `${mode.none} (${counts.get(-1).toLocaleString("en")})`, NOTHING, 0));
}

function legendButton(app, key, name, colour, shape) {
  const icon = element("span");
  icon.innerHTML = `<svg viewBox="0 0 12 12" fill="rgb(${colour.join(",")})">${MARKS[shape]}</svg>`; // no text from outside
  return element("button", {
    type: "button", "aria-pressed": String(!app.hidden.has(key)), title: "Show or hide; double click: only this one",
    onclick: () => app.toggleGroup(key), ondblclick: () => app.onlyGroup(key),
  }, [icon, name]);
}
