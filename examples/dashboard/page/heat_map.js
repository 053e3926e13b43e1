// SPDX-License-Identifier: MIT
// The map of connections: a square each on a canvas, of which only those are painted that have changed. One of them can be
// pointed at or moved to by keys; who that is stands below, and is what a screen reader says.
import { colourOf, byId, make, setText } from '/dom.js';
import { bytes, count, many, millis } from '/format.js';
import { cellsPerSquare, countSteps, FREE, layOut, squaresOf, STALLED, STEPS, stepsOf } from '/heat_layout.js';
import { kernelSays, nameOf } from '/words.js';

const ASK_AFTER_MS = 150; // of pointing at the same square
const EVICTED_SHOWN_MS = 2500;

export class HeatMap {
  // How often it was painted, and what that cost in milliseconds, the last times.
  frames = 0;
  costs = [];
  #slow = { cells: 0, free: [], slow: [], worst: [] };
  #squares = new Uint8Array(0); // what they show
  #steps = new Uint8Array(0); // and in which colour
  #painted = new Uint8Array(0);
  #width = 0;
  #height = 0;
  #layout = null;
  #chosen = null; // the square that is pointed at
  #evicted = new Map(); // by square: until when it is shown
  #asked = null;
  #asking = null;

  // `ask` fetches who has a cell: a promise of a connection, or of null.
  constructor(ask) {
    this.ask = ask;
    this.canvas = byId('map');
    this.context = this.canvas.getContext('2d', { alpha: false });
    this.#makeLegend();
    this.#takeColours();
    document.addEventListener('themechange', () => this.#takeColours());
    new ResizeObserver(() => this.#repaint()).observe(this.canvas);
    this.canvas.addEventListener('pointermove', (event) => this.#choose(this.#squareAt(event)));
    this.canvas.addEventListener('pointerdown', (event) => this.#choose(this.#squareAt(event)));
    this.canvas.addEventListener('pointerleave', () => { if (document.activeElement !== this.canvas) this.#choose(null); });
    this.canvas.addEventListener('keydown', (event) => this.#onKey(event));
    this.canvas.addEventListener('focus', () => this.#choose(this.#chosen ?? 0));
    this.canvas.addEventListener('blur', () => this.#choose(null));
  }

  show(slow) {
    const began = performance.now();
    this.#slow = slow;
    this.#squares = squaresOf(slow);
    this.#steps = stepsOf(this.#squares);
    this.#paint();
    this.#showCounts();
    this.#describe();
    this.frames++;
    this.costs.push(performance.now() - began);
    if (this.costs.length > 240) this.costs.shift();
  }

  // A client was evicted: its place shows it for a moment, if nobody else has it.
  markEvicted(cell) {
    this.#evicted.set(this.#squareOf(cell), performance.now() + EVICTED_SHOWN_MS);
  }

  clear() {
    this.show({ cells: 0, free: [], slow: [], worst: [] });
    this.#evicted.clear();
    this.#repaint();
  }

  #squareOf(cell) {
    return Math.floor(cell / cellsPerSquare(this.#slow.cells));
  }

  #takeColours() {
    this.colours = STEPS.map((step, i) => colourOf(`--heat-${i}`));
    this.colours[STALLED] = colourOf('--heat-stalled');
    this.colours[FREE] = colourOf('--heat-free');
    this.mark = colourOf('--heat-mark');
    this.ground = colourOf('--panel');
    this.ring = colourOf('--text');
    this.#repaint();
  }

  // Everything anew: another size, another theme.
  #repaint() {
    this.#width = this.canvas.clientWidth; // to read it has the page laid out: not each time
    this.#height = this.canvas.clientHeight;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.#width * ratio);
    this.canvas.height = Math.round(this.#height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#layout = null;
    this.#paint();
  }

  #paint() {
    const layout = layOut(this.#squares.length, this.#width, this.#height, this.#layout);
    if (layout !== this.#layout) {
      this.#layout = layout;
      this.#fill(this.ground, 0, 0, this.#width, this.#height);
      this.#painted = new Uint8Array(0);
    }
    const painted = this.#painted;
    const steps = this.#steps;
    for (let square = 0; square < steps.length; square++) if (painted[square] !== steps[square]) this.#paintSquare(square);
    for (let square = steps.length; square < painted.length; square++) this.#eraseSquare(square);
    this.#painted = steps;
    this.#paintEvictions();
    if (this.#chosen !== null) this.#paintChosen();
  }

  #paintEvictions() {
    const now = performance.now();
    for (const [square, until] of this.#evicted) {
      const isThere = square < this.#steps.length;
      if (until > now && (!isThere || this.#steps[square] === FREE)) {
        this.#paintEvicted(square);
      } else {
        this.#evicted.delete(square);
        if (isThere) this.#paintSquare(square);
        else this.#eraseSquare(square);
      }
    }
  }

  // Where a square is, how large it is, and how much of that is the gap to the next.
  #place(square) {
    const { wide, tall, columns } = this.#layout;
    const gap = wide > 12 ? 3 : wide > 7 ? 2 : wide > 2 ? 1 : 0;
    return { x: (square % columns) * wide, y: Math.floor(square / columns) * tall, wide, tall, gap };
  }

  #fill(colour, x, y, wide, tall) {
    this.context.fillStyle = colour;
    this.context.fillRect(x, y, wide, tall);
  }

  #eraseSquare(square) {
    const { x, y, wide, tall } = this.#place(square);
    this.#fill(this.ground, x, y, wide, tall);
  }

  #paintSquare(square) {
    const step = this.#steps[square];
    const { x, y, wide, tall, gap } = this.#place(square);
    const [w, h] = [wide - gap, tall - gap];
    this.#fill(this.ground, x, y, wide, tall);
    if (step === FREE && wide > 5) { // a place that waits for somebody
      const dot = Math.max(2, Math.round(w / 4));
      this.#fill(this.colours[FREE], x + (w - dot) / 2, y + (h - dot) / 2, dot, dot);
    } else if (wide >= 10) {
      this.context.fillStyle = this.colours[step];
      this.context.beginPath();
      this.context.roundRect(x, y, w, h, Math.min(5, wide / 6));
      this.context.fill();
    } else if (step === STALLED) { // without its gap: larger than the others
      this.#fill(this.colours[step], x, y, wide, tall);
    } else {
      this.#fill(this.colours[step], x, y, w, h);
    }
    if (step === STALLED && wide >= 8) { // and with a bar on it
      const bar = Math.max(1, Math.round(w / 6));
      this.#fill(this.mark, x + w / 4, y + (h - bar) / 2, w / 2, bar);
    }
  }

  #paintFrame(square, colour, line, out) {
    const { x, y, wide, tall, gap } = this.#place(square);
    this.context.strokeStyle = colour;
    this.context.lineWidth = line;
    this.context.strokeRect(x - out, y - out, wide - gap + 2 * out, tall - gap + 2 * out);
  }

  #paintEvicted(square) {
    this.#eraseSquare(square);
    this.#paintFrame(square, this.colours[STALLED], this.#layout.wide > 12 ? 2 : 1, -1);
  }

  #paintChosen() {
    this.#paintFrame(this.#chosen, this.ring, 2, 1);
  }

  #squareAt(event) {
    const { wide, tall, columns } = this.#layout;
    const column = Math.floor(event.offsetX / wide);
    const square = Math.floor(event.offsetY / tall) * columns + column;
    return column < columns && square < this.#squares.length ? square : null;
  }

  #onKey(event) {
    const { columns } = this.#layout;
    const last = this.#squares.length - 1;
    const now = this.#chosen ?? 0;
    const isSlow = (square) => this.#squares[square] > 0 && this.#squares[square] !== FREE;
    const find = (step) => {
      for (let square = now + step; square >= 0 && square <= last; square += step) if (isSlow(square)) return square;
      return now;
    };
    const moves = {
      ArrowRight: () => now + 1, ArrowLeft: () => now - 1, ArrowDown: () => now + columns, ArrowUp: () => now - columns,
      Home: () => 0, End: () => last, PageDown: () => find(1), PageUp: () => find(-1),
    };
    if (!moves[event.key] || last < 0) return;
    event.preventDefault();
    const square = moves[event.key]();
    this.#choose(square < 0 || square > last ? now : square);
  }

  #choose(square) {
    if (square !== null && square >= this.#squares.length) square = null;
    if (square === this.#chosen) return;
    const before = this.#chosen;
    this.#chosen = square;
    this.#asked = null;
    clearTimeout(this.#asking);
    if (before !== null) this.#repaintAround(before);
    if (square !== null) {
      this.#paintChosen();
      this.#asking = setTimeout(() => this.#askWho(square), ASK_AFTER_MS);
    }
    this.#describe();
  }

  // The frame of a chosen square lies on its neighbours.
  #repaintAround(square) {
    const { columns } = this.#layout;
    for (const row of [-columns, 0, columns]) {
      for (const column of [-1, 0, 1]) {
        const other = square + row + column;
        if (other >= 0 && other < this.#squares.length) this.#paintSquare(other);
        else if (other >= 0) this.#eraseSquare(other);
      }
    }
  }

  // The cell that a square stands for: of several the worst one.
  #cellOf(square) {
    const per = cellsPerSquare(this.#slow.cells);
    if (per === 1) return square;
    const slow = this.#slow.slow.filter(([cell]) => Math.floor(cell / per) === square);
    if (slow.length === 0) return square * per;
    return slow.reduce((a, b) => (b[2] * 1000 + b[1] > a[2] * 1000 + a[1] ? b : a))[0];
  }

  async #askWho(square) {
    const who = await this.ask(this.#cellOf(square));
    if (square !== this.#chosen) return;
    this.#asked = who;
    this.#describe();
  }

  #describe() {
    const square = this.#chosen;
    const readout = byId('readout');
    if (square === null) {
      setText(readout, 'Point at a square, or move with the arrow keys: here is who it is.');
      return;
    }
    const value = this.#squares[square];
    const cell = this.#cellOf(square);
    const per = cellsPerSquare(this.#slow.cells);
    const who = this.#slow.worst.find((row) => row.cell === cell) ?? (this.#asked?.cell === cell ? this.#asked : null);
    let head = per === 1 ? `Place ${cell}` : `Places ${count(square * per)} to ${count(Math.min(this.#slow.cells, (square + 1) * per) - 1)}, the worst of them`;
    let rest = value === FREE ? 'free' : value === STALLED ? 'stalled' : `ring ${value} % full`;
    if (who && value !== FREE) {
      head = nameOf(who);
      rest = [who.peer, who.protocol, rest, who.queued > 0 ? `${many(who.queued, 'message')} wait (${bytes(who.queued_bytes)}), the oldest for ${millis(who.oldest_ms)}` : 'nothing waits',
        who.queued > 0 ? kernelSays(who) : `connected for ${millis(who.age_ms)}`].join(' · ');
    }
    readout.replaceChildren(make('strong', {}, head), ` · ${rest}`);
    this.canvas.setAttribute('aria-valuenow', String(square));
    this.canvas.setAttribute('aria-valuetext', `${head}, ${rest}`);
  }

  #makeLegend() {
    [...STEPS, { name: 'stalled' }].forEach(({ name, unit }, i) => {
      const head = make('th', { scope: 'col', class: name }, name);
      if (unit) head.append(make('span', { class: 'unit' }, ` ${unit}`));
      head.style.setProperty('--own', i === STEPS.length ? 'var(--heat-stalled)' : `var(--heat-${i})`);
      byId('legend-heads').append(head);
      byId('legend-counts').append(make('td', {}, '–'));
    });
  }

  #showCounts() {
    const per = cellsPerSquare(this.#slow.cells);
    const cells = byId('legend-counts').children;
    countSteps(this.#slow).forEach((number, i) => setText(cells[i], count(number)));
    this.canvas.setAttribute('aria-valuemax', String(Math.max(0, this.#squares.length - 1)));
    setText(byId('map-hint'), this.#slow.cells === 0 ? '' : per === 1 ? 'a square each, coloured by how full its ring is' : `a square for ${per} of them, coloured by the fullest ring`);
  }
}
