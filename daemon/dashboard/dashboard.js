/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page: it asks once a second for /v1/stats, and shows what has come.
 *
 *   live --- no reply ---> far: "not reached since"; asks again, ever slower
 *    |  \--- 401 --------> denied: a token is asked for
 *    |   \-- Pause ------> paused
 *    \------ not seen ---> asks nothing, until the page is shown again
 */
import { Refused, ask, token } from './ask.js';
import { byId, clock, count, put, rate, say, time } from './dom.js';
import * as graph from './graph.js';
import * as panels from './panels.js';
import * as trial from './try.js';

const EVERY_MS = 1000;
const SLOW_MS = 5000;
const FAR_MS_MAX = 10000;
const REPLY_MS = 8000;
const HISTORY = 4; /* replies that a rate is made of */

let timer = 0;
let asking = false;
let paused = false;
let denied = false;
let reached = Date.now();
let failures = 0;
let after = 0; /* the last error that is shown */
let begun = 0; /* when the daemon did */
let history = [];
let wanted = ''; /* the flow that is shown */
let last = null; /* its nodes and connections */

function tell(kind, text) {
  put(byId('status'), 'data-kind', kind);
  say(byId('status'), text);
  byId('retry').hidden = kind !== 'bad';
  document.body.classList.toggle('stale', kind === 'bad');
  document.body.classList.toggle('still', kind !== 'good');
}

/* ---- rates ---- */

function perSecond(read) {
  if (history.length < 2) return 0;
  const [first, now] = [history[0], history[history.length - 1]];
  const [a, b] = [read(first), read(now)];
  const seconds = (now.now_ms - first.now_ms) / 1000;
  return a === undefined || b === undefined || seconds <= 0 ? 0 : Math.max(0, (b - a) / seconds);
}

const flowOf = (stats, name) => stats.flows.find((flow) => flow.name === name);

function changesOf(flow) {
  const changes = new Map();
  const tables = new Map(history.map((stats) => [stats, new Map(
    (flowOf(stats, flow.name)?.nodes ?? []).map((node) => [node.node, node]))]));
  for (const node of flow.nodes) {
    const of = (what) => perSecond((stats) => tables.get(stats).get(node.node)?.[what]);
    changes.set(node.node, {
      runs: of('runs'), received: of('received'), sent: of('sent'), failures: of('failures'),
    });
  }
  return changes;
}

/* ---- flows ---- */

function showChoice(flows) {
  const select = byId('flow');
  const names = flows.map((flow) => flow.name).sort();
  if (JSON.stringify(names) !== JSON.stringify([...select.options].map((one) => one.value))) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
  }
  if (!names.includes(wanted)) wanted = names[0] ?? '';
  if (select.value !== wanted) select.value = wanted;
  byId('flow-label').hidden = names.length === 0;
  byId('flows-none').hidden = names.length > 0;
}

function portsOf(flow, name) {
  const coming = [
    ...flow.connections.filter((one) => one.to === name)
      .map((one) => `${one.from}.${one.from_port} → ${one.to_port}`),
    ...flow.inports.filter((one) => one.node === name).map((one) => `${one.name} → ${one.port}`)];
  const going = [
    ...flow.connections.filter((one) => one.from === name)
      .map((one) => `${one.from_port} → ${one.to}.${one.to_port}`),
    ...flow.outports.filter((one) => one.node === name).map((one) => `${one.port} → ${one.name}`)];
  return [['Comes from', coming.join(', ') || '–', 'wide'], ['Goes to', going.join(', ') || '–', 'wide']];
}

function showNode() {
  const name = graph.chosenNode();
  const node = last?.flow.nodes.find((one) => one.node === name);
  byId('node').hidden = !node;
  if (!node) return;
  const change = last.changes.get(name);
  say(byId('node-title'), `Node ${name}`);
  panels.showPairs(byId('node-facts'), [
    ['Component', node.component], ['Isolation', node.isolation], ['State', node.state],
    ['Runs', `${count(node.runs)}, ${rate(change.runs)}`],
    ['Received', `${count(node.received)}, ${rate(change.received)}`],
    ['Sent', `${count(node.sent)}, ${rate(change.sent)}`],
    ['Queued', count(node.queued)], ['Failed', count(node.failures)],
    ['Given up', count(node.letters)], ['50 % within', time(node.run_ns_50)],
    ['99 % within', time(node.run_ns_99)], ...portsOf(last.flow, name),
  ]);
}

