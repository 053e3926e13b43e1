// SPDX-License-Identifier: MIT
// The theme: the system's until the button is pressed, and what was chosen from then on. It runs before the page is
// painted, so it is not a module. Those who draw on a canvas hear of a change by the event "themechange".
(() => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches);

  function show() {
    document.getElementById('theme')?.setAttribute('aria-pressed', String(isDark()));
    document.dispatchEvent(new Event('themechange'));
  }

  const chosen = localStorage.getItem('theme');
  if (chosen === 'dark' || chosen === 'light') root.dataset.theme = chosen;
  system.addEventListener('change', show);
  document.addEventListener('DOMContentLoaded', () => {
    show();
    document.getElementById('theme').addEventListener('click', () => {
      root.dataset.theme = isDark() ? 'light' : 'dark';
      localStorage.setItem('theme', root.dataset.theme);
      show();
    });
  });
})();
