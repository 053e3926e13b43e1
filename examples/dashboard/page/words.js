// SPDX-License-Identifier: MIT
// What the gateway's figures mean, in sentences. No element of the page is known here.
import { bytes, count, many, millis } from '/format.js';

// What the kernel's view of the socket says about a client, as the second half of a sentence.
const causes = {
  'not reading': 'it is not reading',
  'reads slowly': 'it reads too slowly',
  'network': 'the network to it is slow',
  'unreachable': 'it is unreachable',
};

const stalled = {
  'not reading': (e) => `Client is not reading: its window has been closed for ${millis(e.since_progress_ms)}.`,
  'reads slowly': (e) => `Client hardly reads: nothing has moved for ${millis(e.since_progress_ms)}.`,
  'network': (e) => `The network does not deliver: the client's window is open, but nothing has moved for ${millis(e.since_progress_ms)}.`,
  'unreachable': (e) => `Client is unreachable: for ${millis(e.since_progress_ms)} nothing has been acknowledged.`,
  'unknown': (e) => `Client takes nothing: nothing has moved for ${millis(e.since_progress_ms)}.`,
};

const because = (e) => (causes[e.cause] ? `: ${causes[e.cause]}` : '');

const reasons = {
  stalled: (e) => (stalled[e.cause] ?? stalled.unknown)(e),
  slow: (e) => `Client can't keep up${because(e)}. Its ring has not drained for ${millis(e.backpressured_ms)}.`,
  lag: (e) => `Client lags: its oldest message has waited ${millis(e.oldest_ms)}${because(e)}.`,
  overflow: (e) => `Its ring was full, and the policy evicts for that${because(e)}.`,
  budget: (e) => `Memory was nearly used up, and this client held the oldest messages${because(e)}.`,
  unreachable: (e) => `Client is unreachable: it has answered no retransmission and no probe for ${millis(e.unanswered_ms)}.`,
  soft_limit: (e) => `More waited for the client than the soft limit allows, for too long${because(e)}.`,
  admin: (e) => `Evicted by an administrator${e.by ? `: ${e.by}` : ''}.`,
};

// Why somebody was evicted.
export const evictionWhy = (e) => (reasons[e.reason] ?? (() => `Evicted: ${e.reason}.`))(e);

// What it cost the client.
export function evictionCost(e) {
  const parts = [];
  if (e.queued > 0) parts.push(`${many(e.queued, 'message')} (${bytes(e.queued_bytes)}) waited`);
  if (e.dropped > 0) parts.push(`${count(e.dropped)} lost before`);
  return parts.join(', ');
}

// Whether the shape in the list is that of a stalled one, a slow one, or another.
export const evictionKind = (reason) =>
  ['stalled', 'unreachable'].includes(reason) ? 'stalled' : ['slow', 'lag', 'overflow', 'soft_limit'].includes(reason) ? 'slow' : 'other';

const clocks = {
  stalled: 'nothing moved for',
  slow: 'not draining for',
  lag: 'oldest waits for',
  unreachable: 'no answer for',
  soft_limit: 'above the soft limit for',
};

const putOffs = {
  grace: 'new, so it has more time',
  crowd: 'nearly everybody is slow, so it has twice the time',
  spared: 'spared, so it has more time',
  shadow: 'only reported',
};

// The clock that is closest to an eviction, and why the client stays if its limit has passed: { text, share }, or null if
// none runs. The gateway says all of it, since only that knows what it is going to do.
export function verdictSoFar(row) {
  if (!clocks[row.nearest] || row.used_ms < 500) return null;
  const why = putOffs[row.put_off] ? ` (${putOffs[row.put_off]})` : '';
  const share = Math.min(1, row.used_ms / row.limit_ms);
  return { text: `${clocks[row.nearest]} ${millis(row.used_ms)} of ${millis(row.limit_ms)}${why}`, share };
}

const evidence = {
  'not reading': 'its window is closed',
  'reads slowly': 'its window opens slowly',
  'network': 'its window is open, data gets stuck on the way',
  'unreachable': 'no answer to retransmissions',
};

// What the kernel's evidence is.
export const kernelSays = (row) => evidence[row.cause] ?? 'nothing yet';

// A client's name for people. The name is what the client says it is.
export const nameOf = (client) => (client.name ? `${client.name} (${client.id})` : `Client ${client.id}`);

// The state of everything: { state, word, sentence }. `link` is what the server says of the gateway, `trend` the change of
// the number of slow clients within a minute, or null.
export function stateOf(link, snapshot, trend) {
  if (link.state === 'gone') return { state: 'away', word: 'No dashboard', sentence: 'The dashboard\'s server does not answer. This page tries again by itself.' };
  if (link.state === 'away') return { state: 'away', word: 'Away', sentence: `The gateway does not answer: ${link.problem}. It is tried again all the time${snapshot ? '; below is what was known last.' : '.'}` };
  if (link.state !== 'connected' || !snapshot) return { state: 'connecting', word: 'Connecting', sentence: 'Waiting for the first word of the gateway.' };

  const { total, healthy, backpressured, stalled: still } = snapshot.connections;
  if (snapshot.gateway.state !== 'ready') return { state: 'stopping', word: 'Stopping', sentence: `The gateway is ${snapshot.gateway.state}.` };
  if (total === 0) return { state: 'idle', word: 'Idle', sentence: 'The gateway is ready, and nobody is connected.' };

  const change = trend === null || trend === 0 ? '' : trend > 0 ? ` That is ${count(trend)} more than a minute ago.` : ` That is ${count(-trend)} fewer than a minute ago.`;
  if (snapshot.is_crowd_slow) return { state: 'congested', word: 'Congested', sentence: `Nearly everybody is slow at once: that is rather this machine or its network than ${many(total, 'client')}. Evictions are put off.` };
  const rest = healthy === 0 ? '' : healthy === 1 ? ' The other one is not affected.' : ` The other ${count(healthy)} are not affected.`;
  if (still > 0) {
    const also = backpressured > 0 ? `, ${count(backpressured)} more can't keep up` : '';
    return { state: 'stalled', word: 'Stalled', sentence: `${count(still)} of ${many(total, 'client')} ${still === 1 ? 'takes' : 'take'} nothing any more${also}.${change}${rest}` };
  }
  if (backpressured > 0) return { state: 'backpressured', word: 'Backpressured', sentence: `${count(backpressured)} of ${many(total, 'client')} can't keep up.${change}${rest}` };
  return { state: 'healthy', word: 'Healthy', sentence: total === 1 ? 'The one client keeps up.' : `All ${count(total)} clients keep up.` };
}
