"use strict";
// Groups: eight colours that all common kinds of colour vision tell apart (Okabe and Ito 2008), times four shapes.
// Numbers: cividis, which reads the same with and without red-green vision.

const HUES = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#9A8C00", "#8B5FBF"];
const SHAPES = 4;
const RAMP = ["#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838"];
const NOTHING = [150, 155, 162];

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

const HUE_VALUES = HUES.map(rgb);
const RAMP_VALUES = RAMP.map(rgb);

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

function ramp(share) {
  // The darkest blues would vanish on a dark page, the lightest yellows on a white one.
  const shown = isDark() ? 0.22 + 0.78 * share : 0.93 * share;
  const at = Math.min(0.9999, Math.max(0, shown)) * (RAMP.length - 1), low = Math.floor(at);
  const p = RAMP_VALUES[low], q = RAMP_VALUES[low + 1];
  return p.map((value, channel) => Math.round(value + (q[channel] - value) * (at - low)));
}

function categories(codes, names, none) {
  return { kind: "categories", codes, names, none };
}

function scale(values, { label, log = false, missing = "none" }) {
  let low = Infinity, high = -Infinity;
  for (const side of values) for (const v of side) if (Number.isFinite(v) && (!log || v > 0)) { low = Math.min(low, v); high = Math.max(high, v); }
  if (!(low < high)) { low = Number.isFinite(low) ? low : 0; high = low + 1e-9; }
  const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high];
  const share = (v) => (!Number.isFinite(v) || (log && v <= 0) ? null : ((log ? Math.log(v) : v) - from) / (to - from));
  return { kind: "scale", values, share, low, high, label, missing };
}

function colourModes(sides, pairs, valueName) {
  const best = sides.map((side, s) => Float32Array.from({ length: side.n }, (_, i) => {
    const rows = pairsOf(pairs, s, i);
    return rows.length ? pairs.value[rows[0]] : NaN;
  }));
  const modes = {};
  if (sides.some((side) => side.groupNames.length)) {
    const names = [...new Set(sides.flatMap((side) => side.groupNames))].sort();
    const codes = sides.map((side) => side.groups.map((code) => (code < 0 ? -1 : names.indexOf(side.groupNames[code]))));
    modes.concept = { title: "concept", ...categories(codes, names, "no concept") };
  }
  modes.match = { title: `${valueName} of the match`, ...scale(best, { label: valueName, missing: "without a partner" }) };
  modes.partner = { title: "has a partner", ...categories(best.map((side) => Int32Array.from(side, (v) => (Number.isNaN(v) ? 1 : 0))), ["with a partner", "without a partner"], "") };
  modes.density = { title: "firing density", ...scale(sides.map((side) => side.density), { label: "share of tokens (log)", log: true, missing: "never fires" }) };
  if (sides.every((side) => side.clusters)) {
    const largest = Math.max(...sides.map((side) => side.clusters.reduce((most, code) => Math.max(most, code), -1)));
    const names = Array.from({ length: largest + 1 }, (_, code) => `cluster ${code}`);
    modes.cluster = { title: "cluster", ...categories(sides.map((side) => side.clusters), names, "no cluster") };
  }
  return modes;
}

// Colour, shape and legend key of every point, made once a mode and theme.
function paint(mode, s, n) {
  const theme = isDark() ? "dark" : "light", name = `${theme}${s}`;
  mode.painted = mode.painted || {};
  if (mode.painted[name]) return mode.painted[name];
  const painted = { rgb: new Uint8Array(3 * n), shapes: new Float32Array(n), keys: new Int32Array(n) };
  for (let i = 0; i < n; i++) {
    let colour = NOTHING, key = -1;
    if (mode.kind === "scale") {
      const share = mode.share(mode.values[s][i]);
      if (share !== null) { colour = ramp(share); key = 0; }
    } else if (mode.codes[s][i] >= 0) {
      key = mode.codes[s][i];
      colour = HUE_VALUES[key % HUES.length];
      painted.shapes[i] = Math.floor(key / HUES.length) % SHAPES;
    }
    painted.rgb.set(colour, 3 * i);
    painted.keys[i] = key;
  }
  mode.painted[name] = painted;
  return painted;
}
