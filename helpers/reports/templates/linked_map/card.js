"use strict";
// One feature card from packed data (helpers/reports/linked_map/packing.py), in the style of all cards (cards.css).
// Texts are set as text, never as markup.

const SEPARATOR = "\u001f", GRADES = 9;
const CARD_HUE = "58, 143, 201", FAINTEST = 0.1, STRONGEST = 0.62; // as in helpers/reports/feature_card_html.py
const BARS = { width: 112, height: 28 };

function element(tag, { text, className, ...attributes } = {}, children = []) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  for (const child of children) node.append(child);
  return node;
}

function shareText(share) {
  if (share <= 0) return "never fires on these tokens";
  return share >= 0.001 ? `fires on ${(100 * share).toPrecision(2)}% of tokens` : `fires on 1 token in ${Math.round(1 / share).toLocaleString("en")}`;
}

function tokenNode(tag, text, grade) {
  const node = element(tag, { text });
  if (grade > 0) node.style.background = `rgba(${CARD_HUE}, ${FAINTEST + ((STRONGEST - FAINTEST) * grade) / GRADES})`;
  return node;
}

function contextNode(packed) {
  const [marked, grades, ...tokens] = packed.split(SEPARATOR), at = Number(marked);
  const node = (place) => tokenNode("span", tokens[place], Number(grades[place]));
  const places = [...tokens.keys()], bare = tokens[at].replace(/^ +/, "");
  const space = bare ? tokens[at].slice(0, tokens[at].length - bare.length) : "";
  const before = element("span", { className: "fc-before" }, [element("span", {}, [...places.slice(0, at).map(node), space])]);
  const after = element("span", { className: "fc-after" }, places.slice(at + 1).map(node));
  const line = element("div", { className: "fc-context", role: "listitem" }, [before, tokenNode("mark", bare || "\u2423", Number(grades[at])), after]);
  if (/^[^\p{L}]*[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}]/u.test(tokens.join(""))) line.dir = "rtl";
  return line;
}

function histogramNode(heights, largest) {
  const svg = "http://www.w3.org/2000/svg", step = BARS.width / heights.length;
  const make = (name, attributes, text) => {
    const node = document.createElementNS(svg, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const told = `activations from 0 to ${largest}, height: logarithm of the number of tokens`;
  const root = make("svg", { width: BARS.width, height: BARS.height + 13, viewBox: `0 0 ${BARS.width} ${BARS.height + 13}`, role: "img", "aria-label": told });
  const bars = [...heights].map((digit, place) => [place * step, (parseInt(digit, 36) / 35) * BARS.height]).filter(([, height]) => height > 0);
  root.append(
    make("path", { class: "fc-bar", d: bars.map(([x, height]) => `M${x} ${BARS.height}v${-height}h${step - 1}v${height}z`).join("") }),
    make("path", { class: "fc-axis", d: `M0 ${BARS.height + 0.5}h${BARS.width}` }),
    make("text", { x: 0, y: BARS.height + 12 }, "0"),
    make("text", { x: BARS.width / 2, y: BARS.height + 12, "text-anchor": "middle" }, "activation"),
    make("text", { x: BARS.width, y: BARS.height + 12, "text-anchor": "end" }, largest),
  );
  return root;
}

function effectsNode(promoted, suppressed) {
  const items = (effects) => element("span", { className: "fc-items" }, effects.map(([token, value]) => {
    const bare = token.replace(/^ /, "");
    return element("span", {}, [
      ...(bare === token ? [] : [element("span", { className: "fc-soft", text: "\u2423" })]),
      element("b", {}, [element("bdi", { text: bare })]), " ", element("span", { className: "fc-number fc-soft", text: value }),
    ]);
  }));
  const rows = [["promotes", promoted], ["suppresses", suppressed]].filter(([, effects]) => effects.length);
  return element("div", { className: "fc-list" }, rows.flatMap(([name, effects]) => [element("span", { className: "fc-soft", text: name }), items(effects)]));
}

// facts: [name, text] pairs for the line at the foot, e.g. the correlation.
function featureCard(app, s, i, facts) {
  const side = app.sides[s], texts = app.texts && app.texts[s];
  const label = texts ? texts.labels[i] : "", card = texts && texts.cards[i];
  const [source, firings, total, largest, heights, contexts, promoted, suppressed] = card || ["", null, null, "", "", [], [], []];
  const count = firings === null ? [] : [element("br"), element("span", { className: "fc-soft", text: `${firings.toLocaleString("en")} of ${total.toLocaleString("en")}` })];
  const node = element("article", { className: "fc", "aria-label": featureTitle(app, s, i) }, [
    element("div", { className: "fc-head fc-soft" }, [element("span", { className: "fc-clip", text: side.name }), element("span", { className: "fc-number", text: `feature ${side.ids[i]}` })]),
    element("div", { className: "fc-title", title: label }, label ? [element("bdi", { text: label }), " ", element("small", { text: source })] : [element("small", { text: "no label" })]),
    element("div", { className: "fc-facts" }, [element("span", { className: "fc-number" }, [shareText(side.density[i]), ...count]), ...(heights ? [histogramNode(heights, largest)] : [])]),
  ]);
  if (contexts.length) node.append(element("div", { className: "fc-contexts", role: "list", tabindex: "0", "aria-label": "strongest contexts" }, contexts.map(contextNode)));
  if (promoted.length || suppressed.length) node.append(effectsNode(promoted, suppressed));
  const group = side.groups[i] < 0 ? [] : [["concept", side.groupNames[side.groups[i]]]];
  const foot = [...facts, ...group];
  if (foot.length) node.append(element("div", { className: "fc-partner" }, foot.map(([name, value]) => element("span", {}, [element("span", { className: "fc-soft", text: `${name} ` }), element("bdi", { text: value })]))));
  return node;
}
