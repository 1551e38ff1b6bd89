import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guardSkipReason, runReported } from './guarded-child.ts';

const skip = guardSkipReason();
const WRITES = 300;

/**
 * Each write has callers of its own: a path through functions that call each other from several
 * places, deep or shallow, by native functions (map) in between, some made anew for one call. Error
 * says who they are. V8 compiles and moves all of it meanwhile.
 */
const PROGRAM = `
  const bytes = new Uint8Array(new SharedArrayBuffer(16384));
  const held = guard.protect(bytes, { label: 'data', mode: 'continue' });
  const functions = {
    a(path, at) { return at === path.length ? leaf() : at % 2 === 0 ?
      functions[path[at]](path, at + 1) : functions[path[at]](path, at + 1); },
    b(path, at) { if (at === path.length) return leaf();
      let result; for (let i = 0; i < 1; i++) result = functions[path[at]](path, at + 1);
      return result; },
    c(path, at) { return [at].map((here) => here === path.length ? leaf() :
      functions[path[here]](path, here + 1))[0]; },
    d(path, at) { return new Function('leaf', 'functions', 'path', 'at',
      'return at === path.length ? leaf() : functions[path[at]](path, at + 1)')
      (leaf, functions, path, at); },
  };
  const stacks = [];
  Error.stackTraceLimit = 64;
  const isOurs = (site) => site.isEval() || !/^(node:|null)/.test(String(site.getFileName()));
  Error.prepareStackTrace = (_, sites) => sites.filter(isOurs).map((site) =>
    site.isEval() ? 'eval' : (site.getFunctionName() ?? '') + ':' +
      site.getLineNumber() + ':' + site.getColumnNumber());
  function leaf() { bytes[9000] = stacks.length; stacks.push(new Error().stack); }
  let random = 1;
  for (let i = 0; i < ${WRITES}; i++) {
    let path = '';
    if (i % 3 !== 1 || i === 1) {
      random = Math.imul(random, 1103515245) + 12345 >>> 0;
      for (let n = random >>> 16 & 7; n >= 0; n--) path += 'abcd'[random >>> 8 + 2 * n & 3];
    }
    functions.a(path, 0);
    if (i % 50 === 0) globalThis.gc();
  }
  held.end();
  console.log(JSON.stringify(stacks));
`;

test('reports of writes one after the other have each the callers of its own', { skip }, () => {
  const { reports, stdout, stderr } = runReported(PROGRAM, { flags: ['--expose-gc'] });
  const stacks = JSON.parse(stdout) as string[][];
  assert.equal(reports.length, WRITES, stderr.slice(-500));
  for (const [index, report] of reports.entries()) {
    const frames = report.frames.filter(
      ({ kind, file }) => kind === 'js' && !file.startsWith('node:'),
    );
    const found = frames.map(({ function: name, file, line, column }) =>
      file === 'eval' ? 'eval' : `${name === '(anonymous)' ? '' : name}:${line}:${column}`,
    );
    // The first frame wrote here, and asked Error for the stack behind it.
    assert.deepEqual(found.slice(1), stacks[index]!.slice(1), `write ${index}`);
  }
});
