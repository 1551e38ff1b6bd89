/**
 * The judge of forwarding, judged: every kind of error planted once must be found, as what it is.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { frameLength } from '../src/rdr/index.ts';
import { namedMix, RecordStream, SubscriberPool } from '../src/simulator/index.ts';
import { type JudgeOptions, judge, type ReceivedDestination } from './support/forward-judge.ts';
import { ReceivedConnection, type ReceivedEnd } from './support/forward-received.ts';
import { ForwardTruth, type TrueStream } from './support/forward-truth.ts';

const RECORDS = 400;
const subscribers = new SubscriberPool(40);

/** The frames of one marked stream. */
function framesOf(mark: number): Buffer[] {
  const stream = new RecordStream({
    seed: 9,
    connection: mark,
    mix: namedMix('tur'),
    subscribers,
    hasMarks: true,
  });
  const bytes = Buffer.alloc(RECORDS * 400 + 20_000);
  const end = stream.fill(bytes, 0, bytes.length, RECORDS);
  const frames: Buffer[] = [];
  for (let at = 0; at < end; at += frames.at(-1)!.length) {
    frames.push(bytes.subarray(at, at + frameLength(bytes, at)));
  }
  return frames;
}

const STREAMS = [framesOf(1), framesOf(2), framesOf(3)];

function makeTruth(): ForwardTruth {
  const truth = new ForwardTruth();
  for (let i = 0; i < RECORDS; i++) {
    STREAMS.forEach((frames, s) => {
      // Streams 1 and 2 are of one exporter.
      truth.add(frames[i]!, 0, frames[i]!.length, s < 2 ? '127.0.0.2' : '127.0.0.3', true);
    });
  }
  return truth;
}

const truth = makeTruth();
let ordinal = 0;

function connection(frames: readonly Uint8Array[], end: ReceivedEnd = 'fin'): ReceivedConnection {
  const made = new ReceivedConnection(ordinal++, 'test');
  made.push(Buffer.concat(frames));
  made.finish(end);
  return made;
}

function destination(...connections: ReceivedConnection[]): ReceivedDestination {
  return { name: 'mediation', connections };
}

/** Streams 1 and 2 record by record, as blocks of two incoming connections come. */
function exporterTwo(from = 0, to = RECORDS): Buffer[] {
  return STREAMS[0]!.slice(from, to).flatMap((frame, i) => [frame, STREAMS[1]![from + i]!]);
}

const other = (): ReceivedConnection => connection(STREAMS[2]!);

function kindsOf(options: Partial<JudgeOptions>): string[] {
  return [
    ...new Set(
      judge({ truth, members: [], connections: 'per-exporter', ...options }).findings.map(
        ({ kind }) => kind,
      ),
    ),
  ];
}

test('what arrived whole has no finding', () => {
  const members = [destination(connection(exporterTwo()), other())];
  const verdict = judge({ truth, members });
  assert.deepEqual(verdict.findings, []);
  assert.equal(verdict.received, 3 * RECORDS);
  assert.deepEqual([verdict.doubles, verdict.missing, verdict.cut], [0, 0, 0]);
});

test('a swap of two records of one stream is a finding', () => {
  const frames = exporterTwo();
  [frames[100], frames[102]] = [frames[102]!, frames[100]!];
  assert.deepEqual(kindsOf({ members: [destination(connection(frames), other())] }), ['order']);
});

test('streams of two incoming connections may be mixed in any way', () => {
  const frames = exporterTwo();
  [frames[100], frames[101]] = [frames[101]!, frames[100]!];
  assert.deepEqual(kindsOf({ members: [destination(connection(frames), other())] }), []);
});

test('a gap is a finding: in the midst, at the start, at the end, a whole connection', () => {
  const whole = exporterTwo();
  for (const at of [0, 100, whole.length - 1]) {
    const frames = whole.toSpliced(at, 1);
    assert.deepEqual(kindsOf({ members: [destination(connection(frames), other())] }), ['gap']);
  }
  assert.deepEqual(kindsOf({ members: [destination(connection(whole))] }), ['gap']);
});

