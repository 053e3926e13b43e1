// SPDX-License-Identifier: MIT
// Figures as people read them: 12 345 · 1.2 MB · 5.0 s · 900 µs.

const THIN = '\u202f'; // a narrow blank that doesn't break

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, THIN);

export const count = (number) => grouped(String(Math.round(number)));

// "1 client", "2 clients"
export const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

export function bytes(number) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1024;
    unit++;
  }
  const digits = unit === 0 || number >= 100 ? 0 : number >= 10 ? 0 : 1;
  return `${number.toFixed(digits)}${THIN}${units[unit]}`;
}

export function micros(number) {
  if (number < 1000) return `${Math.round(number)}${THIN}µs`;
  if (number < 1e6) return `${(number / 1000).toFixed(number < 1e4 ? 1 : 0)}${THIN}ms`;
  return `${(number / 1e6).toFixed(1)}${THIN}s`;
}

export function millis(number) {
  if (number < 60000) return `${(number / 1000).toFixed(1)}${THIN}s`;
  const seconds = Math.round(number / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${THIN}min ${seconds % 60}${THIN}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}${THIN}h ${minutes % 60}${THIN}min`;
  return `${Math.floor(minutes / 1440)}${THIN}d ${Math.floor((minutes % 1440) / 60)}${THIN}h`;
}

// A share of 1 in percent. What isn't all is never shown as all: 99.999 % is not 100 %.
export function percent(share) {
  if (share >= 1) return `100${THIN}%`;
  return `${Math.min(Math.floor(share * 10000) / 100, 99.99).toFixed(share >= 0.999 ? 2 : 1)}${THIN}%`;
}

export function ago(seconds) {
  if (seconds < 2) return 'now';
  if (seconds < 60) return `${Math.floor(seconds)}${THIN}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${THIN}min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}${THIN}h ago`;
  return `${Math.floor(seconds / 86400)}${THIN}d ago`;
}
