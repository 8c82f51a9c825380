// Lines over the last minute, drawn by hand on a canvas.
//
// Rules: sharp on every screen (one canvas pixel is one device pixel, rules lie on whole pixels);
// smooth but cheap (a chart is redrawn when it moved by a whole device pixel, about 18 times a
// second, not 60; not at all while it is out of sight; once a second where people ask for
// reduced motion). Colours come from the style sheet, so light and dark are decided there.

import * as clock from "./clock.js";

const SPAN = 60_000;
// New values come every 250 ms. Drawn this much late, lines grow in from the right instead of
// jumping.
const LAG = 450;
// Values further apart than this are not joined: in between, something was missed.
const HOLE = 2_000;
const GUTTER = 56;
const FOOT = 18;
const HEAD = 10;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const charts = new Set();
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    for (const chart of charts) if (chart.canvas === target) chart.visible = isIntersecting;
  }
});
dark.addEventListener("change", () => charts.forEach((chart) => (chart.drawnAt = NaN)));

function frame() {
  requestAnimationFrame(frame);
  const now = clock.now() - LAG;
  for (const chart of charts) if (chart.visible) chart.frame(now);
}
requestAnimationFrame(frame);

/** What every drawing shares: a sharp canvas, the colours, and when to draw again. */
export class Drawing {
  visible = true;
  drawnAt = NaN;

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => (this.drawnAt = NaN)).observe(canvas);
    seen.observe(canvas);
    charts.add(this);
  }

  get plotWidth() {
    return this.canvas.clientWidth - GUTTER;
  }

  // As many pixels as the box covers on the screen, where its edges lie on whole pixels. Its
  // width rounded by itself is off by one at a scale of 125 %, and everything would be blurred.
  #fit() {
    const { canvas } = this;
    const box = canvas.getBoundingClientRect();
    const pixels = (from, to) => Math.round(to * devicePixelRatio) - Math.round(from * devicePixelRatio);
    const width = pixels(box.left, box.right);
    const height = pixels(box.top + scrollY, box.bottom + scrollY);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    return box;
  }

  frame(now) {
    const perPixel = SPAN / (this.plotWidth * devicePixelRatio);
    const step = calm.matches ? 1000 : perPixel;
    const at = Math.floor(now / step) * step;
    if (at === this.drawnAt) return;
    this.drawnAt = at;
    const { canvas, context } = this;
    const { width, height } = this.#fit();
    const style = getComputedStyle(canvas);
    this.colour = (name) => style.getPropertyValue(name);
    context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${style.fontFamily}`;
    this.draw(at, width, height);
  }

  /** A horizontal rule one device pixel high. */
  rule(y, from, to, colour) {
    const perUnit = this.context.getTransform().d;
    this.context.fillStyle = colour;
    this.context.fillRect(from, Math.round(y * perUnit) / perUnit, to - from, 1 / perUnit);
  }

  text(words, x, y, align) {
    this.context.textAlign = align;
    this.context.textBaseline = "middle";
    this.context.fillStyle = this.colour("--muted");
    this.context.fillText(words, x, y);
  }
}

/** Some lines on one scale. With `mirrored`, the second line hangs below the first's foot. */
export class Chart extends Drawing {
  #points = [];
  #top = 0;

  /**
   * `colour(i, n, style)` is the colour of line i of n, given a look-up of CSS properties;
   * `top(largest)` the value at the top of the scale; `label(value)` its words.
   */
  constructor(canvas, { colour, top, label, mirrored = false, filled = false }) {
    super(canvas);
    Object.assign(this, { lineColour: colour, top, label, mirrored, filled });
  }

  /** Add the lines' values at one moment, in milliseconds by the server's clock. */
  add(at, values) {
    this.#points.push({ at, values });
    while (this.#points[0].at < at - SPAN - 2 * HOLE) this.#points.shift();
  }

  draw(now, width, height) {
    const points = this.#points;
    const lines = points.at(-1)?.values.length ?? 0;
    const from = points.findLastIndex(({ at }) => at < now - SPAN);
    const shown = points.slice(Math.max(from, 0));
    const target = this.top(Math.max(0, ...shown.flatMap(({ values }) => values)));
    // The scale glides to where it belongs instead of jumping under the eye.
    const close = Math.abs(target - this.#top) < target / 200;
    this.#top = calm.matches || close || !this.#top ? target : this.#top + (target - this.#top) / 6;

    const right = width - GUTTER;
    const foot = this.mirrored ? (HEAD + height - FOOT) / 2 : height - FOOT;
    const scale = (foot - HEAD) / this.#top;
    const x = (at) => right - ((now - at) / SPAN) * right;

    this.#axes(right, foot, height, target);
    for (let line = lines - 1; line >= 0; line -= 1) {
      const sign = this.mirrored && line === 1 ? 1 : -1;
      this.#line(shown, line, now, right, foot, x, (value) => foot + sign * value * scale);
    }
  }

  #axes(right, foot, height, top) {
    const rules = this.mirrored ? [-1, 0, 1] : [0, 0.5, 1];
    for (const part of rules) {
      const y = foot - part * (foot - HEAD);
      this.rule(y, 0, right, this.colour(part === 0 ? "--axis" : "--hair"));
      this.text(this.label(Math.abs(part) * top), right + 8, y, "left");
    }
    this.text("60 s ago", 0, height - FOOT / 2 + 2, "left");
    this.text("30 s", right / 2, height - FOOT / 2 + 2, "center");
    this.text("now", right, height - FOOT / 2 + 2, "right");
  }

  #line(points, line, now, right, foot, x, y) {
    const { context } = this;
    const lines = points.at(-1).values.length;
    const colour = this.lineColour(line, lines, this.colour);
    context.save();
    context.beginPath();
    context.rect(0, 0, right, this.canvas.clientHeight);
    context.clip();
    const stroke = new Path2D();
    const area = new Path2D();
    let before = null;
    for (const point of points) {
      const [px, py] = [x(point.at), y(point.values[line])];
      const joined = before && point.at - before.at < HOLE;
      if (!joined) {
        if (before) area.lineTo(x(before.at), foot);
        area.moveTo(px, foot);
      }
      stroke[joined ? "lineTo" : "moveTo"](px, py);
      area.lineTo(px, py);
      before = point;
    }
    if (before) area.lineTo(x(before.at), foot);
    if (this.filled) {
      context.globalAlpha = 0.14;
      context.fillStyle = colour;
      context.fill(area);
      context.globalAlpha = 1;
    }
    context.strokeStyle = colour;
    context.lineWidth = lines > 8 ? 1 : 1.75;
    context.lineJoin = "round";
    context.stroke(stroke);
    context.restore();
    this.#head(points, line, now, right, y, colour);
  }

  /** A dot where the line enters. */
  #head(points, line, now, right, y, colour) {
    const next = points.findIndex(({ at }) => at >= now);
    if (next < 1 || points[next].at - points[next - 1].at >= HOLE) return;
    const [a, b] = [points[next - 1], points[next]];
    const value = a.values[line] + ((b.values[line] - a.values[line]) * (now - a.at)) / (b.at - a.at);
    this.context.beginPath();
    this.context.arc(right, y(value), 3, 0, 2 * Math.PI);
    this.context.fillStyle = colour;
    this.context.fill();
  }
}
