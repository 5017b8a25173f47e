/* SPDX-License-Identifier: Apache-2.0 */
/* A flow as a graph that lives: drawn anew when its nodes or connections
 * change, else only what is written in it does. */
import { byId, count, draw, put, rate, say } from './dom.js';
import { layout } from './layout.js';

const NODE = { width: 190, height: 68, inset: 12 };
const PORT = { height: 30 };
const LETTERS = 20;

let shown = ''; /* what the drawing was made of */
let nodes = new Map(); /* by name: its parts, place and neighbours */
let edges = [];
let chosen = null;
let onChoose = () => {};

export const chosenNode = () => chosen;
export const whenChosen = (tell) => { onChoose = tell; };

const short = (text, most = LETTERS) =>
  (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/* Ports of the flow's own are vertices, too.  Their names are a script's
 * neighbours: a kind in front keeps them apart. */
function partsOf(flow) {
  const vertices = flow.nodes.map((node) => ({ id: `n:${node.node}`, name: node.node, ...NODE }));
  const known = new Set(vertices.map((vertex) => vertex.id));
  const wires = new Map();
  const wire = (from, to, words) => {
    if (!known.has(from) || !known.has(to)) return;
    const key = JSON.stringify([from, to]);
    if (!wires.has(key)) wires.set(key, { from, to, words: [] });
    wires.get(key).words.push(words);
  };
  const port = (kind, one) => {
    const id = `${kind}:${one.name}`;
    if (!known.has(id)) {
      known.add(id);
      const width = 28 + 7.6 * short(one.name).length;
      vertices.push({ id, port: one.name, kind, width, ...PORT });
    }
    return id;
  };
  for (const one of flow.inports ?? []) {
    wire(port('in', one), `n:${one.node}`, `${one.name} → ${one.node}.${one.port}`);
  }
  for (const one of flow.connections ?? []) {
    wire(`n:${one.from}`, `n:${one.to}`,
      `${one.from}.${one.from_port} → ${one.to}.${one.to_port}`);
  }
  for (const one of flow.outports ?? []) {
    wire(`n:${one.node}`, port('out', one), `${one.node}.${one.port} → ${one.name}`);
  }
  return { vertices, wires: [...wires.values()] };
}

function drawEdge(wire, path) {
  const line = draw('path', { class: 'edge', d: path }, draw('title', {}, wire.words.join('\n')));
  const [x, y] = path.slice(path.lastIndexOf(',', path.lastIndexOf(',') - 1) + 1)
    .split(',').map(Number);
  const tip = draw('path', { class: 'tip', d: `M${x},${y}l-9,-4.5v9z` });
  return { ...wire, line, tip };
}

function drawPort(vertex, { x, y }) {
  const sign = vertex.kind === 'in' ? `▸ ${short(vertex.port)}` : `${short(vertex.port)} ▸`;
  return draw('g', { class: 'port', transform: `translate(${x},${y})` },
    draw('title', {}, `${vertex.kind === 'in' ? 'Inport' : 'Outport'} ${vertex.port}`),
    draw('rect', { class: 'box', width: vertex.width, height: vertex.height, rx: 15 }),
    draw('text', { class: 'small', x: vertex.width / 2, y: 19, 'text-anchor': 'middle' }, sign));
}

function drawNode(vertex, place, node) {
  const parts = {
    name: draw('text', { class: 'name', x: NODE.inset, y: 21 }, short(vertex.name)),
    state: draw('text', { x: 28, y: 41 }),
    rate: draw('text', { x: NODE.width - NODE.inset, y: 41, 'text-anchor': 'end' }),
    rest: draw('text', { class: 'small', x: NODE.inset, y: 59 }),
  };
  const group = draw('g', {
    class: 'node', transform: `translate(${place.x},${place.y})`, tabindex: '-1',
    role: 'button', 'aria-pressed': 'false', 'aria-controls': 'node',
    'aria-label': `${vertex.name}, a ${node.component}`,
  },
  draw('title', {}, `${vertex.name} (${node.component})`),
  draw('rect', { class: 'box', width: NODE.width, height: NODE.height, rx: 8 }),
  draw('circle', { class: 'dot', cx: 17, cy: 36.5, r: 4.5 }),
  parts.name, parts.state, parts.rate, parts.rest);
  group.addEventListener('click', () => { choose(vertex.name); group.focus(); });
  group.addEventListener('keydown', (event) => onKey(event, vertex.name));
  group.addEventListener('focus', () => group.scrollIntoView({ block: 'nearest', inline: 'nearest' }));
  return { name: vertex.name, group, parts, x: place.x, y: place.y, layer: place.layer };
}

/* Fonts are wider here and there. */
function fit(text) {
  const room = NODE.width - 2 * NODE.inset;
  text.removeAttribute('textLength');
  if (text.getComputedTextLength() <= room) return;
  put(text, 'lengthAdjust', 'spacingAndGlyphs');
  put(text, 'textLength', String(room));
}

function drawAll(flow) {
  const { vertices, wires } = partsOf(flow);
  const plan = layout(vertices, wires);
  const had = document.activeElement?.closest?.('.graph .node') != null;
  const facts = new Map(flow.nodes.map((node) => [node.node, node]));
  edges = wires.map((wire, index) => drawEdge(wire, plan.paths[index]));
  nodes = new Map();
  const drawn = vertices.map((vertex) => {
    const place = plan.places.get(vertex.id);
    if (vertex.port !== undefined) return drawPort(vertex, place);
    const one = drawNode(vertex, place, facts.get(vertex.name));
    nodes.set(vertex.name, one);
    return one.group;
  });
  const picture = draw('svg', {
    width: plan.width, height: plan.height, viewBox: `0 0 ${plan.width} ${plan.height}`,
    role: 'group', 'aria-describedby': 'graph-hint',
    'aria-label': `Graph of ${flow.name}: ${nodes.size} nodes, ${wires.length} connections`,
  }, ...edges.flatMap((edge) => [edge.line, edge.tip]), ...drawn);
  byId('graph').replaceChildren(picture);
  for (const one of nodes.values()) fit(one.parts.name);
  if (!nodes.has(chosen)) choose(null);
  const [first] = inOrder();
  const start = nodes.get(chosen) ?? first;
  start?.group.setAttribute('tabindex', '0');
  if (had) start?.group.focus();
}

/* ---- by keyboard ---- */

const inOrder = () => [...nodes.values()].sort((a, b) => a.layer - b.layer || a.y - b.y);

function neighbours(name, side) {
  const [here, there] = side === 'right' ? ['from', 'to'] : ['to', 'from'];
  return edges.filter((edge) => edge[here] === `n:${name}` && edge[there].startsWith('n:'))
    .map((edge) => nodes.get(edge[there].slice(2)));
}

/* Along an edge, else to what stands there; up and down within a layer. */
function next(name, key) {
  const here = nodes.get(name);
  const all = inOrder().filter((one) => one !== here);
  const near = (some) => some.sort((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x)
    || Math.abs(a.y - here.y) - Math.abs(b.y - here.y))[0];
  switch (key) {
    case 'ArrowRight':
      return near(neighbours(name, 'right').filter((one) => one.x > here.x))
        ?? near(all.filter((one) => one.x > here.x));
    case 'ArrowLeft':
      return near(neighbours(name, 'left').filter((one) => one.x < here.x))
        ?? near(all.filter((one) => one.x < here.x));
    case 'ArrowDown':
      return near(all.filter((one) => one.layer === here.layer && one.y > here.y));
    case 'ArrowUp':
      return near(all.filter((one) => one.layer === here.layer && one.y < here.y));
    case 'Home':
      return inOrder()[0];
    case 'End':
      return inOrder().pop();
    default:
      return undefined;
  }
}

function onKey(event, name) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Enter' || event.key === ' ') {
    choose(chosen === name ? null : name);
  } else if (event.key === 'Escape') {
    choose(null);
  } else if (/^(Arrow|Home|End)/.test(event.key)) {
    const one = next(name, event.key);
    if (one) {
      nodes.get(name).group.setAttribute('tabindex', '-1');
      one.group.setAttribute('tabindex', '0');
      one.group.focus();
    }
  } else {
    return;
  }
  event.preventDefault();
}

