// SPDX-License-Identifier: MIT
// The twenty slowest clients. Rows belong to clients: one that somebody points at or has the focus in doesn't move away.
import { byId, make, setText } from '/dom.js';
import { bytes, count, millis } from '/format.js';
import { kernelSays, nameOf, verdictSoFar } from '/words.js';

const ROWS = 20;

export class WorstTable {
  #rows = new Map(); // by id: the row's parts

  // `onEvict` is called with a client when its button is pressed; null: there are no buttons.
  constructor(onEvict) {
    this.body = byId('worst');
    this.onEvict = onEvict;
  }

  show(slow) {
    const worst = slow.worst.slice(0, ROWS);
    const isHeld = this.body.matches(':hover') || this.body.contains(document.activeElement);
    const ids = new Set(worst.map((client) => client.id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) this.#remove(id, row);

    worst.forEach((client, place) => {
      let row = this.#rows.get(client.id);
      if (!row) {
        row = this.#make(client);
        this.#rows.set(client.id, row);
        this.body.append(row.element);
      }
      this.#fill(row, client);
      if (!isHeld && this.body.children[place] !== row.element) this.body.insertBefore(row.element, this.body.children[place]);
    });
    byId('worst-empty').hidden = worst.length > 0;
    this.body.parentElement.hidden = worst.length === 0;
    setText(byId('worst-hint'), slow.slow.length > worst.length ? `${count(worst.length)} of ${count(slow.slow.length)} that have messages waiting` : '');
  }

  #remove(id, row) {
    this.#rows.delete(id);
    const hadFocus = row.element.contains(document.activeElement);
    row.element.remove();
    if (hadFocus) byId('worst-title').focus(); // rather than nowhere
  }

  #make(client) {
    const cell = (className, ...children) => make('td', { role: 'cell', class: className }, ...children);
    const row = {
      name: make('strong'), peer: make('span'), topics: cell('topics'),
      percent: make('span'), bar: make('i'),
      waiting: make('span'), waitingBytes: make('small'), lag: cell('number lag'),
      state: make('span'), clock: make('span', { class: 'clock' }), clockBar: make('i'), kernel: make('span'), kernelBytes: make('small'),
    };
    const clock = make('span', { class: 'meter' }, row.clockBar);
    row.clockMeter = clock;
    const action = cell('action');
    if (this.onEvict) {
      row.button = make('button', { type: 'button' }, 'Evict');
      row.button.addEventListener('click', () => this.onEvict(row.client));
      action.append(row.button);
    }
    row.element = make('tr', { role: 'row', 'data-id': client.id },
      cell('client', row.name, row.peer), row.topics,
      cell('ring', row.percent, make('span', { class: 'meter' }, row.bar)),
      cell('number waiting', row.waiting, row.waitingBytes), row.lag,
      cell('verdict-so-far', row.state, ' ', row.clock, clock), cell('kernel', row.kernel, row.kernelBytes), action);
    return row;
  }

  #fill(row, client) {
    row.client = client;
    setText(row.name, nameOf(client));
    setText(row.peer, `${client.peer} · ${client.protocol}`);
    setText(row.topics, client.topics.join(', '));
    setText(row.percent, `${client.fill_percent} %`);
    row.bar.style.width = `${client.fill_percent}%`;
    row.bar.style.background = client.state === 'stalled' ? 'var(--stalled)' : client.state === 'backpressured' ? 'var(--backpressured)' : 'var(--healthy)';
    setText(row.waiting, `${count(client.queued)} msg`);
    setText(row.waitingBytes, bytes(client.queued_bytes));
    setText(row.lag, millis(client.oldest_ms));
    const verdict = verdictSoFar(client);
    row.state.className = `badge ${client.state}`;
    setText(row.state, client.state);
    setText(row.clock, verdict?.text ?? '');
    row.clockMeter.hidden = !verdict;
    row.clockBar.style.width = `${(verdict?.share ?? 0) * 100}%`;
    row.clockBar.style.background = `var(--${client.state === 'stalled' ? 'stalled' : 'backpressured'})`;
    setText(row.kernel, kernelSays(client));
    setText(row.kernelBytes, client.kernel_bytes > 0 ? `${bytes(client.kernel_bytes)} unacknowledged` : '');
    row.button?.setAttribute('aria-label', `Evict ${nameOf(client)}`);
  }
}
