// How long events took from publish to page: the last one, and the last minute's as a histogram.
//
// The scale is logarithmic, from 0.1 ms to 1 s: what matters in a delay is its order of
// magnitude, and one slow event must stay visible beside a thousand fast ones.

import { Drawing } from "./chart.js";

const SPAN = 60_000;
const LEAST = -1; // powers of ten, in ms
const MOST = 3;
const BINS = 32;
const FOOT = 18;

const place = (ms) => (Math.log10(Math.max(ms, 0.1)) - LEAST) / (MOST - LEAST);

export class Latency extends Drawing {
  #samples = [];

  /** Note that an event published at `at` took `ms`. */
  add(at, ms) {
    this.#samples.push({ at, ms });
    while (this.#samples[0].at < at - SPAN) this.#samples.shift();
  }

  /** What the last event took, in ms; undefined before there is one. */
  get last() {
    return this.#samples.at(-1)?.ms;
  }

  /** The delay in ms that `share` of the last minute's events did not exceed. */
  quantiles(...shares) {
    const sorted = this.#samples.map(({ ms }) => ms).sort((a, b) => a - b);
    return shares.map((share) => sorted[Math.ceil(share * sorted.length) - 1]);
  }

  draw(now, width, height) {
    const foot = height - FOOT;
    const bins = new Array(BINS).fill(0);
    for (const { ms } of this.#samples) bins[Math.min(BINS - 1, Math.floor(place(ms) * BINS))] += 1;
    // The square root of the share: a single event among a thousand still shows.
    const most = Math.sqrt(Math.max(1, ...bins));
    const each = width / BINS;
    this.context.fillStyle = this.colour("--latency");
    bins.forEach((events, bin) => {
      const tall = events && Math.max(2, (Math.sqrt(events) / most) * (foot - 2));
      this.context.fillRect(bin * each + 1, foot - tall, each - 2, tall);
    });
    this.rule(foot, 0, width, this.colour("--axis"));
    const marks = ["0.1 ms", "1", "10", "100", "1 s"];
    marks.forEach((mark, i) => {
      const align = i === 0 ? "left" : i === marks.length - 1 ? "right" : "center";
      this.text(mark, (i / (marks.length - 1)) * width, height - FOOT / 2 + 2, align);
    });
  }
}
