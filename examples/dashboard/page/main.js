// SPDX-License-Identifier: MIT
// Puts the parts of the page together: what the feed brings is shown by each of them, once a frame at most.
import * as api from '/api.js';
import { Charts } from '/charts.js';
import { byId, make } from '/dom.js';
import { EvictionList } from '/eviction_list.js';
import { Feed } from '/feed.js';
import { HeatMap } from '/heat_map.js';
import { Rate } from '/history.js';
import { admit, checkLogin, showLogout } from '/login.js';
import { PolicyForm } from '/policy_form.js';
import { showFigures, showState } from '/summary.js';
import { nameOf } from '/words.js';
import { WorstTable } from '/worst_table.js';

const TOAST_MS = 6000;

let gateway = 0;
let deliveries = new Rate();
let toastTimer;
let isOddFrame = false;
const changed = new Set(); // names of events since the last frame

function tell(text) {
  byId('toast').textContent = text;
  byId('toast').hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { byId('toast').hidden = true; }, TOAST_MS);
}

function evict(client) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = `Evict ${nameOf(client)}?`;
  byId('confirm-text').textContent = `Its connection from ${client.peer} is closed, and what waits for it is thrown away. It may come back at once.`;
  dialog.returnValue = '';
  dialog.addEventListener('close', async () => {
    if (dialog.returnValue !== 'yes') return;
    try {
      await api.evict(gateway, client.id);
      tell(`${nameOf(client)} was evicted.`);
    } catch (error) {
      tell(error.message);
    }
  }, { once: true });
  dialog.showModal();
}

// What the map says where there is nobody to be shown.
function showEmptiness(feed) {
  const texts = {
    connecting: ['Connecting', 'The first figures come as soon as the gateway answers.'],
    away: ['No gateway', 'Start it, or name another one with --gateway; this page notices by itself.'],
    gone: ['No dashboard', 'Its server does not answer; this page tries again by itself.'],
    connected: ['Nobody is connected', 'Each client is a square here as soon as it comes. examples/demo/start.sh says how to get some.'],
  };
  const isEmpty = !feed.slow || feed.slow.cells === 0;
  byId('map-empty').hidden = !isEmpty;
  if (!isEmpty) return;
  const [head, text] = texts[feed.link.state];
  byId('map-empty').firstElementChild.replaceChildren(make('strong', {}, head), text);
}

const { gateways, may_act: mayAct, is_logged_in: isLoggedIn } = await admit();
showLogout(isLoggedIn);
const select = byId('gateway');
select.append(...gateways.map((name, number) => make('option', { value: number }, name)));

export const map = new HeatMap((cell) => api.connectionAt(gateway, cell).catch(() => null));
const worst = new WorstTable(mayAct ? evict : null);
const evictions = new EvictionList();
const charts = new Charts();
const policy = new PolicyForm(mayAct, (change) => api.setPolicy(gateway, change));

function show() {
  const names = new Set(changed);
  changed.clear();
  if (names.has('slow') && feed.slow) map.show(feed.slow);
  showState(feed);
  showEmptiness(feed);
  if (names.has('snapshot') && feed.snapshot) {
    showFigures(feed, deliveries.value);
    policy.show(feed.snapshot.policy, feed.snapshot.policy_change);
  }
  if (names.has('slow') && feed.slow) {
    isOddFrame = !isOddFrame;
    if (isOddFrame) worst.show(feed.slow); // nobody reads faster
  }
  if (names.has('past')) charts.show(feed.past);
  if (names.has('evicted') || names.has('gateway')) evictions.show(feed.evictions, feed.snapshot?.evictions);
  else if (names.has('snapshot')) evictions.showSum(feed.snapshot?.evictions);
}

export const feed = new Feed((name) => {
  if (changed.size === 0) requestAnimationFrame(show);
  changed.add(name);
  if (feed.isRefused) checkLogin();
  if (name === 'snapshot') deliveries.add(feed.snapshot);
  if (name === 'evicted' && Date.now() / 1000 - feed.evictions[0].time < 2) map.markEvicted(feed.evictions[0].cell);
});

function follow() {
  gateway = Number(select.value);
  deliveries = new Rate();
  map.clear();
  feed.follow(gateway);
}

select.addEventListener('change', follow);
setInterval(() => evictions.showTimes(), 1000);
follow();
