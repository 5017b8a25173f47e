// SPDX-License-Identifier: Apache-2.0
// What runner.c does, by node's WebAssembly: a line of JSON in, {wasm, calls},
// calls as [name, parameters, results, cells], and a line of JSON out.
'use strict';
const fs = require('fs');
const view = new DataView(new ArrayBuffer(8));
// Values cross as bits: a number of JavaScript's would lose those of a NaN.
const read = {
  i: v => Number(BigInt.asIntN(32, v)), I: v => BigInt.asIntN(64, v),
  f: v => (view.setUint32(0, Number(v)), view.getFloat32(0)),
  F: v => (view.setBigUint64(0, v), view.getFloat64(0)),
};
const show = {
  i: v => BigInt.asUintN(32, BigInt(v)), I: v => BigInt.asUintN(64, v),
  f: v => (view.setFloat32(0, v), BigInt(view.getUint32(0))),
  F: v => (view.setFloat64(0, v), view.getBigUint64(0)),
};

function hash({memory}) {
  if (!(memory instanceof WebAssembly.Memory)) return '-';
  const words = new Uint32Array(memory.buffer);
  let h = 2166136261 | 0;
  for (let i = 0; i < words.length; i++) h = Math.imul(h ^ words[i], 16777619);
  return (h >>> 0).toString(16);
}

// Whether what JavaScript threw is the module's end or a fault of ours.
function why(e) {
  if (e instanceof WebAssembly.RuntimeError || e instanceof RangeError)
    return e.message;
  throw e;
}

function run({wasm, calls}) {
  const module = new WebAssembly.Module(fs.readFileSync(wasm));
  const imports = {glovebox: {region: () => 0}};
  const out = [];
  let exports = null;
  const begin = () => {
    try {
      exports = new WebAssembly.Instance(module, imports).exports;
    } catch (e) { out.push('trap - ' + why(e)); return false; }
    out.push('= ' + hash(exports));
    return true;
  };
  if (!begin()) return out;
  for (const [name, parameters, results, cells] of calls) {
    if (exports === null && !begin()) return out;
    try {
      let all = exports[name](
        ...cells.map((c, i) => read[parameters[i]](BigInt('0x' + c))));
      if (results.length < 2) all = results.length ? [all] : [];
      out.push(['=', ...all.map((v, i) => show[results[i]](v).toString(16)),
        hash(exports)].join(' '));
    } catch (e) {
      out.push(`trap ${hash(exports)} ${why(e)}`);
      exports = null;
    }
  }
  return out;
}

require('readline').createInterface({input: process.stdin}).on('line', line => {
  let answer;
  try { answer = run(JSON.parse(line)); } catch (e) {
    answer = {failed: String(e.stack)};
  }
  fs.writeSync(1, JSON.stringify(answer) + '\n');
});
