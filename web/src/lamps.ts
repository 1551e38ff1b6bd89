/**
 * Lamps: five answers at a glance, six where something is forwarded; the words say what the colour
 * says.
 */
import {
  channelDifference,
  channelHealth,
  droppedRecords as droppedOf,
} from '../../src/server/forward/health.ts';
import type { Snapshot } from '../../src/server/snapshot.ts';
import { element, reconcile, setText } from './dom.ts';
import { LAG_SLOW_MS, sumOf } from './ledgers.ts';
import { bytes, integer, milliseconds } from './number-text.ts';

type Tone = 'good' | 'warn' | 'bad';

interface Lamp {
  readonly name: string;
  readonly tone: Tone;
  readonly text: string;
}

const LAG_BAD_MS = 120_000;

export function showLamps(parent: Element, snapshot: Snapshot): void {
  reconcile(
    parent,
    lampsOf(snapshot),
    ({ name }) => name,
    ({ name }) =>
      element(
        'li',
        {},
        element('i', { class: 'mark', 'aria-hidden': 'true' }),
        element('span', {}, element('small', {}, name), element('b', {})),
      ),
    (target, { tone, text }) => {
      target.dataset.tone = tone;
      setText(target.querySelector('b')!, text);
    },
  );
}

function lampsOf(snapshot: Snapshot): Lamp[] {
  return [
    stateLamp(snapshot),
    ledgerLamp(snapshot),
    dropLamp(snapshot),
    lagLamp(snapshot),
    ...forwardLamps(snapshot),
    errorLamp(snapshot),
  ];
}

function stateLamp({ state }: Snapshot): Lamp {
  return { name: 'Server', tone: state === 'running' ? 'good' : 'warn', text: state };
}

function ledgerLamp({ intake, sinks, forward }: Snapshot): Lamp {
  const isOpen =
    intake.difference !== 0 ||
    sinks.some(({ difference }) => difference !== 0) ||
    (forward?.channels ?? []).some((channel) => channelDifference(channel) !== 0);
  if (isOpen) return { name: 'Ledgers', tone: 'bad', text: 'do not close' };
  return { name: 'Ledgers', tone: 'good', text: 'close' };
}

function dropLamp({ intake, sinks, forward }: Snapshot): Lamp {
  const droppedBytes = sumOf(intake.dropped);
  const ofChannels = (forward?.channels ?? []).reduce((sum, one) => sum + droppedOf(one), 0);
  const droppedRecords = sinks.reduce((sum, sink) => sum + sumOf(sink.dropped), ofChannels);
  if (droppedBytes > 0) return { name: 'Dropped', tone: 'bad', text: bytes(droppedBytes) };
  if (droppedRecords > 0) {
    return { name: 'Dropped', tone: 'bad', text: `${integer(droppedRecords)} records` };
  }
  return { name: 'Dropped', tone: 'good', text: 'nothing' };
}

function lagLamp({ sinks }: Snapshot): Lamp {
  if (sinks.length === 0) return { name: 'Sinks', tone: 'warn', text: 'none' };
  const slowest = sinks.reduce((a, b) => (b.lagMs > a.lagMs ? b : a));
  if (slowest.lagMs <= LAG_SLOW_MS) return { name: 'Sinks', tone: 'good', text: 'keep up' };
  const text = `${slowest.name} is ${milliseconds(slowest.lagMs)} behind`;
  return { name: 'Sinks', tone: slowest.lagMs > LAG_BAD_MS ? 'bad' : 'warn', text };
}

/** None where nothing is forwarded. */
function forwardLamps({ forward }: Snapshot): Lamp[] {
  const tones = (forward?.channels ?? []).map((channel) => channelHealth(channel).tone);
  if (tones.length === 0) return [];
  const troubles = tones.filter((tone) => tone !== 'good').length;
  if (troubles === 0) return [{ name: 'Forwarding', tone: 'good', text: 'all fine' }];
  const tone = tones.includes('bad') ? 'bad' : 'warn';
  return [{ name: 'Forwarding', tone, text: `${troubles} of ${tones.length} not fine` }];
}

function errorLamp({ journal, store, workerDeaths }: Snapshot): Lamp {
  const count = journal.errors + store.errors + workerDeaths;
  if (count === 0) return { name: 'Errors', tone: 'good', text: 'none' };
  return { name: 'Errors', tone: 'bad', text: `${integer(count)} since the start` };
}
