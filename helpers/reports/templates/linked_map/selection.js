"use strict";
// Which points lie in an outline, which match a search, and the pairs of a selection as a table.

function inOutline(outline, x, y) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [xi, yi] = outline[i], [xj, yj] = outline[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

function pointsInOutline(plot, outline) {
  const found = [];
  for (let i = 0; i < plot.side.n; i++) if (plot.visible[i] && inOutline(outline, plot.side.x[i], plot.side.y[i])) found.push(i);
  return found;
}

// An outline of at most `most` corners, so that an address stays short.
function thinned(outline, most = 40) {
  if (outline.length <= most) return outline;
  return Array.from({ length: most }, (_, k) => outline[Math.floor((k * outline.length) / most)]);
}

// What can be searched of every point: " word word word ", in lower case. Labels and the words that it fires on, not
// their neighbours.
function searchTexts(sides, texts) {
  return sides.map((side, s) => Array.from({ length: side.n }, (_, i) =>
    ` ${wordsOf(`${texts[s].labels[i]} ${texts[s].words[i] || ""}`).join(" ")} `));
}

function wordsOf(text) {
  return text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu) || [];
}

// A search -> for each side the places that match; null for an empty search.
function search(query, sides, haystacks) {
  const text = query.trim();
  if (!text) return null;
  const id = text.match(/^#?(\d+)$/);
  const concept = text.match(/^concept:\s*(.*)$/i);
  return sides.map((side, s) => {
    const found = [];
    if (id) {
      const place = side.placeOf.get(Number(id[1]));
      if (place !== undefined) found.push(place);
      if (text.startsWith("#")) return found;
    }
    if (concept) {
      const wanted = concept[1].trim().toLowerCase();
      const codes = new Set(side.groupNames.map((name, code) => (name.toLowerCase().includes(wanted) ? code : -2)));
      if (wanted) for (let i = 0; i < side.n; i++) if (codes.has(side.groups[i])) found.push(i);
      return found;
    }
    const prefix = text.endsWith("*");
    const words = wordsOf(prefix ? text.slice(0, -1) : text);
    if (!words.length) return found;
    const needle = " " + words.join(" ") + (prefix ? "" : " ");
    for (let i = 0; i < side.n; i++) if (haystacks[s][i].includes(needle)) found.push(i);
    return found;
  });
}

// Pairs of which an end is picked: rows of `pairs`, each once.
function pairsOfPicked(pairs, picked) {
  const rows = new Set();
  picked.forEach((places, s) => places.forEach((i) => pairsOf(pairs, s, i).forEach((row) => rows.add(row))));
  return [...rows];
}

function pairColumns(sides, texts, valueName) {
  const group = (s, i) => (sides[s].groups[i] < 0 ? "" : sides[s].groupNames[sides[s].groups[i]]);
  const label = (s, i) => (texts ? texts[s].labels[i] : "");
  const ends = [["a", 0], ["b", 1]];
  const columns = [{ title: valueName, number: true, value: (pairs, row) => pairs.value[row], text: (v) => v.toFixed(3) }];
  for (const [end, s] of ends) {
    const name = sides[s].name;
    columns.push(
      { title: `feature of ${name}`, number: true, value: (pairs, row) => sides[s].ids[pairs[end][row]], text: String },
      { title: `label in ${name}`, value: (pairs, row) => label(s, pairs[end][row]), text: String },
      { title: `concept in ${name}`, value: (pairs, row) => group(s, pairs[end][row]), text: String },
      { title: `density in ${name}`, number: true, value: (pairs, row) => sides[s].density[pairs[end][row]], text: (v) => v.toExponential(1) },
    );
  }
  const named = sides.some((side) => side.groupNames.length);
  return columns.filter((column) => named || !column.title.startsWith("concept"));
}

function sortedRows(rows, pairs, column, descending) {
  const sign = descending ? -1 : 1;
  return rows.slice().sort((p, q) => {
    const [x, y] = [column.value(pairs, p), column.value(pairs, q)];
    return sign * (column.number ? x - y : String(x).localeCompare(String(y))) || p - q;
  });
}

function delimited(rows, pairs, columns, separator) {
  const cell = (value) => (/["\n\r,;\t]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const line = (values) => values.map((value) => cell(String(value))).join(separator);
  return [line(columns.map((c) => c.title)), ...rows.map((row) => line(columns.map((c) => c.value(pairs, row))))].join("\n") + "\n";
}
