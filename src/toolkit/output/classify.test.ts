import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { MillraceError } from '../base/errors.ts';
import {
  type AddressFamily,
  addonSkipReason,
  bindTo,
  checked,
  closeFd,
  connect,
  connectTo,
  failCall,
  ipSockaddr,
  listen,
  localPort,
  type SocketKind,
  socketCreate,
  socketPair,
  unixSockaddr,
} from '../sys/index.ts';
import { type ClassifyOptions, classifySocket, placeOfRoute } from './classify.ts';
import { attributesOf, deviceOf, ROUTE_LOCAL, ROUTE_UNICAST } from './route.ts';

const needsAddon = { skip: addonSkipReason() };

function mapped(...parts: number[]): Uint8Array {
  const address = new Uint8Array(16);
  address.set([0xff, 0xff, ...parts], 10);
  return address;
}

const LOOPBACK_4 = mapped(127, 0, 0, 1);
const LOOPBACK_6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

function made(t: TestContext, family: AddressFamily | 'unix', kind: SocketKind): number {
  const fd = checked('socket', socketCreate(family, kind));
  t.after(() => closeFd(fd));
  return fd;
}

/** A UDP socket that is connected: no packet is sent. */
function towards(t: TestContext, family: AddressFamily, address: Uint8Array, scopeId = 0): number {
  const fd = made(t, family, 'datagram');
  checked('connect', connect(fd, family, address, 0, 9, scopeId));
  return fd;
}

test('loopback is local: TCP and UDP, both families, IPv4-mapped', needsAddon, (t) => {
  for (const [family, address] of [
    [4, LOOPBACK_4],
    [6, LOOPBACK_6],
    [6, LOOPBACK_4],
  ] as const) {
    const listener = made(t, family, 'stream');
    checked('bind', bindTo(listener, ipSockaddr(family, address, 0)!));
    checked('listen', listen(listener, 1));
    const tcp = made(t, family, 'stream');
    void connect(tcp, family, address, 0, localPort(listener));
    const found = classifySocket(tcp);
    assert.deepEqual(
      { family: found.family, kind: found.kind, place: found.place, device: found.device },
      { family, kind: 'tcp', place: 'local', device: 'lo' },
    );
    const udp = classifySocket(towards(t, family, address));
    assert.equal(udp.kind, 'udp');
    assert.equal(udp.place, 'local');
  }
});

test('UNIX sockets are local, streams and datagrams apart', needsAddon, (t) => {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  t.after(() => {
    for (const fd of ends) closeFd(fd);
  });
  const stream = classifySocket(ends[0]!);
  assert.deepEqual([stream.family, stream.kind, stream.place], ['unix', 'unixStream', 'local']);
  const name = unixSockaddr(`\0millrace-classify-${process.pid}`);
  const receiver = made(t, 'unix', 'datagram');
  checked('bind', bindTo(receiver, name));
  const sender = made(t, 'unix', 'datagram');
  checked('connect', connectTo(sender, name));
  const datagram = classifySocket(sender);
  assert.deepEqual([datagram.kind, datagram.place], ['unixDatagram', 'local']);
});

test('what is not connected is local, and says so', needsAddon, (t) => {
  for (const kind of ['stream', 'datagram'] as const) {
    const found = classifySocket(made(t, 4, kind));
    assert.equal(found.place, 'local');
    assert.match(found.reason, /not connected/);
  }
});

test('a netlink socket is of no kind that we know, hence local', needsAddon, (t) => {
  const fd = checked('socket', socketCreate('netlink', 'datagram'));
  t.after(() => closeFd(fd));
  const found = classifySocket(fd);
  assert.deepEqual([found.family, found.kind, found.place], ['other', 'other', 'local']);
});

test('what is no socket is an error', needsAddon, () => {
  assert.throws(
    () => classifySocket(4_194_303),
    (error) => error instanceof MillraceError && error.code === 'MR_OUTPUT_MECHANISM',
  );
});

