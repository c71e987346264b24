"use strict";
// What Python packed (helpers/reports/linked_map/content.py): JSON, gzip, base64; numbers as little-endian arrays.

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function unpack(id) {
  const bytes = bytesOf(document.getElementById(id).textContent.trim());
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function numbers(base64, ArrayType) {
  return new ArrayType(bytesOf(base64).buffer);
}

function readSide(raw) {
  const side = {
    name: raw.name,
    n: raw.n,
    x: numbers(raw.x, Float32Array),
    y: numbers(raw.y, Float32Array),
    ids: numbers(raw.ids, Uint32Array),
    density: numbers(raw.density, Float32Array),
    groupNames: raw.groupNames,
    groups: numbers(raw.groups, Int32Array),
    clusters: raw.clusters ? numbers(raw.clusters, Int32Array) : null,
    placeOf: new Map(),
  };
  side.ids.forEach((id, place) => side.placeOf.set(id, place));
  return side;
}

function readPairs(raw, sides) {
  const pairs = { a: numbers(raw.a, Uint32Array), b: numbers(raw.b, Uint32Array), value: numbers(raw.value, Float32Array) };
  pairs.n = pairs.a.length;
  // For every point of each side the pairs that it is in, the strongest first: list[start[i] .. start[i + 1]].
  pairs.of = [pairs.a, pairs.b].map((ends, s) => {
    const start = new Uint32Array(sides[s].n + 1);
    for (const place of ends) start[place + 1]++;
    for (let i = 0; i < sides[s].n; i++) start[i + 1] += start[i];
    const next = start.slice(), list = new Uint32Array(pairs.n);
    const order = Array.from({ length: pairs.n }, (_, row) => row).sort((p, q) => pairs.value[q] - pairs.value[p]);
    for (const row of order) list[next[ends[row]]++] = row;
    return { start, list };
  });
  return pairs;
}

function pairsOf(pairs, s, i) {
  const { start, list } = pairs.of[s];
  return list.subarray(start[i], start[i + 1]);
}

function otherEnd(pairs, s, row) {
  return s === 0 ? pairs.b[row] : pairs.a[row];
}