function showFlows(stats) {
  showChoice(stats.flows);
  const flow = flowOf(stats, wanted);
  if (!flow) {
    last = null;
    byId('flow-whole').hidden = true;
    graph.clear();
  } else if (flow.nodes && flow.connections) { /* else it is being changed */
    byId('flow-whole').hidden = false;
    const outputsPerSecond = perSecond((one) => flowOf(one, wanted)?.outputs);
    last = { flow: { ...flow, outputsPerSecond }, changes: changesOf(flow) };
    say(byId('flow-facts'), `${flow.nodes.length} nodes; ${count(flow.outputs)} messages came out, `
      + `${rate(outputsPerSecond)}; ${count(flow.letters)} given up.`);
    graph.show(last.flow, last.changes);
    panels.showNodes(flow.nodes, last.changes);
  }
  showNode();
}

/* ---- a reply ---- */

function forget() {
  history = [];
  after = 0;
  panels.clearErrors();
  panels.forgetSamples();
}

function show(stats) {
  history.push(stats);
  if (history.length > HISTORY) history.shift();
  say(byId('version'), stats.daemon.version);
  panels.showOverview(stats.daemon, perSecond((one) => one.daemon.calls));
  panels.showActors(stats.actors, stats.actor_count);
  panels.addErrors(stats.errors);
  after = stats.errors.at(-1)?.number ?? after;
  showFlows(stats);
  if (stats.daemon.is_draining) tell('bad', 'It ends: nobody new is let in.');
  else tell('good', 'Live');
}

/* It was started anew: what is counted begins at 0. */
function isAnother(stats) {
  const was = begun;
  begun = stats.now_ms - stats.daemon.uptime_s * 1000;
  return was !== 0 && Math.abs(begun - was) > 1500;
}

function plan(ms) {
  clearTimeout(timer);
  if (!paused && !denied && !document.hidden) timer = setTimeout(poll, ms);
}

function showFailed(error) {
  if (error instanceof Refused && error.status === 401) {
    deny();
    return;
  }
  failures += 1;
  if (error instanceof Refused && error.status === 429) {
    tell('wait', 'This token may not ask so often: every 5 seconds now.');
    plan(SLOW_MS);
    return;
  }
  const why = error instanceof Refused ? ` (${error.message})` : '';
  tell('bad', `Not reached since ${clock(reached)}${why}`);
  plan(Math.min(EVERY_MS * 2 ** Math.min(failures - 1, 4), FAR_MS_MAX));
}

async function poll() {
  if (asking || paused || denied) return;
  asking = true;
  const flow = wanted;
  try {
    const stats = await ask(`v1/stats?flow=${encodeURIComponent(flow)}&after=${after}`,
      { signal: AbortSignal.timeout(REPLY_MS) });
    failures = 0;
    reached = Date.now();
    if (isAnother(stats)) {
      forget();
      plan(0);
    } else if (!paused) {
      show(stats);
      plan(wanted === flow ? EVERY_MS : 0);
    }
  } catch (error) {
    showFailed(error);
  } finally {
    asking = false;
  }
}

/* ---- the token ---- */

function deny() {
  denied = true;
  tell('bad', 'A token is needed.');
  say(byId('ask-why'), token.get()
    ? 'The daemon does not know this token. Another one?'
    : 'This daemon lets nobody in without one. It is kept until this tab is closed.');
  byId('token').value = '';
  if (!byId('ask').open) byId('ask').showModal();
}

function beginToken() {
  byId('forget').hidden = !token.get();
  byId('ask-form').addEventListener('submit', (event) => {
    event.preventDefault();
    token.set(byId('token').value.trim());
    byId('token').value = '';
    byId('forget').hidden = false;
    byId('ask').close();
    denied = false;
    poll();
  });
  byId('ask-close').addEventListener('click', () => byId('ask').close());
  byId('forget').addEventListener('click', () => {
    token.forget();
    byId('forget').hidden = true;
    deny();
  });
}

/* ---- the start ---- */

function setPaused(now) {
  paused = now;
  say(byId('pause'), now ? 'Go on' : 'Pause');
  if (now) {
    clearTimeout(timer);
    tell('paused', `Paused at ${clock(Date.now())}`);
  } else {
    history = [];
    tell('wait', 'Asking the daemon…');
    poll();
  }
}

byId('pause').addEventListener('click', () => setPaused(!paused));
byId('retry').addEventListener('click', () => {
  denied = false;
  clearTimeout(timer);
  poll();
});
byId('flow').addEventListener('change', () => {
  wanted = byId('flow').value;
  graph.choose(null);
  clearTimeout(timer);
  poll();
});
byId('node-close').addEventListener('click', () => graph.choose(null));
document.addEventListener('visibilitychange', () => plan(0));
graph.whenChosen((was) => {
  const hadFocus = byId('node').contains(document.activeElement);
  showNode();
  if (hadFocus && graph.chosenNode() === null) graph.focusNode(was);
});
beginToken();
trial.begin(deny);
poll();
