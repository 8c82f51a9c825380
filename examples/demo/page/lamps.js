// A hundred EventSources, a lamp each: dark while it waits for a connection, lit when it is open,
// brighter for a moment on each event.

import * as clock from "./clock.js";
import { address } from "./stream.js";

const HOW_MANY = 100;

export class Lamps {
  #sources = [];
  #openedAt = 0;
  #pulse = null; // the event that is arriving: its beat, and at how many lamps it is

  /** `place` is filled with lamps; `changed` is called whenever the account below changes. */
  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
    for (let i = 0; i < HOW_MANY; i += 1) place.append(document.createElement("i"));
    this.forget();
  }

  /** Streams that are open. */
  get lit() {
    return this.#sources.filter((source) => source.readyState === EventSource.OPEN).length;
  }

  get asked() {
    return this.#sources.length > 0;
  }

  forget() {
    this.openedIn = null; // ms from the click to the last stream that opened
    this.reachedIn = null; // ms from publish until every open lamp had the last event
    this.reached = 0;
  }

  open() {
    this.forget();
    this.#openedAt = performance.now();
    this.#sources = Array.from(this.place.children, (lamp) => this.#connect(lamp));
    this.changed();
  }

  close() {
    for (const source of this.#sources) source.close();
    for (const lamp of this.place.children) lamp.className = "";
    this.#sources = [];
    this.forget();
    this.changed();
  }

  #connect(lamp) {
    const source = new EventSource(address(["pulse"]));
    lamp.className = "waiting";
    source.onopen = () => {
      lamp.className = "lit";
      this.openedIn = performance.now() - this.#openedAt;
      this.changed();
    };
    source.onerror = () => {
      lamp.className = "waiting";
      this.changed();
    };
    source.addEventListener("pulse", (event) => this.#beat(lamp, JSON.parse(event.data)));
    return source;
  }

  #beat(lamp, { at, beat }) {
    // Two classes in turn with the same animation, as that is how a running one starts again.
    lamp.className = beat % 2 ? "lit odd" : "lit even";
    if (this.#pulse?.beat !== beat) this.#pulse = { beat, lamps: 0 };
    this.#pulse.lamps += 1;
    if (this.#pulse.lamps < this.lit) return;
    this.reached = this.#pulse.lamps;
    this.reachedIn = Math.max(0, clock.now() - at);
    this.changed();
  }
}
