/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles, tables and the list of errors. */
import { byId, clock, count, draw, make, put, rate, say, span, time } from './dom.js';

const ERRORS_MAX = 50;
const OF_ONE_MAX = 10; /* one that fails again and again hides no others */
const SAMPLES = 60;

/* ---- the overview ---- */

const tiles = new Map();
const samples = [];

function tile(name, value, more = '', kind = '') {
  let one = tiles.get(name);
  if (!one) {
    one = { value: make('span'), more: make('small') };
    one.box = make('div', {}, make('dt', {}, name), make('dd', {}, one.value, ' ', one.more));
    byId('tiles').append(one.box);
    tiles.set(name, one);
  }
  say(one.value, value);
  say(one.more, more);
  put(one.box, 'class', kind);
  return one;
}

function spark(box, values) {
  let picture = box.querySelector('svg');
  if (!picture) {
    picture = draw('svg', {
      class: 'spark', viewBox: `0 0 ${SAMPLES - 1} 20`, preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    }, draw('path'));
    box.append(picture);
  }
  const most = Math.max(...values, 1);
  const first = SAMPLES - values.length;
  put(picture.firstChild, 'd', values.map((value, index) =>
    `${index === 0 ? 'M' : 'L'}${first + index},${(19 - 18 * value / most).toFixed(1)}`).join(''));
}

export function showOverview(daemon, callsPerSecond) {
  samples.push(callsPerSecond);
  if (samples.length > SAMPLES) samples.shift();
  const calls = tile('Calls', rate(callsPerSecond), `${count(daemon.calls)} in all`, 'wide');
  spark(calls.box, samples);
  tile('Failed', count(daemon.failures), daemon.calls > 0
    ? `${(100 * daemon.failures / daemon.calls).toFixed(1)} %` : '', daemon.failures > 0 ? 'bad' : '');
  tile('50 % within', time(daemon.lately.ns_50));
  tile('90 % within', time(daemon.lately.ns_90));
  tile('99 % within', time(daemon.lately.ns_99));
  tile('Workers busy', daemon.workers_busy, `of ${daemon.workers}`);
  tile('Waiting', daemon.queued, `of ${count(daemon.queue_max)}`, daemon.queued > 0 ? 'bad' : '');
  tile('Connections', daemon.connections, daemon.websockets > 0 ? `${daemon.websockets} WebSockets` : '');
  tile('Turned away', count(daemon.refused + daemon.denied));
  tile('Up for', span(daemon.uptime_s));
}

export const forgetSamples = () => samples.splice(0);

/* ---- tables ---- */

/* columns: {name, text, of(row), kind(row)}; rows stay as long as their key. */
function showTable(table, caption, columns, rows, keyOf) {
  if (!table.tHead) {
    put(table, 'role', 'table');
    table.append(make('caption', {}, caption), make('thead', { role: 'rowgroup' },
      make('tr', { role: 'row' }, ...columns.map((column) => make('th', {
        scope: 'col', role: 'columnheader', class: column.text ? 'text' : '',
      }, column.name)))), make('tbody', { role: 'rowgroup' }));
    table.known = new Map();
  }
  const was = table.known;
  table.known = new Map();
  rows.forEach((row, index) => {
    const key = keyOf(row);
    let line = was.get(key);
    if (!line) {
      line = make('tr', { role: 'row' }, ...columns.map((column, at) => (at === 0
        ? make('th', { scope: 'row', role: 'rowheader' }, make('span'), make('span', { class: 'tag' }))
        : make('td', { role: 'cell', 'data-label': column.name }, make('span')))));
    }
    columns.forEach((column, at) => {
      const cell = line.children[at];
      say(cell.firstChild, column.of(row));
      if (at === 0) say(cell.lastChild, column.tag?.(row) ?? '');
      else put(cell, 'class', [column.text ? 'text' : '', column.kind?.(row) ?? ''].join(' ').trim());
      if (column.title) put(cell, 'title', column.title(row));
    });
    table.known.set(key, line);
    if (table.tBodies[0].children[index] !== line) {
      table.tBodies[0].insertBefore(line, table.tBodies[0].children[index] ?? null);
    }
  });
  for (const [key, line] of was) if (table.known.get(key) !== line) line.remove();
}

const badIf = (test) => (row) => (test(row) ? 'bad' : '');