test('a gap in the midst is found though a broken connection would explain its bytes', () => {
  const broken = connection(exporterTwo(0, 50), 'broken');
  broken.lossBytesMax = 1_000_000;
  const rest = exporterTwo(50).toSpliced(200, 2);
  const members = [destination(broken, connection(rest), other())];
  assert.deepEqual(kindsOf({ members }), ['gap']);
});

test('what TCP had acknowledged when the destination broke off may be missing, no more', () => {
  const lost = Buffer.concat(exporterTwo(50, 60)).length;
  for (const [lossBytesMax, kinds] of [
    [lost, []],
    [lost - 1, ['gap']],
  ] as const) {
    const broken = connection(exporterTwo(0, 50), 'broken');
    broken.lossBytesMax = lossBytesMax;
    const members = [destination(broken, connection(exporterTwo(60)), other())];
    assert.deepEqual(kindsOf({ members }), kinds);
  }
});

test('with `none` what was under way may be missing, and nothing comes twice', () => {
  const lost = Buffer.concat(exporterTwo(50, 60)).length;
  const options = { resend: 'none', underWayBytesMax: lost } as const;
  const broken = connection(exporterTwo(0, 50), 'broken');
  const gapped = [destination(broken, connection(exporterTwo(60)), other())];
  assert.deepEqual(kindsOf({ ...options, members: gapped }), []);
  assert.deepEqual(kindsOf({ ...options, members: gapped, underWayBytesMax: lost - 1 }), ['gap']);
  const doubled = [destination(broken, connection(exporterTwo(49)), other())];
  assert.deepEqual(kindsOf({ ...options, members: doubled }), ['double']);
});

test('a double at the start behind a broken connection is the choice `unacked`', () => {
  const broken = connection(exporterTwo(0, 50), 'broken');
  const members = [destination(broken, connection(exporterTwo(40)), other())];
  assert.deepEqual(kindsOf({ members }), []);
  assert.equal(judge({ truth, members }).doubles, 20);
});

test('a double behind a connection that ended in order is a finding', () => {
  const members = [
    destination(connection(exporterTwo(0, 50)), connection(exporterTwo(40)), other()),
  ];
  assert.deepEqual(kindsOf({ members }), ['double']);
});

test('a double in the midst of a connection is a finding, behind a broken one too', () => {
  const broken = connection(exporterTwo(0, 50), 'broken');
  const again = exporterTwo(50);
  again.splice(40, 0, ...exporterTwo(10, 11));
  const members = [destination(broken, connection(again), other())];
  assert.deepEqual(kindsOf({ members }).sort(), ['double', 'order']);
});

test('what was lost unread comes with the doubles behind it', () => {
  const read = connection(exporterTwo(0, 20), 'broken');
  const unread = connection([], 'broken');
  unread.lossBytesMax = 100_000;
  const begun = connection(exporterTwo(30, 50), 'broken');
  const again = connection(exporterTwo(10));
  assert.deepEqual(kindsOf({ members: [destination(read, unread, begun, again, other())] }), []);
  // What a connection skipped in the midst was not lost unread.
  const skipped = connection(exporterTwo(30, 50).toSpliced(10, 2), 'broken');
  const after = connection(exporterTwo(10));
  const members = [destination(read, unread, skipped, after, other())];
  assert.deepEqual(kindsOf({ members }), ['double']);
});

test('the same record twice in a row is a finding', () => {
  const frames = exporterTwo();
  frames.splice(40, 0, frames[40]!);
  const members = [destination(connection(frames), other())];
  assert.deepEqual(kindsOf({ members }).sort(), ['double', 'order']);
});

