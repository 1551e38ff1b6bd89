import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason, closeFd, eventfdClear, eventfdCreate } from '../toolkit/sys/index.ts';
import type { WorkerMessage } from './control.ts';
import { Door } from './forward/door.ts';
import { ForwardDoor, type Lookup } from './forward-door.ts';

const needsAddon = { skip: addonSkipReason() };
const NONE = { channels: [], listeners: [] };

function doors(t: { after(fn: () => void): void }, lookup: Lookup) {
  const wakeFd = eventfdCreate();
  const main = new ForwardDoor(NONE, 'nowhere', wakeFd, lookup);
  const asked: string[] = [];
  const tell = (message: { readonly kind: string }): void => {
    const { kind, host } = message as WorkerMessage & { kind: 'resolve' };
    if (kind === 'resolve') asked.push(host);
  };
  const connect = (): Door => new Door(main.connect(), tell);
  t.after(() => {
    main.close();
    closeFd(wakeFd);
  });
  return { main, asked, connect, wakeFd };
}

test('a literal address is its own answer, and nobody is asked', needsAddon, (t) => {
  const { asked, connect } = doors(t, async () => []);
  const door = connect();
  assert.deepEqual(door.resolve('192.0.2.1')?.addresses, ['192.0.2.1']);
  assert.deepEqual(door.resolve('2001:db8::1')?.addresses, ['2001:db8::1']);
  assert.deepEqual(asked, []);
  door.close();
});

test('a name is asked for once, and answered with all addresses', needsAddon, async (t) => {
  const { main, asked, connect, wakeFd } = doors(t, async () => ['192.0.2.1', '2001:db8::1']);
  const door = connect();
  assert.equal(door.resolve('mediation.example'), null);
  assert.equal(door.resolve('mediation.example'), null);
  assert.deepEqual(asked, ['mediation.example']);
  eventfdClear(wakeFd);
  await main.resolve('mediation.example');
  assert.ok(eventfdClear(wakeFd) >= 0, 'the forwarder was woken');
  door.poll();
  const answer = door.resolve('mediation.example');
  assert.deepEqual(answer, {
    host: 'mediation.example',
    addresses: ['192.0.2.1', '2001:db8::1'],
    error: null,
  });
  door.close();
});

test('a name that cannot be resolved is answered by why', needsAddon, async (t) => {
  const { main, connect } = doors(t, async (host) => {
    if (host === 'empty.example') return [];
    throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
  });
  const door = connect();
  for (const [host, error] of [
    ['none.example', 'ENOTFOUND'],
    ['empty.example', 'ENODATA'],
  ] as const) {
    door.resolve(host);
    await main.resolve(host);
    door.poll();
    assert.deepEqual(door.resolve(host), { host, addresses: [], error });
  }
  door.close();
});

test('new options are taken once, and the newest win; the next life has them', needsAddon, (t) => {
  const { main, connect } = doors(t, async () => []);
  const door = connect();
  assert.deepEqual([door.takeOptions(), door.generation], [null, 0]);
  const newest = { channels: [], listeners: [{ host: '::1', port: 1 }] };
  assert.equal(main.handOver(NONE), 1);
  assert.equal(main.handOver(newest), 2);
  door.poll();
  assert.equal(door.generation, 0, 'not in force before they are taken');
  assert.deepEqual([door.takeOptions(), door.generation, door.takeOptions()], [newest, 2, null]);
  const setup = main.connect();
  assert.deepEqual([setup.options, setup.generation], [newest, 2]);
  setup.port.close();
  door.close();
});

test('an answer for a worker that has died is not for the next', needsAddon, async (t) => {
  let answer: (addresses: string[]) => void = () => {};
  const { main, connect } = doors(t, () => new Promise((resolve) => (answer = resolve)));
  connect().resolve('slow.example');
  const asked = main.resolve('slow.example');
  const next = connect();
  answer(['192.0.2.1']);
  await asked;
  next.poll();
  assert.equal(next.resolve('slow.example'), null);
  next.close();
});
