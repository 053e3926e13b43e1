// SPDX-License-Identifier: MIT
// The live list of evictions, newest first, each with why in words.
import { announce } from '/announcer.js';
import { byId, make, setText } from '/dom.js';
import { ago, count, many } from '/format.js';
import { evictionCost, evictionKind, evictionWhy, nameOf } from '/words.js';

const SHOWN = 60;

export class EvictionList {
  #items = new Map(); // by n
  #newest = null; // n of what has been announced

  show(evictions, totals) {
    const list = byId('evictions');
    const shown = evictions.slice(0, SHOWN);
    const numbers = new Set(shown.map((record) => record.n));
    for (const [n, item] of this.#items) {
      if (numbers.has(n)) continue;
      item.element.remove();
      this.#items.delete(n);
    }
    shown.forEach((record, place) => {
      let item = this.#items.get(record.n);
      if (!item) {
        item = this.#make(record);
        this.#items.set(record.n, item);
      }
      if (list.children[place] !== item.element) list.insertBefore(item.element, list.children[place] ?? null);
    });
    byId('evictions-empty').hidden = shown.length > 0;
    this.showSum(totals);
    this.showTimes();
    this.#announce(evictions);
  }

  // How many there were for each reason since the gateway's start.
  showSum(totals) {
    const reasons = Object.entries(totals ?? {}).filter(([, number]) => number > 0);
    setText(byId('evictions-sum'), reasons.map(([reason, number]) => `${count(number)} ${reason}`).join(' · '));
  }

  showTimes() {
    const now = Date.now() / 1000;
    for (const item of this.#items.values()) setText(item.time, ago(now - item.record.time));
  }

  #make(record) {
    const time = make('time', { datetime: new Date(record.time * 1000).toISOString() });
    const element = make('li', { 'data-kind': evictionKind(record.reason), 'data-n': record.n },
      make('p', { class: 'who' }, make('span', {}, make('strong', {}, nameOf(record)), ` ${record.peer}`), time),
      make('p', { class: 'why' }, (record.is_shadow ? 'Only reported: ' : '') + evictionWhy(record)),
      make('p', { class: 'lost' }, evictionCost(record)));
    return { element, time, record };
  }

  // Those that were there when the page came are no news.
  #announce(evictions) {
    const newest = evictions[0]?.n ?? 0;
    const isNews = this.#newest !== null && newest > this.#newest;
    if (isNews) {
      const news = evictions.filter((record) => record.n > this.#newest);
      announce('evictions', news.length === 1 ? `${nameOf(news[0])} was evicted. ${evictionWhy(news[0])}` : `${many(news.length, 'client')} were evicted.`);
    }
    this.#newest = newest;
  }
}