const actorColumns = [
  { name: 'Actor', of: (a) => a.id, tag: (a) => (a.is_sent ? ' came with a request' : '') },
  { name: 'Isolation', text: true, of: (a) => a.isolation, title: (a) => a.why },
  { name: 'Calls', of: (a) => count(a.calls) },
  { name: 'Failed', of: (a) => count(a.failures), kind: badIf((a) => a.failures > 0) },
  { name: 'Lately', of: (a) => rate(a.lately.calls_per_second) },
  { name: '50 %', of: (a) => time(a.lately.ns_50) },
  { name: '90 %', of: (a) => time(a.lately.ns_90) },
  { name: '99 %', of: (a) => time(a.lately.ns_99) },
  { name: 'Busy', of: (a) => a.pool.busy },
  { name: 'Free', of: (a) => a.pool.ready },
  { name: 'Made', of: (a) => count(a.pool.built) },
  { name: 'Wiped', of: (a) => count(a.pool.wiped) },
  { name: 'Broken', of: (a) => count(a.pool.broken) },
  { name: 'Waiting', of: (a) => a.pool.waiting, kind: badIf((a) => a.pool.waiting > 0) },
];

export function showActors(actors, all) {
  byId('actors').hidden = actors.length === 0;
  byId('actors-none').hidden = actors.length > 0;
  byId('actors-more').hidden = all <= actors.length;
  say(byId('actors-more'), `${all} are loaded; the ${actors.length} latest are here.`);
  const keys = new Map();
  showTable(byId('actors'), 'Times are of the last minute; from Busy on, sandboxes. Calls in flows are counted at their nodes.', actorColumns, actors, (a) => {
    const key = `${a.is_sent} ${a.id}`;
    keys.set(key, (keys.get(key) ?? 0) + 1);
    return `${keys.get(key)} ${key}`; /* two texts may have one name */
  });
}

const nodeColumns = [
  { name: 'Node', of: (n) => n.node },
  { name: 'Component', text: true, of: (n) => n.component },
  { name: 'State', text: true, of: (n) => n.state },
  { name: 'Runs', of: (n) => count(n.runs) },
  { name: 'Rate', of: (n) => rate(n.change.runs) },
  { name: 'Queued', of: (n) => count(n.queued) },
  { name: 'Failed', of: (n) => count(n.failures), kind: badIf((n) => n.failures > 0) },
  { name: '50 %', of: (n) => time(n.run_ns_50) },
  { name: '99 %', of: (n) => time(n.run_ns_99) },
];

export function showNodes(nodes, changes) {
  const rows = nodes.map((node) => ({ ...node, change: changes.get(node.node) }));
  showTable(byId('nodes'), 'Times are of all runs', nodeColumns, rows, (n) => n.node);
}

/* ---- pairs of name and value ---- */

export function showPairs(list, pairs) {
  pairs.forEach(([name, value, kind = ''], index) => {
    let line = list.children[index];
    if (!line) {
      line = make('div', {}, make('dt'), make('dd'));
      list.append(line);
    }
    put(line, 'class', kind);
    say(line.firstChild, name);
    say(line.lastChild, value);
  });
  while (list.children.length > pairs.length) list.lastChild.remove();
}

/* ---- errors ---- */

function errorLine(error) {
  const head = [
    make('time', { datetime: new Date(error.at_ms).toISOString() }, clock(error.at_ms)), ' ',
    make('strong', {}, error.actor), ' ', make('span', { class: 'code' }, error.code), ' ',
    error.message];
  if (!error.traceback) return make('li', {}, make('p', { class: 'plain' }, ...head));
  return make('li', {}, make('details', {}, make('summary', {}, ...head),
    make('pre', { tabindex: '0', 'aria-label': 'Traceback' }, error.traceback)));
}

/* Newest first. */
export function addErrors(errors) {
  const list = byId('errors');
  for (const error of errors) {
    const line = errorLine(error);
    line.actor = error.actor;
    list.prepend(line);
    const same = [...list.children].filter((one) => one.actor === error.actor);
    same.slice(OF_ONE_MAX).forEach((one) => one.remove());
  }
  while (list.children.length > ERRORS_MAX) list.lastChild.remove();
  byId('errors-none').hidden = list.children.length > 0;
}

export function clearErrors() {
  byId('errors').replaceChildren();
  byId('errors-none').hidden = false;
}
