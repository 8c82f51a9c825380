// One EventSource, and an account of it: its state, what came, what was missed.
//
// The browser reconnects by itself and says which event it saw last; the server goes on from
// there. Only what a browser gives up on (an answer that is not a stream, such as a 503) is
// tried again here, from the same event on.

const HUB = "/.well-known/mercure";
const GAP = "trio-sse.gap";
const TRY_AGAIN_MS = 3000;

/** The address of a stream on `topics`, from the event after `since` if that is an id. */
export function address(topics, since) {
  const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
  if (since) query.set("lastEventID", since);
  return `${HUB}?${query}`;
}

export class Stream {
  state = "connecting"; // connecting | open | reconnecting
  reconnections = 0;
  lastId = "";
  gaps = 0;

  /**
   * Follow `topics`. `hear` maps a type of event to a function of the event; `changed` is called
   * whenever the account above changes other than by an event, `missed` with the number of events
   * lost, or null if that is unknown.
   */
  constructor(topics, since, { hear, changed, missed }) {
    this.topics = topics;
    this.lastId = since ?? "";
    this.hear = hear;
    this.changed = changed;
    this.missed = missed;
    this.open();
  }

  open() {
    const source = new EventSource(address(this.topics, this.lastId));
    this.source = source;
    source.onopen = () => {
      if (this.state === "reconnecting") this.reconnections += 1;
      this.become("open");
    };
    source.onerror = () => {
      this.become(this.state === "connecting" ? "connecting" : "reconnecting");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.open(), TRY_AGAIN_MS);
    };
    for (const [type, heard] of Object.entries(this.hear)) {
      source.addEventListener(type, (event) => {
        this.lastId = event.lastEventId;
        heard(event);
      });
    }
    source.addEventListener(GAP, (event) => {
      this.gaps += 1;
      this.missed(JSON.parse(event.data).lost);
    });
  }

  become(state) {
    this.state = state;
    this.changed();
  }
}
