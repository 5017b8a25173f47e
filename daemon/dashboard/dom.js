/* SPDX-License-Identifier: Apache-2.0 */
/* Elements, and words for numbers.  Scripts are hostile, and names and texts
 * come from them: whatever is shown goes in as text, never as markup. */
const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  for (const child of children) {
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

export const make = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/* Only where it changes something: what is selected stays so, and nobody is
 * told again what they know. */
export function say(element, text) {
  const now = String(text);
  if (element.textContent !== now) element.textContent = now;
}

export function put(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function count(number) {
  if (number < 1e5) return String(Math.round(number));
  const [unit, name] = number < 1e6 ? [1e3, 'k'] : number < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  return `${(number / unit).toFixed(1)} ${name}`;
}

export function rate(number) {
  if (number === 0) return '0/s';
  return number < 9.95 ? `${number.toFixed(1)}/s` : `${count(number)}/s`;
}

export function time(ns) {
  if (!ns) return '–';
  const [unit, name] = ns < 1e6 ? [1e3, 'µs'] : ns < 1e9 ? [1e6, 'ms'] : [1e9, 's'];
  const value = ns / unit;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${name}`;
}

export function span(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export const clock = (ms) =>
  new Date(ms).toLocaleTimeString('en-GB', { hour12: false });
