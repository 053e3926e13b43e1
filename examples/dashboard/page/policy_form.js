// SPDX-License-Identifier: MIT
// The policy: what it is, and changing it. What somebody is editing isn't overwritten by what the gateway says meanwhile.
import { byId, make, setText } from '/dom.js';
import { ago } from '/format.js';

const fields = [
  { name: 'slots', label: 'Ring, messages', help: 'that may wait for one client' },
  { name: 'ring_bytes', label: 'Ring, bytes', help: 'that may wait for one client' },
  { name: 'high', label: 'Backpressured from', unit: '%', help: 'of its ring: the high watermark' },
  { name: 'low', label: 'Until down at', unit: '%', help: 'of its ring: the low watermark' },
  { name: 'overflow', label: 'When the ring is full', choices: ['drop-newest', 'drop-oldest', 'evict'], help: 'what is lost, or who' },
  { name: 'stall_ms', label: 'Stalled after', unit: 'ms', help: 'without any progress: evicted. 0 is off' },
  { name: 'slow_ms', label: 'Slow after', unit: 'ms', help: 'of a ring that does not drain: evicted. 0 is off' },
  { name: 'lag_ms', label: 'Lagging after', unit: 'ms', help: 'of waiting of the oldest message: evicted. 0 is off' },
  { name: 'soft_bytes', label: 'Soft limit, bytes', help: 'more than that waits for all of the soft time: evicted. 0 is off' },
  { name: 'soft_ms', label: 'Soft time', unit: 'ms', help: 'for the soft limit. 0 is off' },
  { name: 'grace_ms', label: 'Grace', unit: 'ms', help: 'in which a new client is not evicted' },
  { name: 'shadow', label: 'Only report', isFlag: true, help: 'who would be evicted, and evict nobody' },
];

export class PolicyForm {
  #current = null;
  #inputs = new Map();

  // `apply` sends a change: a promise of the whole policy.
  constructor(mayAct, apply) {
    this.form = byId('policy');
    for (const field of fields) byId('policy-fields').append(this.#makeField(field, mayAct));
    this.form.querySelector('.actions').hidden = !mayAct;
    this.form.addEventListener('input', () => this.#showChanges());
    this.form.addEventListener('reset', (event) => {
      event.preventDefault();
      this.#setAll(this.#current);
      this.#say('');
    });
    this.form.addEventListener('submit', async (event) => {
      event.preventDefault();
      await this.#apply(apply);
    });
  }

  // `change` is the last one, or null: there was none.
  show(policy, change) {
    setText(byId('policy-change'), change ? `Last changed ${ago(Date.now() / 1000 - change.time)} by ${change.by}.` : '');
    const before = this.#current;
    this.#current = policy;
    for (const field of fields) {
      if (!before || this.#read(field) === before[field.name]) this.#write(field, policy[field.name]);
    }
    this.#showChanges();
  }

  #makeField(field, mayAct) {
    const id = `policy-${field.name}`;
    const input = field.choices ? make('select', { id }, ...field.choices.map((choice) => make('option', {}, choice)))
      : make('input', field.isFlag ? { id, type: 'checkbox' } : { id, type: 'text', inputmode: 'numeric', autocomplete: 'off' });
    input.setAttribute('aria-describedby', `${id}-help`);
    input.disabled = !mayAct;
    const help = make('p', { id: `${id}-help` }, field.help);
    const label = make('label', { for: id }, field.label);
    const unit = field.unit ? make('span', { class: 'visually-hidden' }, `, ${field.unit}`) : '';
    label.append(unit);
    const element = make('div', { class: field.isFlag ? 'field check' : 'field' });
    if (field.isFlag) {
      label.prepend(input);
      element.append(label, help);
    } else {
      element.append(label, make('div', { class: 'with-unit' }, input, make('span', { 'aria-hidden': 'true' }, field.unit ?? '')), help);
    }
    this.#inputs.set(field.name, { input, element });
    return element;
  }

  // What is in a field; a text that isn't a number stays a text.
  #read(field) {
    const { input } = this.#inputs.get(field.name);
    if (field.isFlag) return input.checked;
    if (field.choices) return input.value;
    return /^\d{1,15}$/.test(input.value.trim()) ? Number(input.value) : input.value;
  }

  #write(field, value) {
    const { input } = this.#inputs.get(field.name);
    if (field.isFlag) input.checked = value;
    else if (input.value !== String(value)) input.value = value;
  }

  #setAll(policy) {
    for (const field of fields) this.#write(field, policy[field.name]);
    this.#showChanges();
  }

  #changes() {
    if (!this.#current) return {};
    return Object.fromEntries(fields.map((field) => [field.name, this.#read(field)]).filter(([name, value]) => value !== this.#current[name]));
  }

  #showChanges() {
    const changes = this.#changes();
    const number = Object.keys(changes).length;
    for (const field of fields) this.#inputs.get(field.name).element.classList.toggle('is-changed', field.name in changes);
    byId('policy-apply').disabled = number === 0;
    byId('policy-reset').disabled = number === 0;
    setText(byId('policy-apply'), number > 1 ? `Apply ${number} changes` : 'Apply');
  }

  #say(text, isError = false) {
    byId('policy-message').classList.toggle('is-error', isError);
    setText(byId('policy-message'), text);
  }

  async #apply(apply) {
    const changes = this.#changes();
    const wrong = fields.find((field) => field.name in changes && !field.choices && !field.isFlag && typeof changes[field.name] !== 'number');
    if (wrong) {
      this.#say(`${wrong.label}: that has to be a whole number.`, true);
      this.#inputs.get(wrong.name).input.focus();
      return;
    }
    try {
      this.#current = await apply(changes);
      this.#setAll(this.#current);
      this.#say('Applied.');
    } catch (error) {
      this.#say(error.message, true);
    }
  }
}