export function choose(name) {
  const was = chosen;
  chosen = name;
  for (const one of nodes.values()) {
    put(one.group, 'aria-pressed', String(one.name === chosen));
    if (chosen !== null) put(one.group, 'tabindex', one.name === chosen ? '0' : '-1');
  }
  if (was !== chosen) onChoose(was);
}

export const focusNode = (name) => nodes.get(name)?.group.focus();

/* ---- what is written in it ---- */

function isLit(edge, flow, changes) {
  const of = (id) => changes.get(id.slice(2));
  const isInner = (one) => one.from.startsWith('n:') && of(one.from)?.sent > 0;
  if (edge.from.startsWith('in:')) { /* what comes, and from nobody inside */
    return of(edge.to)?.received > 0 && !edges.some((one) => one.to === edge.to && isInner(one));
  }
  if (edge.to.startsWith('out:')) return flow.outputsPerSecond > 0 && of(edge.from)?.runs > 0;
  return of(edge.from)?.sent > 0 && of(edge.to)?.received > 0;
}

/* changes: by node, what it does in a second. */
export function show(flow, changes) {
  const made = JSON.stringify([flow.name, flow.nodes.map((node) => [node.node, node.component]),
    flow.connections, flow.inports, flow.outports]);
  if (made !== shown) {
    shown = made;
    drawAll(flow);
  }
  for (const node of flow.nodes) {
    const one = nodes.get(node.node);
    const change = changes.get(node.node);
    const more = [[node.queued, 'queued'], [node.failures, 'failed']]
      .filter(([number]) => number > 0).map(([number, what]) => `${count(number)} ${what}`);
    put(one.group, 'data-state', node.state);
    put(one.group, 'class', change.failures > 0 ? 'node failing' : 'node');
    say(one.parts.state, node.state);
    say(one.parts.rate, rate(change.runs));
    say(one.parts.rest, [...(more.length < 2 ? [`${count(node.runs)} runs`] : []), ...more]
      .join(' · '));
    fit(one.parts.rest);
  }
  for (const edge of edges) {
    const lit = isLit(edge, flow, changes);
    put(edge.line, 'class', lit ? 'edge lit' : 'edge');
    put(edge.tip, 'class', lit ? 'tip lit' : 'tip');
  }
}

export function clear() {
  shown = '';
  nodes = new Map();
  edges = [];
  byId('graph').replaceChildren();
  choose(null);
}
