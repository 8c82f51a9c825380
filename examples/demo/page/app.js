// The page: one stream, and what its events change.
//
// It asks the server once for what it cannot know (/start); then everything comes over the
// stream, the last minute first: the page subscribes from the id of a minute ago, and the hub
// replays what it has from there on.

import * as clock from "./clock.js";
import { figures } from "./figures.js";
import { Lamps } from "./lamps.js";
import { Latency } from "./latency.js";
import { Stream } from "./stream.js";
import * as units from "./units.js";

const TOPICS = ["machine/cpu", "machine/memory", "machine/network", "machine/load", "server", "note"];
const MOST_NOTES = 3;
const OPEN_STREAMS = "#streams"; // in the address: open the 100 streams at once

const $ = (id) => document.getElementById(id);
const say = (id, text) => {
  // Setting the text it has already would make screen readers repeat a status.
  if ($(id).textContent !== String(text)) $(id).textContent = text;
};

// -- protocol --------------------------------------------------------------------------------

const NAMES = { h2: "HTTP/2", h3: "HTTP/3", "http/1.1": "HTTP/1.1", "http/1.0": "HTTP/1.0" };
let protocol = "";

/** Wait for the first resource of this page whose protocol the browser tells: "h2", "http/1.1". */
function learnProtocol() {
  return new Promise((resolve) => {
    const observer = new PerformanceObserver((list) => {
      const told = list.getEntries().find(({ nextHopProtocol }) => nextHopProtocol);
      if (!told) return;
      observer.disconnect();
      resolve(told.nextHopProtocol);
    });
    for (const type of ["navigation", "resource"]) observer.observe({ type, buffered: true });
  });
}

// -- the page's stream -----------------------------------------------------------------------

let stream;
let wanted = location.hash === OPEN_STREAMS;
let openedAt = Infinity;
let live = 0;
let replayed = 0;

function showStream() {
  if (stream.state === "open") {
    openedAt = clock.now();
    $("toggle").disabled = false;
    // Not before: over HTTP/1.1 they would take all connections and leave this page none.
    if (wanted) lamps.open();
    wanted = false;
  }
  document.documentElement.dataset.stream = stream.state;
  $("state").dataset.state = stream.state;
  say("state", stream.state);
  say("reconnections", stream.reconnections);
}

function showGap(lost) {
  const time = new Date().toLocaleTimeString();
  const many = lost === null ? "an unknown number of events" : `up to ${units.count(lost)} events`;
  say("gaps", stream.gaps);
  say("gap", `This page missed ${many} at ${time}: the server’s history does not reach back far \
enough. A server that was restarted begins a new one.`);
  $("gap").hidden = false;
}

const latency = new Latency($("latency-chart"));

/** Account for an event that says when it was published. */
function arrived({ at }) {
  const now = clock.now();
  // What was published before the stream opened came from history: its age is no delay.
  if (at < openedAt) {
    replayed += 1;
    return;
  }
  live += 1;
  latency.add(at, Math.max(0, now - at));
}

function showArrivals() {
  say("events", units.count(live));
  say("replayed", units.count(replayed));
  say("last-id", stream.lastId || "–");
  const last = latency.last;
  if (last === undefined) return;
  const [half, most] = latency.quantiles(0.5, 0.99);
  say("latency", units.short(last));
  say("p50", units.duration(half));
  say("p99", units.duration(most));
}

function showServer(counts) {
  for (const number of $("server").querySelectorAll("dd")) {
    number.textContent = units.count(counts[number.dataset.count]);
  }
}

function showNote({ data }) {
  const note = document.createElement("li");
  note.textContent = data;
  $("notes").prepend(note);
  while ($("notes").children.length > MOST_NOTES) $("notes").lastChild.remove();
}

/** What to do with each type of event on the stream. */
function hearings() {
  const hear = { message: showNote };
  for (const [type, show] of Object.entries({ ...figures, server: showServer })) {
    hear[type] = (event) => {
      const figure = JSON.parse(event.data);
      arrived(figure);
      show(figure);
    };
  }
  return hear;
}

// -- the 100 streams -------------------------------------------------------------------------

let scheduled = false;
const lamps = new Lamps($("lamps"), () => {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    showLamps();
  });
});

function explanation(lit, all) {
  if (!lamps.asked) return $("explanation").dataset.closed;
  if (lit === all && protocol === "h2") {
    return "All 100 are open, and so is the stream that draws this page, all on one connection. \
HTTP/2 carries them side by side, and an event leaves the server in one write for them all.";
  }
  if (lit === all) return "All 100 are open.";
  if (protocol === "h2") return `${lit} of ${all} are open.`;
  return `${lit} are open, ${all - lit} wait. Over HTTP/1.1 a stream takes a whole connection, \
and a browser allows six to one host, all tabs together. This page’s own stream has one of them.`;
}

function showLamps() {
  const all = $("lamps").children.length;
  const { lit } = lamps;
  say("lit", lit);
  say("opened-in", lit === all ? units.duration(lamps.openedIn) : "–");
  say("reached-in", lamps.reachedIn === null ? "–" : units.duration(lamps.reachedIn));
  say("explanation", explanation(lit, all));
  say("toggle", lamps.asked ? "Close them" : "Open 100 streams");
  $("lamps").setAttribute("aria-label", lamps.asked ? `${lit} of ${all} are open` : "None is open");
  $("compare").hash = lamps.asked ? OPEN_STREAMS : "";
  $("other").hash = $("compare").hash;
}

$("toggle").addEventListener("click", () => (lamps.asked ? lamps.close() : lamps.open()));
$("explanation").dataset.closed = $("explanation").textContent;

// -- beginning -------------------------------------------------------------------------------

function showProtocol(told) {
  protocol = told;
  say("protocol", NAMES[told] ?? told);
  const other = told === "h2" ? "HTTP/1.1" : "HTTP/2";
  say("other", `See it over ${other}`);
  say("compare", `See the same over ${other}`);
  $("other").hidden = false;
  $("compare").hidden = false;
}

function showAddresses(ports) {
  const scheme = location.protocol === "https:" ? "http" : "https";
  $("other").href = `${scheme}://${location.hostname}:${ports[scheme]}/`;
  $("compare").href = $("other").href;
  const hub = `http://${location.hostname}:${ports.http}/.well-known/mercure`;
  say("command", `curl -d topic=note -d data=hello ${hub}`);
}

async function begin() {
  const asked = clock.before();
  const answer = await fetch("/start", { cache: "no-store" });
  const { ports, since, now } = await answer.json();
  clock.compare(asked, now);
  showAddresses(ports);
  learnProtocol().then(showProtocol);
  stream = new Stream(TOPICS, since, { hear: hearings(), changed: showStream, missed: showGap });
  setInterval(showArrivals, 250);
}

begin();
