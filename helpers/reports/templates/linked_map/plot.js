"use strict";
// One map: points by WebGL (or, where there is none, by a plain canvas), what is lit on a canvas above them.

const VERTEX = `#version 300 es
in vec2 a_point; in vec4 a_colour; in float a_shape; in float a_size;
uniform vec2 u_centre; uniform vec2 u_factor;
out vec4 v_colour; flat out float v_shape;
void main() {
  gl_Position = vec4((a_point - u_centre) * u_factor, 0.0, 1.0);
  gl_PointSize = a_size; v_colour = a_colour; v_shape = a_shape;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 v_colour; flat in float v_shape; out vec4 colour;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float d = length(p);
  if (v_shape > 2.5) d = max(abs(p.x) * 0.9 - p.y * 0.5, p.y) * 1.25;
  else if (v_shape > 1.5) d = abs(p.x) + abs(p.y);
  else if (v_shape > 0.5) d = max(abs(p.x), abs(p.y)) * 1.15;
  float alpha = v_colour.a * (1.0 - smoothstep(0.8, 1.0, d));
  if (alpha <= 0.0) discard;
  colour = vec4(v_colour.rgb * alpha, alpha);
}`;
const CELLS = 96; // of the grid in which the point under the pointer is looked for

class Plot {
  constructor(root, side, label) {
    this.root = root;
    this.side = side;
    this.points = root.appendChild(document.createElement("canvas"));
    this.top = root.appendChild(document.createElement("canvas"));
    this.top.className = "top";
    this.top.tabIndex = 0;
    this.top.setAttribute("role", "application");
    this.top.setAttribute("aria-label", label);
    this.visible = new Uint8Array(side.n).fill(1);
    this.colours = new Uint8Array(side.n * 4);
    this.shapes = new Float32Array(side.n);
    this.sizes = new Float32Array(side.n);
    this.view = { x: 0, y: 0, zoom: 1 };
    this.makeGrid();
    this.gl = this.points.getContext("webgl2", { antialias: true, premultipliedAlpha: true });
    if (this.gl) this.makeProgram();
    this.resize();
  }