test('half a record is a finding, but at the end of a broken connection', () => {
  const half = STREAMS[0]![60]!.subarray(0, 30);
  const cutAt = (end: ReceivedEnd): ReceivedDestination =>
    destination(
      connection([...exporterTwo(0, 60), half], end),
      connection(exporterTwo(60)),
      other(),
    );
  assert.deepEqual(kindsOf({ members: [cutAt('broken')] }), []);
  assert.deepEqual(kindsOf({ members: [cutAt('rst')] }), []);
  assert.deepEqual(kindsOf({ members: [cutAt('fin')] }), ['cut']);
  assert.equal(judge({ truth, members: [cutAt('broken')] }).cut, 1);
});

test('half a record in the midst takes the framing with it', () => {
  const frames: Uint8Array[] = exporterTwo();
  frames[100] = frames[100]!.subarray(0, 30);
  const kinds = kindsOf({ members: [destination(connection(frames), other())] });
  assert.ok(kinds.includes('garbage') || kinds.includes('unknown'), kinds.join());
  assert.ok(kinds.includes('gap'), kinds.join());
});

test('a flipped byte, and a record that nobody sent, are findings', () => {
  const frames = exporterTwo();
  const flipped = Buffer.from(frames[100]!);
  flipped[flipped.length - 1] = flipped.at(-1)! ^ 1;
  frames[100] = flipped;
  const members = [destination(connection(frames), other())];
  assert.deepEqual(kindsOf({ members }).sort(), ['gap', 'unknown']);
  const stranger = destination(connection([...exporterTwo(), framesOf(77)[0]!]), other());
  assert.deepEqual(kindsOf({ members: [stranger] }), ['unknown']);
});

test('a record that the filter keeps out is a finding, and one that it lets pass is missed', () => {
  const chosen = (_: TrueStream, sequence: number): boolean => sequence % 2 === 0;
  const passing = (frames: Buffer[]): Buffer[] => frames.filter((_, i) => i % 2 === 0);
  const two = passing(STREAMS[0]!).flatMap((frame, i) => [frame, passing(STREAMS[1]!)[i]!]);
  const three = connection(passing(STREAMS[2]!));
  assert.deepEqual(kindsOf({ chosen, members: [destination(connection(two), three)] }), []);
  const more = [...two, STREAMS[0]!.at(-1)!];
  assert.deepEqual(kindsOf({ chosen, members: [destination(connection(more), three)] }), [
    'foreign',
  ]);
  const less = two.toSpliced(7, 1);
  assert.deepEqual(kindsOf({ chosen, members: [destination(connection(less), three)] }), ['gap']);
});

test('records of two exporters on one connection are a finding, unless it is a merged one', () => {
  const members = [destination(connection([...exporterTwo(), ...STREAMS[2]!]))];
  assert.deepEqual(kindsOf({ members }), ['exporters']);
  assert.deepEqual(kindsOf({ members, connections: 'merged' }), []);
});

test('what the ledger dropped may be missing, one more may not', () => {
  const frames = exporterTwo().toSpliced(100, 10);
  const members = [destination(connection(frames), other())];
  assert.deepEqual(kindsOf({ members, droppedRecords: 10 }), []);
  assert.deepEqual(kindsOf({ members, droppedRecords: 9 }), ['gap']);
});

test('redundancy: members together got everything; a second time only behind a break', () => {
  const broken = connection(exporterTwo(0, 200), 'broken');
  const first = { name: 'first', connections: [broken, other()] };
  const second = { name: 'second', connections: [connection(exporterTwo(190))] };
  const options = { mode: 'redundancy', members: [first, second] } as const;
  assert.deepEqual(kindsOf(options), []);
  const late = { name: 'second', connections: [connection(exporterTwo(201))] };
  assert.deepEqual(kindsOf({ ...options, members: [first, late] }), ['gap']);
});

