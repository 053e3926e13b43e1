// SPDX-License-Identifier: MIT
// Where on the map which client is, and what its square shows. No canvas is known here.

export const FREE = 255; // a cell that nobody has
export const STALLED = 254;
const BINNED_FROM = 20000; // cells
const SQUARES_BINNED = 10000;
const LARGEST = 66; // pixels
const FEWEST = 24; // squares that there is always room for
const HEADROOM = 1.08;
const SPARSE = 3; // times the room that is needed: squares grow again

// How many cells share a square.
export const cellsPerSquare = (cells) => (cells < BINNED_FROM ? 1 : Math.ceil(cells / SQUARES_BINNED));

// How wide and tall a square is with its gap, and how many are in a row: as large as can be, so that the map is filled. The
// next few that come have room, too, so that places change only when the number does by much.
export function layOut(squares, width, height, last) {
  const roomOf = (wide, tall) => Math.floor(width / wide) * Math.floor(height / tall);
  if (last?.width === width && last?.height === height) {
    const room = roomOf(last.wide, last.tall);
    if (room >= squares && room <= squares * SPARSE) return last;
  }
  const wanted = Math.max(squares * HEADROOM, FEWEST);
  let best = { wide: 1, tall: 1 };
  for (let wide = 2; wide <= LARGEST; wide++) {
    for (let tall = wide; tall <= Math.min(LARGEST, wide * 1.5); tall++) {
      if (roomOf(wide, tall) >= wanted && wide * tall > best.wide * best.tall) best = { wide, tall };
    }
  }
  return { ...best, width, height, columns: Math.max(1, Math.floor(width / best.wide)) };
}

// What each square shows: the fill of its fullest ring from 0 to 100, STALLED, or FREE if nobody is there.
export function squaresOf({ cells, free, slow }) {
  const per = cellsPerSquare(cells);
  const squares = new Uint8Array(Math.ceil(cells / per)).fill(0);
  if (per === 1) {
    for (const [from, to] of free) squares.fill(FREE, from, to + 1);
  } else {
    markFree(squares, free, cells, per);
  }
  for (const [cell, fill, isStalled] of slow) {
    const square = Math.floor(cell / per);
    const value = isStalled ? STALLED : Math.min(100, fill);
    if (squares[square] === FREE || value > squares[square]) squares[square] = value;
  }
  return squares;
}

// A square of several cells is free when all of them are.
function markFree(squares, free, cells, per) {
  const left = new Uint16Array(squares.length).fill(per);
  if (cells % per > 0) left[left.length - 1] = cells % per;
  for (const [from, to] of free) {
    for (let square = Math.floor(from / per); square <= Math.floor(to / per); square++) {
      left[square] -= Math.min(to, (square + 1) * per - 1) - Math.max(from, square * per) + 1;
    }
  }
  for (let square = 0; square < squares.length; square++) if (left[square] === 0) squares[square] = FREE;
}

// The steps of the legend, by the largest fill that belongs to each.
export const STEPS = [
  { name: 'empty', to: 0 },
  { name: '1–24', unit: '%', to: 24 },
  { name: '25–49', unit: '%', to: 49 },
  { name: '50–74', unit: '%', to: 74 },
  { name: '75–99', unit: '%', to: 99 },
  { name: 'full', to: 100 },
];

const stepOf = (fill) => STEPS.findIndex((step) => fill <= step.to);
const stepOfValue = Uint8Array.from({ length: 256 }, (_, value) => (value <= 100 ? stepOf(value) : value));

// The step of each square; FREE and STALLED stay what they are.
export const stepsOf = (squares) => squares.map((value) => stepOfValue[value]);

// How many clients there are in each step, and stalled ones behind them.
export function countSteps({ cells, free, slow }) {
  const counts = new Array(STEPS.length + 1).fill(0);
  counts[0] = cells - slow.length - free.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  for (const [, fill, isStalled] of slow) counts[isStalled ? STEPS.length : stepOf(fill)]++;
  return counts;
}
