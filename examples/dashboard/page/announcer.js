// SPDX-License-Identifier: MIT
// What a screen reader says by itself: a change of the state, and how many were evicted. At most a sentence in five seconds,
// the newest one of each kind.
import { byId } from '/dom.js';

const EVERY_MS = 5000;
const waiting = new Map();
let timer = null;

function say() {
  const sentences = [...waiting.values()];
  waiting.clear();
  timer = null;
  if (sentences.length === 0) return;
  byId('announcer').textContent = sentences.join(' ');
  timer = setTimeout(say, EVERY_MS);
}

export function announce(kind, sentence) {
  waiting.set(kind, sentence);
  timer ??= setTimeout(say, 500);
}