  makeProgram() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.program = program;
    this.buffers = {};
    const places = new Float32Array(this.side.n * 2);
    for (let i = 0; i < this.side.n; i++) { places[2 * i] = this.side.x[i]; places[2 * i + 1] = this.side.y[i]; }
    const columns = [["a_point", places, 2, gl.FLOAT, false], ["a_colour", this.colours, 4, gl.UNSIGNED_BYTE, true],
      ["a_shape", this.shapes, 1, gl.FLOAT, false], ["a_size", this.sizes, 1, gl.FLOAT, false]];
    for (const [name, values, size, type, normal] of columns) {
      this.buffers[name] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
      const at = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, size, type, normal, 0, 0);
    }
    this.order = gl.createBuffer();
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  makeGrid() {
    const { x, y, n } = this.side, count = new Uint32Array(CELLS * CELLS + 1);
    this.cellOf = (px, py) => {
      const place = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(((value + 1) / 2) * CELLS)));
      return [place(px), place(py)];
    };
    const cells = new Uint32Array(n);
    for (let i = 0; i < n; i++) { const [cx, cy] = this.cellOf(x[i], y[i]); cells[i] = cy * CELLS + cx; count[cells[i] + 1]++; }
    for (let c = 0; c < CELLS * CELLS; c++) count[c + 1] += count[c];
    this.cellStart = count;
    this.cellList = new Uint32Array(n);
    const next = count.slice();
    for (let i = 0; i < n; i++) this.cellList[next[cells[i]]++] = i;
  }

  resize() {
    const box = this.root.getBoundingClientRect();
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.width = Math.max(40, box.width);
    this.height = Math.max(40, box.height);
    for (const canvas of [this.points, this.top]) {
      canvas.width = Math.round(this.width * this.ratio);
      canvas.height = Math.round(this.height * this.ratio);
    }
  }

  get unit() { return (Math.min(this.width, this.height) / 2) * 0.95 * this.view.zoom; }

  toScreen(x, y) { return [this.width / 2 + (x - this.view.x) * this.unit, this.height / 2 - (y - this.view.y) * this.unit]; }

  fromScreen(px, py) { return [this.view.x + (px - this.width / 2) / this.unit, this.view.y - (py - this.height / 2) / this.unit]; }

  zoomAt(px, py, factor) {
    const [x, y] = this.fromScreen(px, py);
    this.view.zoom = Math.min(400, Math.max(0.5, this.view.zoom * factor));
    const [nx, ny] = this.fromScreen(px, py);
    this.view.x += x - nx;
    this.view.y += y - ny;
  }

  pan(dx, dy) { this.view.x -= dx / this.unit; this.view.y += dy / this.unit; }

  showPoint(i, zoom) { this.view = { x: this.side.x[i], y: this.side.y[i], zoom: Math.max(zoom, this.view.zoom) }; }

  nearest(px, py, reach) {
    const [x, y] = this.fromScreen(px, py), far = reach / this.unit;
    const [lowX, lowY] = this.cellOf(x - far, y - far), [highX, highY] = this.cellOf(x + far, y + far);
    let best = -1, least = far * far;
    for (let cy = lowY; cy <= highY; cy++) for (let cx = lowX; cx <= highX; cx++) {
      const cell = cy * CELLS + cx;
      for (let k = this.cellStart[cell]; k < this.cellStart[cell + 1]; k++) {
        const i = this.cellList[k];
        if (!this.visible[i]) continue;
        const d = (this.side.x[i] - x) ** 2 + (this.side.y[i] - y) ** 2;
        if (d < least) { least = d; best = i; }
      }
    }
    return best;
  }

  // The nearest visible point that lies more along (dx, dy) than across it.
  towards(from, dx, dy) {
    const x0 = from < 0 ? this.view.x : this.side.x[from], y0 = from < 0 ? this.view.y : this.side.y[from];
    let best = -1, least = Infinity;
    for (let i = 0; i < this.side.n; i++) {
      if (i === from || !this.visible[i]) continue;
      const x = this.side.x[i] - x0, y = this.side.y[i] - y0, along = x * dx + y * dy, across = Math.abs(x * dy - y * dx);
      if (from >= 0 && (along <= 0 || across > along)) continue;
      const d = x * x + y * y;
      if (d < least) { least = d; best = i; }
    }
    return best;
  }

  // painted: of `paint`; hidden: legend keys; chosen(i): whether a point stands out. Drawn from the bottom: what does not
  // stand out, faint; then what the legend has no name for; then the rest.
  restyle(painted, hidden, chosen, size) {
    const n = this.side.n, { rgb, shapes, keys } = painted, layers = [[], [], []];
    this.shapes.set(shapes);
    for (let i = 0; i < n; i++) {
      const shown = !hidden.has(keys[i]);
      this.visible[i] = shown ? 1 : 0;
      if (!shown) continue;
      const layer = !chosen(i) ? 0 : keys[i] < 0 ? 1 : 2;
      layers[layer].push(i);
      this.colours[4 * i] = rgb[3 * i]; this.colours[4 * i + 1] = rgb[3 * i + 1]; this.colours[4 * i + 2] = rgb[3 * i + 2];
      this.colours[4 * i + 3] = [38, 120, 235][layer];
      this.sizes[i] = (layer ? size : size * 0.8) * this.ratio;
    }
    this.drawn = Uint32Array.from(layers.flat());
    if (!this.gl) return;
    const gl = this.gl;
    for (const [name, values] of [["a_colour", this.colours], ["a_shape", this.shapes], ["a_size", this.sizes]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, values);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.drawn, gl.DYNAMIC_DRAW);
  }

  drawPoints() {
    if (!this.drawn) return;
    if (!this.gl) { this.drawPlainPoints(); return; }
    const gl = this.gl;
    gl.viewport(0, 0, this.points.width, this.points.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(gl.getUniformLocation(this.program, "u_centre"), this.view.x, this.view.y);
    gl.uniform2f(gl.getUniformLocation(this.program, "u_factor"), (2 * this.unit) / this.width, (2 * this.unit) / this.height);
    gl.drawElements(gl.POINTS, this.drawn.length, gl.UNSIGNED_INT, 0);
  }

  drawPlainPoints() {
    const pen = this.points.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    for (const i of this.drawn) {
      const [px, py] = this.toScreen(this.side.x[i], this.side.y[i]), size = this.sizes[i] / this.ratio;
      const [r, g, b, a] = this.colours.subarray(4 * i, 4 * i + 4);
      pen.fillStyle = `rgba(${r},${g},${b},${a / 255})`;
      pen.fillRect(px - size / 2, py - size / 2, size, size);
    }
  }

  clearTop() {
    const pen = this.top.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    return pen;
  }
}