test('redundancy: a broken connection may have lost whole what lies between two others', () => {
  const left = connection(exporterTwo(0, 200));
  const lost = connection([], 'broken');
  const cut = connection([STREAMS[0]![200]!.subarray(0, 9)], 'broken');
  const next = connection(exporterTwo(201));
  const first = (...ones: ReceivedConnection[]) => ({ name: 'first', connections: ones });
  const second = { name: 'second', connections: [left, other()] };
  const options = { mode: 'redundancy', resend: 'none', underWayBytesMax: 2_000 } as const;
  for (const between of [lost, cut]) {
    assert.deepEqual(kindsOf({ ...options, members: [first(between, next), second] }), []);
  }
  const none = { ...options, underWayBytesMax: 0 };
  assert.deepEqual(kindsOf({ ...none, members: [first(lost, next), second] }), ['gap']);
  assert.deepEqual(kindsOf({ ...options, members: [first(next), second] }), ['gap']);
  // One that came when all was over explains nothing, nor does one that carried what is behind.
  const late = connection([], 'broken');
  assert.deepEqual(kindsOf({ ...options, members: [first(next, late), second] }), ['gap']);
  const carried = connection(exporterTwo(300, 310), 'broken');
  const rest = [...exporterTwo(201, 300), ...exporterTwo(310)];
  const split = [carried, connection(rest)];
  assert.deepEqual(kindsOf({ ...options, members: [first(...split), second] }), ['gap']);
  // In the midst of a connection nothing is between.
  const whole = connection([...exporterTwo(0, 200), ...exporterTwo(201)]);
  assert.deepEqual(kindsOf({ ...options, members: [first(lost, whole, other())] }), ['gap']);
});

/** Both members by a rule of who takes a record; `keyed` or not. */
function farm(takes: (stream: TrueStream, sequence: number) => number): ReceivedDestination[] {
  const parts: Buffer[][][] = [0, 1].map(() => [[], []]);
  const streams = [...truth.streams.values()];
  for (let sequence = 0; sequence < RECORDS; sequence++) {
    for (const [index, stream] of streams.entries()) {
      const part = parts[takes(stream, sequence)]![index < 2 ? 0 : 1]!;
      part.push(STREAMS[index]![sequence]!);
    }
  }
  return parts.map((exporters, i) => ({
    name: ['left', 'right'][i]!,
    connections: exporters.map((frames) => connection(frames)),
  }));
}

const memberOf = (key: string): number => crc32(key) % 2;

test('hash: the records of a key stay together, and one that strays is found', () => {
  const members = farm(({ keys }, sequence) => memberOf(keys[sequence]!));
  assert.ok(members.every(({ connections }) => connections[0]!.records > 0));
  assert.deepEqual(kindsOf({ mode: 'hash', members }), []);
  const strayed = farm((stream, sequence) => {
    const home = memberOf(stream.keys[sequence]!);
    return sequence === 200 && stream.mark === 1 ? 1 - home : home;
  });
  assert.deepEqual(kindsOf({ mode: 'hash', members: strayed }), ['split']);
  assert.deepEqual(kindsOf({ mode: 'block', members: strayed }), []);
});

test('hash: a change of membership moves keys once', () => {
  const members = farm(({ keys }, sequence) => (sequence < 200 ? memberOf(keys[sequence]!) : 0));
  assert.deepEqual(kindsOf({ mode: 'hash', members }), ['split']);
  assert.deepEqual(kindsOf({ mode: 'hash', members, membershipChanges: 1 }), []);
});

test('balanced: a record at both members is a double, behind a break too', () => {
  const [left, right] = farm(({ keys }, sequence) => memberOf(keys[sequence]!)) as [
    ReceivedDestination,
    ReceivedDestination,
  ];
  const broken = connection([], 'broken');
  const stolen = STREAMS[2]!.slice(-3);
  const members = [
    { name: 'left', connections: [broken, ...left.connections, connection(stolen)] },
    { name: 'right', connections: [...right.connections, connection(stolen)] },
  ];
  assert.ok(kindsOf({ mode: 'hash', members }).includes('double'));
});
