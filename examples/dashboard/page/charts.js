// SPDX-License-Identifier: MIT
// The last five minutes, in four charts by Chart.js. What a chart shows stands in figures in its label, too.
import { byId, colourOf, make, setText } from '/dom.js';
import { bytes, count, micros } from '/format.js';
import { seriesOf } from '/history.js';

const SPANS_S = [60, 120, 300]; // the shortest one that all points fit in

const kinds = [
  { id: 'deliveries', series: ['deliveries'], names: ['Deliveries a second'], format: count },
  { id: 'slow', series: ['backpressured', 'stalled'], names: ['backpressured', 'stalled'], format: count },
  { id: 'broadcast', series: ['broadcast'], names: ['Broadcast, p99'], format: micros },
  { id: 'queued', series: ['queued'], names: ['Bytes waiting'], format: bytes, isBytes: true },
];

const agoText = (seconds) => (seconds === 0 ? 'now' : seconds > -60 ? `${-seconds} s` : `${-seconds / 60} min`);

// The step of an axis of bytes: a power of two, so that it is a round number of KB or MB.
const byteStep = (most) => 2 ** Math.max(10, Math.ceil(Math.log2(most / 3)));

function makeChart(kind) {
  return new window.Chart(byId(`chart-${kind.id}`), {
    type: 'line',
    data: { datasets: kind.names.map((name, i) => ({ label: name, data: [], borderDash: i === 1 ? [5, 3] : [] })) },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: 'nearest', axis: 'x', intersect: false },
      elements: { line: { borderWidth: 2, cubicInterpolationMode: 'monotone' }, point: { radius: 0, hoverRadius: 4 } },
      scales: {
        x: { type: 'linear', max: 0, grid: { display: false, drawBorder: false }, ticks: { callback: agoText, maxRotation: 0, align: 'inner' } },
        y: { beginAtZero: true, suggestedMax: 4, grid: { drawTicks: false, drawBorder: false }, ticks: { maxTicksLimit: 4, padding: 6, precision: 0, callback: (value) => kind.format(value) } },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
          callbacks: {
            title: ([item]) => (item.parsed.x > -1 ? 'now' : `${Math.round(-item.parsed.x)} s ago`),
            label: (item) => `${kind.names.length > 1 ? `${item.dataset.label}: ` : ''}${kind.format(item.parsed.y)}`,
          },
        },
      },
    },
  });
}

export class Charts {
  constructor() {
    this.charts = kinds.map((kind) => {
      const value = make('strong');
      byId(`chart-${kind.id}`).setAttribute('aria-label', `${byId(`chart-${kind.id}-title`).textContent}: nothing is known yet`);
      byId(`chart-${kind.id}-title`).append(value);
      return { kind, value, chart: makeChart(kind) };
    });
    this.#takeColours();
    document.addEventListener('themechange', () => this.#takeColours());
  }

  show(past) {
    const series = seriesOf(past);
    const age = past.length > 0 ? past.at(-1).time - past[0].time : 0;
    const span = SPANS_S.find((seconds) => age <= seconds) ?? SPANS_S.at(-1);
    for (const { kind, value, chart } of this.charts) {
      kind.series.forEach((name, i) => { chart.data.datasets[i].data = series[name]; });
      const known = kind.series.map((name) => series[name].map((point) => point.y).filter((y) => y !== null));
      if (known[0].length === 0) continue;
      const most = Math.max(...known.map((values) => Math.max(...values)));
      const { x, y } = chart.options.scales;
      x.min = -span;
      x.ticks.stepSize = span / 2;
      if (kind.isBytes) y.ticks.stepSize = byteStep(most);
      chart.update('none');
      const now = known.map((values, i) => `${kind.format(values.at(-1))}${known.length > 1 ? ` ${kind.names[i]}` : ''}`);
      if (known.length === 1) setText(value, now[0]);
      else value.replaceChildren(...known.map((values, i) => make('span', { class: `badge ${kind.names[i]}`, title: kind.names[i] }, kind.format(values.at(-1)))));
      chart.canvas.setAttribute('aria-label', `${byId(`chart-${kind.id}-title`).firstChild.textContent} in the last five minutes: now ${now.join(' and ')}, at most ${kind.format(most)}`);
    }
  }

  #takeColours() {
    const [first, second] = [colourOf('--series'), colourOf('--series-2')];
    for (const { chart } of this.charts) {
      const { datasets } = chart.data;
      datasets[0].borderColor = datasets.length > 1 ? colourOf('--backpressured') : first;
      if (datasets[1]) datasets[1].borderColor = second;
      datasets.forEach((dataset) => {
        dataset.backgroundColor = dataset.borderColor.replace('rgb(', 'rgba(').replace(')', ', 0.12)');
        dataset.fill = datasets.length === 1;
      });
      const { x, y } = chart.options.scales;
      x.ticks.color = y.ticks.color = colourOf('--muted');
      y.grid.color = colourOf('--line');
      Object.assign(chart.options.plugins.tooltip, { backgroundColor: colourOf('--text'), titleColor: colourOf('--panel'), bodyColor: colourOf('--panel') });
      chart.update('none');
    }
  }
}
