// SPDX-License-Identifier: MIT
// The verdict on top and the key figures below it.
import { announce } from '/announcer.js';
import { byId, setText } from '/dom.js';
import { bytes, count, micros, millis, percent } from '/format.js';
import { evictionsOf, slowTrend } from '/history.js';
import { stateOf } from '/words.js';

const kinds = ['healthy', 'backpressured', 'stalled'];
let announced = 'connecting';

// A figure and its unit, which is smaller: "1.2", "MB".
function setFigure(element, text) {
  const [, figure, unit] = text.match(/^(.*?)(?:\u202f([^\d\u202f]+))?$/);
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(figure);
  if (unit) {
    const small = document.createElement('small');
    small.textContent = `\u202f${unit}`;
    element.append(small);
  }
}

export function showState(feed) {
  const trend = feed.snapshot ? slowTrend(feed.past, feed.snapshot) : null;
  const { state, word, sentence } = stateOf(feed.link, feed.snapshot, trend);
  document.documentElement.dataset.state = state;
  setText(byId('state-word'), word);
  setText(byId('state-sentence'), sentence);
  const slow = feed.snapshot && feed.link.state === 'connected' ? feed.snapshot.connections.backpressured + feed.snapshot.connections.stalled : 0;
  document.title = slow > 0 ? `(${slow} slow) fluxbp: ${word.toLowerCase()}` : `fluxbp: ${word.toLowerCase()}`;

  const isLive = feed.link.state === 'connected';
  byId('live').classList.toggle('is-live', isLive);
  setText(byId('live-text'), isLive ? 'live' : word.toLowerCase());
  if (state !== announced) announce('state', `${word}. ${sentence}`);
  announced = state;
}

function showShares({ connections }) {
  for (const kind of kinds) {
    setText(byId(`count-${kind}`), count(connections[kind]));
    const share = connections.total > 0 ? connections[kind] / connections.total : 0;
    byId(`share-${kind}`).hidden = share === 0;
    byId(`share-${kind}`).style.width = `${share * 100}%`;
  }
}

function showEvictions(feed) {
  const { last, before, seconds } = evictionsOf(feed.past, feed.snapshot);
  const note = byId('evictions-trend');
  setFigure(byId('evictions-rate'), count(last));
  if (before === null) setText(note, seconds >= 60 ? 'the minute before is not known' : `in the ${Math.max(1, Math.round(seconds))} s that are known`);
  else if (last > before) setText(note, `▲ rising, ${count(before)} in the minute before`);
  else if (last < before) setText(note, `▼ falling, ${count(before)} in the minute before`);
  else setText(note, 'as in the minute before');
  note.classList.toggle('rising', before !== null && last > before);
}

function showMemory({ memory }) {
  const share = memory.budget_bytes > 0 ? memory.used_bytes / memory.budget_bytes : 0;
  setFigure(byId('memory'), bytes(memory.used_bytes));
  byId('memory-bar').value = share * 100;
  setText(byId('memory-note'), `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} % of ${bytes(memory.budget_bytes)}`);
}

export function showFigures(feed, deliveries) {
  const { snapshot } = feed;
  const { gateway, counters, broadcast } = snapshot;
  setText(byId('gateway-facts'), `version ${gateway.version} · ${gateway.threads} ${gateway.threads === 1 ? 'thread' : 'threads'} · up ${millis(gateway.uptime_s * 1000)}`);
  showShares(snapshot);
  showEvictions(feed);
  setFigure(byId('write-success'), percent(snapshot.write_success_rate));
  setFigure(byId('deliveries'), deliveries === null ? '–' : count(deliveries));
  setText(byId('deliveries-note'), counters.dropped > 0 ? `${count(counters.dropped)} lost by slow clients so far` : 'nothing lost so far');
  setFigure(byId('broadcast'), micros(broadcast.p99_us));
  setText(byId('broadcast-note'), `until everybody was offered it; longest ${micros(broadcast.max_us)}`);
  showMemory(snapshot);
}
