// The time at the server, in milliseconds since the epoch, as this page knows it.
//
// On one machine both sides read one clock, and the difference is none. On another (a phone) the
// clocks differ, and what is known is what a request can tell: the server's time half-way
// through it. A difference smaller than the request took cannot be told from none.

let difference = 0;

/** Milliseconds since the epoch by this machine's clock, finer than Date.now() where possible. */
function here() {
  // performance.now() has a resolution of 0.1 ms or better (W3C High Resolution Time, 4.4), but
  // does not follow the clock when it is set or the machine sleeps. Then Date.now() counts.
  const fine = performance.timeOrigin + performance.now();
  const coarse = Date.now();
  return Math.abs(fine - coarse) < 2 ? fine : coarse;
}

/** Compare clocks: `theirs` was the server's time at some moment after `asked`. */
export function compare(asked, theirs) {
  const answered = here();
  const seen = theirs - (asked + answered) / 2;
  difference = Math.abs(seen) <= answered - asked + 2 ? 0 : seen;
}

/** This machine's time before a request, to hand to `compare` after it. */
export const before = here;

/** The server's time now. */
export function now() {
  return here() + difference;
}