/** The device of the IPv4 default route and an address behind it, from /proc. */
function defaultRoute(): { device: string; gateway: Uint8Array } | null {
  for (const line of readFileSync('/proc/net/route', 'utf8').split('\n').slice(1)) {
    const [device, target, gateway, flags] = line.split('\t');
    if (device === undefined || target !== '00000000' || gateway === undefined) continue;
    if ((Number.parseInt(flags!, 16) & 2) === 0) continue;
    const word = Number.parseInt(gateway, 16);
    const parts = [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24];
    return { device, gateway: mapped(...parts) };
  }
  return null;
}

test(
  'a route over hardware is remote; the override makes it local, nothing else',
  needsAddon,
  (t) => {
    const route = defaultRoute();
    if (route === null) return t.skip('there is no default route');
    if (!existsSync(`/sys/class/net/${route.device}/device`)) return t.skip('no hardware device');
    for (const family of [4, 6] as const) {
      const fd = towards(t, family, route.gateway);
      const found = classifySocket(fd);
      assert.equal(found.place, 'remote', found.reason);
      assert.equal(found.device, route.device);
      const overridden = classifySocket(fd, { override: 'local' });
      assert.equal(overridden.place, 'local');
      assert.match(overridden.reason, /caller/);
      const unsafe = { override: 'remote' } as unknown as ClassifyOptions;
      assert.throws(
        () => classifySocket(fd, unsafe),
        (error) => error instanceof MillraceError && error.code === 'MR_USAGE',
      );
    }
    const own = networkInterfaces()[route.device]?.find((entry) => entry.family === 'IPv4');
    if (own !== undefined) {
      const parts = own.address.split('.').map(Number);
      const found = classifySocket(towards(t, 4, mapped(...parts)));
      assert.equal(found.place, 'local', 'an address of our own network card');
    }
  },
);

test(
  'every call that fails on the way leaves the socket local, and no fd open',
  needsAddon,
  (t) => {
    const route = defaultRoute();
    const fd = towards(t, 4, route?.gateway ?? LOOPBACK_4);
    const fdCount = (): number => readdirSync('/proc/self/fd').length;
    const before = fdCount();
    for (const [call, calls] of [
      ['socketName', 2],
      ['socketCreate', 2],
      ['send', 2],
      ['recv', 2],
    ] as const) {
      for (let nth = 1; nth <= calls; nth++) {
        const fault = failCall({ call, nth, errno: 5 });
        const found = classifySocket(fd);
        fault.restore();
        if (fault.calls < nth) continue;
        assert.equal(found.place, 'local', `${call} ${nth}`);
        assert.match(found.reason, /EIO/);
      }
    }
    // The first three options say what the socket is; these two, which way it goes.
    for (const nth of [4, 5]) {
      const fault = failCall({ call: 'getsockopt', nth, errno: 92 });
      const found = classifySocket(fd);
      fault.restore();
      assert.equal(found.place, 'local');
      assert.match(found.reason, /cannot be read/);
    }
    assert.equal(fdCount(), before);
  },
);

test('the rule: only unicast over hardware that is no software device is remote', () => {
  const card = { name: 'eth0', isLoopback: false, kind: '', hardware: '0000:00:05.0' };
  const unicast = { type: ROUTE_UNICAST, device: 2 };
  assert.equal(placeOfRoute(unicast, card).place, 'remote');
  assert.equal(placeOfRoute({ type: ROUTE_LOCAL, device: 1 }, card).place, 'local');
  // broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw, nat, xresolve
  for (const type of [0, 3, 4, 5, 6, 7, 8, 9, 10, 11]) {
    assert.equal(placeOfRoute({ type, device: 2 }, card).place, 'local');
  }
  assert.equal(placeOfRoute(unicast, null).place, 'local');
  assert.equal(placeOfRoute(unicast, { ...card, isLoopback: true }).place, 'local');
  assert.equal(placeOfRoute(unicast, { ...card, hardware: '' }).place, 'local');
  for (const kind of ['veth', 'bridge', 'tun', 'dummy', 'netdevsim', 'bond', 'vlan']) {
    const found = placeOfRoute(unicast, { ...card, kind });
    assert.equal(found.place, 'local');
    assert.match(found.reason, new RegExp(kind));
  }
});

