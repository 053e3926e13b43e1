// SPDX-License-Identifier: MIT
// What the server tells of one gateway (examples/dashboard/board.h), kept in one place. `onChange` is called after each
// event with its name; the rest of the page reads from here.

const EVICTIONS_KEPT = 256;
const PAST_KEPT = 150;
const SILENCE_MS = 8000; // the server says that a gateway is away after 5 s: so long a silence is the server's own

export class Feed {
  constructor(onChange) {
    this.onChange = onChange;
    this.source = null;
    this.link = { state: 'away' };
    setInterval(() => this.#checkSilence(), 1000);
  }

  // Follow that gateway from now on.
  follow(gateway) {
    this.link = { state: 'connecting' };
    this.snapshot = null;
    this.slow = null;
    this.evictions = []; // newest first
    this.past = []; // oldest first
    this.session = 0;
    this.gateway = gateway;
    this.onChange('gateway');
    this.#listen();
  }

  #listen() {
    this.source?.close();
    this.heard = performance.now();
    this.source = new EventSource(`/sse?topic=gateway-${this.gateway}`);
    this.source.onopen = () => { this.session = 0; };
    this.source.onerror = () => this.#setLink({ state: 'gone' }); // the browser tries again, and the silence sees to it
    this.source.onmessage = (message) => this.#take(JSON.parse(message.data));
  }

  // The server has answered, but not with a stream.
  get isRefused() {
    return this.source?.readyState === EventSource.CLOSED;
  }

  #take({ event: name, session, data }) {
    this.heard = performance.now();
    if (session < this.session && name !== 'past') return; // of an earlier connection to the gateway
    if (session > this.session) {
      this.session = session;
      this.evictions = [];
    }
    if (name === 'gateway') this.link = data;
    else if (name === 'evicted') this.#addEviction(data);
    else if (name === 'past') this.#addPast(data);
    else this[name] = data;
    this.onChange(name);
  }

  #addEviction(record) {
    const place = this.evictions.findIndex((other) => other.n <= record.n);
    if (place >= 0 && this.evictions[place].n === record.n) return;
    this.evictions.splice(place < 0 ? this.evictions.length : place, 0, record);
    this.evictions.length = Math.min(this.evictions.length, EVICTIONS_KEPT);
  }

  // They may come in any order, and again after a reconnect.
  #addPast(snapshot) {
    let place = this.past.length;
    while (place > 0 && this.past[place - 1].time > snapshot.time) place--;
    if (this.past[place - 1]?.time === snapshot.time) return;
    this.past.splice(place, 0, snapshot);
    if (this.past.length > PAST_KEPT) this.past.shift();
  }

  #setLink(link) {
    this.link = link;
    this.onChange('gateway');
  }

  // A browser doesn't notice that a connection is dead, and gives up for good when it gets an error for an answer.
  #checkSilence() {
    if (this.link.state === 'away' || performance.now() - this.heard < SILENCE_MS) return;
    this.#setLink({ state: 'gone' });
    this.#listen();
  }
}
