// SPDX-License-Identifier: MIT
// The little that is done to the document everywhere. Text is always set as text: nothing that a client says becomes HTML.

export const byId = (id) => document.getElementById(id);

// Set a text if it is another one: what doesn't change isn't painted, selected text stays selected.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Make an element: make('td', { class: 'ring' }, 'text or element', …)
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// The colour of a custom property, as the canvas takes it, in the theme of the moment.
export function colourOf(property) {
  const probe = make('i');
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
