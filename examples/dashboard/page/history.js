// SPDX-License-Identifier: MIT
// From snapshots of the last minutes to what they say together: rates, trends, series for the charts.

const total = (evictions) => Object.values(evictions).reduce((sum, number) => sum + number, 0);

const slowOf = (snapshot) => snapshot.connections.backpressured + snapshot.connections.stalled;

// Deliveries a second between two snapshots; null where a gateway began anew in between.
function rate(before, after) {
  const seconds = after.time - before.time;
  const written = after.counters.written - before.counters.written;
  return seconds > 0 && written >= 0 ? written / seconds : null;
}

// The last snapshot that is at least so many seconds older than `now`, or undefined.
const olderThan = (past, now, seconds) => past.findLast((snapshot) => snapshot.time <= now.time - seconds);

// How many were evicted in the last minute and in the one before, if it is known: { last, before, seconds }
export function evictionsOf(past, now) {
  if (past.length === 0) return { last: 0, before: null, seconds: 0 };
  const minute = olderThan(past, now, 60) ?? past[0];
  const two = olderThan(past, now, 120);
  const between = (a, b) => Math.max(0, total(b.evictions) - total(a.evictions));
  return { last: between(minute, now), before: two ? between(two, minute) : null, seconds: Math.min(60, now.time - minute.time) };
}

// How many more clients are slow than a minute ago; null if that isn't known.
export function slowTrend(past, now) {
  const minute = olderThan(past, now, 60);
  return minute ? slowOf(now) - slowOf(minute) : null;
}

// The series of the charts: points { x: seconds before the newest one, y }.
export function seriesOf(past) {
  const newest = past.at(-1)?.time ?? 0;
  const points = (value) => past.map((snapshot, i) => ({ x: snapshot.time - newest, y: value(snapshot, past[i - 1]) }));
  return {
    deliveries: points((snapshot, before) => (before ? rate(before, snapshot) : null)),
    backpressured: points((snapshot) => snapshot.connections.backpressured),
    stalled: points((snapshot) => snapshot.connections.stalled),
    broadcast: points((snapshot) => snapshot.broadcast.p99_us),
    queued: points((snapshot) => snapshot.memory.queued_bytes),
  };
}

// Deliveries a second over the last two seconds or so of snapshots.
export class Rate {
  #snapshots = [];

  add(snapshot) {
    if (this.#snapshots.at(-1)?.counters.written > snapshot.counters.written) this.#snapshots = [];
    this.#snapshots.push(snapshot);
    while (this.#snapshots[0].time < snapshot.time - 2) this.#snapshots.shift();
  }

  get value() {
    return this.#snapshots.length > 1 ? rate(this.#snapshots[0], this.#snapshots.at(-1)) : null;
  }
}