test('the kernel names hardware for exactly the devices that have it in /sys', needsAddon, () => {
  for (const name of readdirSync('/sys/class/net')) {
    const path = `/sys/class/net/${name}`;
    if (!existsSync(`${path}/ifindex`)) continue;
    const device = deviceOf(Number(readFileSync(`${path}/ifindex`, 'utf8')));
    assert.ok(typeof device === 'object');
    assert.equal(device.name, name);
    assert.equal(device.hardware !== '', existsSync(`${path}/device`), name);
  }
  assert.equal(deviceOf(0x7fff_0000), -19, 'ENODEV');
});

test('attributes that lie about their length end the list', () => {
  const good = [8, 0, 4, 0, 7, 0, 0, 0];
  assert.equal(attributesOf(Uint8Array.from([...good, 3, 0, 1, 0])).size, 1);
  assert.equal(attributesOf(Uint8Array.from([...good, 200, 0, 1, 0])).size, 1);
  assert.equal(attributesOf(Uint8Array.from([...good, 0, 0, 1, 0])).size, 1);
  assert.equal(attributesOf(Uint8Array.of(8, 0)).size, 0);
});

/** Runs a script of sh in a network namespace of its own, which ends with it. */
function inNamespace(script: string, ...parameters: string[]): string {
  const run = spawnSync('unshare', ['-n', 'sh', '-ec', script, 'sh', ...parameters], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(run.status, 0, `${run.stderr}${run.stdout}`);
  return run.stdout;
}

function namespaceSkipReason(): string | false {
  if (addonSkipReason() !== false) return addonSkipReason();
  const probe = spawnSync('unshare', ['-n', 'ip', 'link', 'show', 'lo'], { timeout: 10_000 });
  return probe.status === 0 ? false : 'needs root, unshare(1) and ip(8) for a network namespace';
}

const CLASSIFY_CODE = `
  const [sys, classify, text, family] = process.argv.slice(1);
  const { socketCreate, connect } = await import(sys);
  const { classifySocket } = await import(classify);
  const fd = socketCreate(Number(family), 'datagram');
  const bytes = Uint8Array.from(JSON.parse(text));
  if (connect(fd, Number(family), bytes, 0, 9) < 0) throw new Error('connect');
  console.log(JSON.stringify(classifySocket(fd)));`;

test('veth and bridge are local, even where /sys shows another eth0', {
  skip: namespaceSkipReason(),
}, (t) => {
  const setup = `
    ip link set lo up
    ip link add eth0 type veth peer name end0
    ip addr add 10.77.0.1/24 dev eth0
    ip link set eth0 up; ip link set end0 up
    ip link add br0 type bridge || exit 0
    ip addr add 10.78.0.1/24 dev br0
    ip -6 addr add fd77::1/64 dev br0 nodad
    ip link set br0 up`;
  // A neighbour in the namespace that nobody else answers for: routing alone is asked.
  const script = `${setup}
    exec "$1" --input-type=module -e "$2" "$3" "$4" "$5" "$6"`;
  const sys = new URL('../sys/index.js', import.meta.url).href;
  const classify = new URL('./classify.js', import.meta.url).href;
  const ask = (family: number, address: Uint8Array): ReturnType<typeof classifySocket> => {
    const text = JSON.stringify([...address]);
    const node = process.execPath;
    return JSON.parse(
      inNamespace(script, node, CLASSIFY_CODE, sys, classify, text, String(family)),
    ) as ReturnType<typeof classifySocket>;
  };
  const veth = ask(4, mapped(10, 77, 0, 2));
  assert.deepEqual([veth.place, veth.device], ['local', 'eth0']);
  assert.match(veth.reason, /veth/);
  const target = Uint8Array.of(0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
  const bridge = ask(6, target);
  if (bridge.device === '') return t.skip('this kernel has no bridge');
  assert.deepEqual([bridge.place, bridge.device], ['local', 'br0']);
  assert.match(bridge.reason, /bridge/);
});
