/* SPDX-License-Identifier: Apache-2.0 */
/* A script that is tried: run once, sealed, as any other. */
import { Refused, ask } from './ask.js';
import { byId, make, say, time } from './dom.js';

const texts = {
  python: `def process(context):
    number = context.get_input("in")
    print("doubling", number)
    return {"out": number * 2}
`,
  javascript: `function process(context) {
  console.log("doubling", context.input.in);
  return { out: context.input.in * 2 };
}
`,
};

let language = 'python';
let running = null; /* what stops it */

const block = (name, text) => [make('h4', {}, name), make('pre', { tabindex: '0', 'aria-label': name }, text)];

function head(text, kind) {
  return make('h3', { class: kind }, text);
}

/* What it sent and printed, however it ended. */
function said(reply) {
  const parts = (reply?.outputs ?? []).flatMap((output) =>
    block(`Port ${output.port}`, JSON.stringify(output.data, null, 2)));
  return reply?.printed ? [...parts, ...block('Printed', reply.printed)] : parts;
}

function showDone(reply, tookMs) {
  const sent = reply.outputs.length === 0 ? [make('p', {}, 'It sent nothing.')] : [];
  byId('result').replaceChildren(
    head(`Done in ${time(reply.wall_ns)}, ${time(tookMs * 1e6)} with the way there and back`, 'good'),
    ...sent, ...said(reply));
}

function showFailed(error, onDenied) {
  if (error.name === 'AbortError') {
    byId('result').replaceChildren(head('Stopped.', 'bad'));
  } else if (error instanceof Refused) {
    const { code = `Status ${error.status}`, message = error.message, traceback } = error.reply?.error ?? {};
    byId('result').replaceChildren(head(`${code}: ${message}`, 'bad'),
      ...(traceback ? block('Traceback', traceback) : []), ...said(error.reply));
    if (error.status === 401) onDenied();
  } else {
    byId('result').replaceChildren(head('The daemon was not reached.', 'bad'));
  }
}

function readInputs() {
  const field = byId('inputs');
  field.removeAttribute('aria-invalid');
  try {
    const inputs = JSON.parse(field.value.trim() || '{}');
    if (inputs !== null && typeof inputs === 'object' && !Array.isArray(inputs)) return inputs;
    throw new SyntaxError('an object is expected: {"port": value}');
  } catch (error) {
    field.setAttribute('aria-invalid', 'true');
    field.focus();
    byId('result').replaceChildren(head(`Inputs: ${error.message}`, 'bad'));
    return null;
  }
}

async function run(onDenied) {
  const inputs = readInputs();
  if (inputs === null) return;
  running = new AbortController();
  say(byId('run'), 'Stop');
  byId('result').replaceChildren(head('It runs…', ''));
  const begun = performance.now();
  try {
    const reply = await ask('v1/run', {
      method: 'POST', signal: running.signal,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ language, script: byId('script').value, inputs }),
    });
    showDone(reply, performance.now() - begun);
  } catch (error) {
    showFailed(error, onDenied);
  }
  running = null;
  say(byId('run'), 'Run');
}

export function begin(onDenied) {
  const field = byId('script');
  field.value = texts[language];
  byId('try').addEventListener('change', (event) => {
    if (event.target.name !== 'language') return;
    texts[language] = field.value;
    language = event.target.value;
    field.value = texts[language];
  });
  byId('try').addEventListener('submit', (event) => {
    event.preventDefault();
    if (running) running.abort();
    else run(onDenied);
  });
  byId('try').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!running) run(onDenied);
  });
}
