// SPDX-License-Identifier: Apache-2.0
// A daemon with a flow that runs, for a test of its page.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const SECRET = '0123456789abcdef0123';
export const MARKUP = '<img src=x onerror=alert(1)>';

const actors = {
  'double.py': '@actor(name="double", inports=["in"], outports=["out"])\n'
    + 'def double(c):\n    return {"out": c.get_input("in") * 2}\n',
  'add.py': '@actor(name="add", inports=["a", "b"], outports=["out"])\n'
    + 'def add(c):\n    return {"out": (c.get_input("a") or 0) + (c.get_input("b") or 0)}\n',
  'square.js': 'export default { component: "square", inports: ["in"], outports: ["out"],\n'
    + '  process(c) { return { out: c.input.in ** 2 }; } };\n',
  'picky.py': '@actor(name="picky", inports=["in"], outports=["out"])\n'
    + 'def picky(c):\n    number = c.get_input("in")\n    if number % 7 == 0:\n'
    + '        raise ValueError(f"{number} is not liked <b>here</b>")\n    return {"out": number}\n',
};

const end = (place) => {
  const at = place.lastIndexOf('.');
  const port = place.slice(at + 1);
  return { nodeId: place.slice(0, at), portId: port, portName: port, expose: false, portType: { type: 'any' } };
};

const graph = (nodes, wires, members = {}) => JSON.stringify({
  caseSensitive: true,
  properties: { name: 'demo' },
  processes: Object.fromEntries(Object.entries(nodes).map(([id, [component, metadata = {}]]) =>
    [id, { id, component, metadata }])),
  connections: wires.map(([from, to]) => ({ from: end(from), to: end(to) })),
  ...Object.fromEntries(Object.entries(members).map(([kind, ports]) =>
    [kind, Object.fromEntries(Object.entries(ports).map(([name, place]) => [name, end(place)]))])),
});

export const NODES = ['ticks', 'count', 'twice', 'square', 'picky', 'sum', MARKUP];

const demo = graph({
  ticks: ['timer', { interval_ms: 50, sends: 'Integer' }],
  count: ['double'],
  twice: ['double'],
  square: ['square'],
  picky: ['picky'],
  sum: ['add'],
  [MARKUP]: ['double'],
}, [
  ['ticks.out', 'count.in'], ['count.out', 'twice.in'], ['count.out', 'square.in'],
  ['ticks.out', 'picky.in'], ['twice.out', 'sum.a'], ['square.out', 'sum.b'],
  ['picky.out', `${MARKUP}.in`],
], {
  inports: { more: 'count.in' },
  outports: { total: 'sum.out', picked: `${MARKUP}.out` },
});

const other = graph({ only: ['double'] }, [], { inports: { in: 'only.in' }, outports: { out: 'only.out' } });

const bad = 'def process(c):\n    raise ValueError("there is nothing <b>here</b>")\n';

export class Daemon {
  constructor(program) {
    this.program = program;
    this.folder = mkdtempSync(join(tmpdir(), 'dashboard-test-'));
    for (const [name, text] of Object.entries(actors)) writeFileSync(join(this.folder, name), text);
    writeFileSync(join(this.folder, 'tokens'), `ann ${SECRET}\n`, { mode: 0o600 });
    /* However the test ends. */
    process.on('exit', () => {
      this.run?.kill('SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    });
    process.on('SIGTERM', () => process.exit(1));
  }

  /* words: more options.  The port stays the same once it is known. */
  async start(...words) {
    const files = Object.keys(actors).map((name) => join(this.folder, name));
    this.run = spawn(this.program, ['--isolation', 'process', '--listen',
      `127.0.0.1:${this.port ?? 0}`, ...words, ...files], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.ended = once(this.run, 'exit');
    const lines = createInterface({ input: this.run.stderr });
    const said = [];
    this.port = await new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        said.push(line);
        const match = /listens at .*:(\d+)$/.exec(line);
        if (match) resolve(Number(match[1]));
      });
      this.ended.then(() => reject(new Error(said.join('\n'))));
    });
    this.address = `http://127.0.0.1:${this.port}`;
  }

  async startWithFlows(...words) {
    await this.start(...words);
    await this.ask('PUT', '/v1/flows/demo', demo);
    await this.ask('PUT', '/v1/flows/other', other);
    await this.ask('POST', '/v1/run', JSON.stringify({ script: bad })).catch(() => {});
  }

  async ask(method, path, body, headers = {}) {
    const reply = await fetch(this.address + path, { method, body, headers });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  async stop(signal = 'SIGTERM') {
    if (!this.run) return;
    this.run.kill(signal);
    const [code] = await this.ended;
    this.run = null;
    if (signal === 'SIGTERM' && code !== 0) throw new Error(`it ended with ${code}`);
  }

  close() {
    return this.stop();
  }
}
