import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { place, usableCpus, type WorkerWish } from './placement.ts';
import { readTopology } from './topology.ts';
import { addCgroup2, filesOf, makeTree, type Shape, type Tree } from './trees.test-data.ts';

const FLOW: readonly WorkerWish[] = [
  { name: 'collect', isBusy: true },
  { name: 'journal', isBusy: true },
  { name: 'keeper', isBusy: false },
  { name: 'store', isBusy: true },
];

const machineOf = (tree: Tree) => readTopology(filesOf(tree));
const shaped = (shape: Shape) => machineOf(makeTree(shape));
const cpusOf = (placed: ReturnType<typeof place>) =>
  Object.fromEntries(placed.placements.map(({ name, cpus }) => [name, cpus.join(',')]));

test('a core each, high indexes first, and the rest for everybody else', () => {
  const placed = place(FLOW, shaped({ coresPerSocket: 8 }));
  assert.deepEqual(cpusOf(placed), {
    collect: '5',
    journal: '6',
    keeper: '0,1,2,3,4',
    store: '7',
  });
  assert.deepEqual(placed.otherCpus, [0, 1, 2, 3, 4]);
});

test('the SMT siblings of a busy worker stay empty', () => {
  const placed = place(FLOW, shaped({ coresPerSocket: 4, threadsPerCore: 2 }));
  assert.deepEqual(cpusOf(placed), { collect: '1', journal: '2', keeper: '0,4', store: '3' });
});

test('no room says how much there is', () => {
  const placed = place(FLOW, shaped({ coresPerSocket: 2 }));
  assert.deepEqual(placed.placements, []);
  assert.match(placed.problem, /^3 workers want a core each .* may use 2 cores$/);
  assert.deepEqual(placed.otherCpus, [0, 1]);
  assert.equal(place(FLOW, shaped({ coresPerSocket: 4 })).problem, '');
  assert.match(place(FLOW, shaped({ coresPerSocket: 3 })).problem, /3 cores/);
  assert.match(place(FLOW.slice(0, 1), shaped({ coresPerSocket: 1 })).problem, /1 core$/);
});

test('one L3 group when it has room, else one node', () => {
  const sockets = { sockets: 2, coresPerSocket: 8 };
  assert.deepEqual(place(FLOW, shaped({ ...sockets, coresPerL3: 4 })).placements[0]!.cpus, [13]);
  const node = place(FLOW, shaped({ ...sockets, coresPerL3: 2 }));
  assert.deepEqual(cpusOf(node), {
    collect: '13',
    journal: '14',
    keeper: '0,1,2,3,4,5,6,7,8,9,10,11,12',
    store: '15',
  });
});

test('a group with enough quiet cores goes before one with fewer', () => {
  const machine = shaped({ sockets: 2, coresPerSocket: 4 });
  const placed = place(FLOW, machine, (cpu) => cpu < 6 && cpu !== 1);
  assert.deepEqual(cpusOf(placed), {
    collect: '0',
    journal: '2',
    keeper: '1,4,5,6,7',
    store: '3',
  });
});

test('isolated CPUs are taken when they suffice, and left alone when not', () => {
  const enough = shaped({ coresPerSocket: 8, isolated: '2-4' });
  assert.deepEqual(cpusOf(place(FLOW, enough)), {
    collect: '2',
    journal: '3',
    keeper: '0,1,5,6,7',
    store: '4',
  });
  const few = place(FLOW, shaped({ coresPerSocket: 8, isolated: '7' }));
  assert.equal(few.placements[3]!.cpus[0], 6);
  assert.ok(!few.otherCpus.includes(7));
});

test('hybrid: performance cores for the busy, the others for everybody else', () => {
  const tree = makeTree({ coresPerSocket: 6 });
  tree.set('sys/devices/cpu_core/cpus', '0-2');
  tree.set('sys/devices/cpu_atom/cpus', '3-5');
  assert.deepEqual(cpusOf(place(FLOW, machineOf(tree))), {
    collect: '0',
    journal: '1',
    keeper: '3,4,5',
    store: '2',
  });
});

test('the cpuset and the mask of the start are kept; isolated CPUs are in no common mask', () => {
  const tree = makeTree({ coresPerSocket: 8, isolated: '6-7' });
  addCgroup2(tree, 'a', { 'a/cpuset.cpus.effective': '1-7' });
  const mask = (list: string) => {
    tree.set('proc/self/status', `Cpus_allowed_list:\t${list}`);
    return usableCpus(machineOf(tree));
  };
  assert.deepEqual(mask('1-5'), [1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(mask('1-4'), [1, 2, 3, 4]);
  assert.deepEqual(mask('5-7'), [5, 6, 7]);
});

test('whatever the machine: nobody shares a core, and a core remains', () => {
  const shape = fc.record({
    sockets: fc.integer({ min: 1, max: 3 }),
    coresPerSocket: fc.integer({ min: 1, max: 6 }),
    threadsPerCore: fc.integer({ min: 1, max: 2 }),
    coresPerL3: fc.integer({ min: 0, max: 6 }),
    hole: fc.integer({ min: 0, max: 9 }),
    offline: fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 2 }),
  });
  const names = fc.array(fc.boolean(), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(shape, names, fc.func(fc.boolean()), (some, busy, isQuiet) => {
      const machine = shaped(some);
      const wishes = busy.map((isBusy, index) => ({ name: `${index}`, isBusy }));
      const placed = place(wishes, machine, isQuiet);
      if (placed.problem !== '') {
        assert.ok(busy.filter(Boolean).length + 1 > machine.cores.length);
        return;
      }
      const coreOf = (cpu: number) => machine.cores.findIndex((core) => core.includes(cpu));
      const alone = placed.placements.filter(({ isAlone }) => isAlone);
      const cores = alone.map(({ cpus }) => coreOf(cpus[0]!));
      assert.equal(new Set(cores).size, alone.length);
      assert.ok(placed.otherCpus.length > 0);
      for (const cpu of placed.otherCpus) assert.ok(!cores.includes(coreOf(cpu)));
    }),
  );
});
