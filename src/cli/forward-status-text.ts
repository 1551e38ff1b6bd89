/**
 * Forward status text: channels and destinations of the forwarder as lines for people.
 *
 * WHY        A hundred destinations that work are one line; one that does not is what somebody
 *            looks for. So what is fine is summed up where there are many, and the rest is listed,
 *            the worst first; --all lists everything.
 * WIDTH      80 columns, for names of the usual length.
 */
import {
  type ChannelHealth,
  channelDifference,
  channelHealth,
  cpuMsPerGb,
  droppedRecords,
} from '../server/forward/health.ts';
import {
  type ChannelReport,
  type DestinationReport,
  FORWARD_DROPS,
  type ForwardReport,
} from '../server/forward/report.ts';
import { droppedTerms, type Term, termLines, verdictLine } from './ledger-text.ts';
import { bytesText, countText, spanText } from './text-table.ts';

/** So many channels are shown one by one whether or not they are fine. */
const CHANNELS_SHOWN = 8;
/** And of those that are not fine, at most so many. */
const TROUBLES_SHOWN = 25;
/** So many ledgers are shown one by one; more are summed. */
const LEDGERS_SHOWN = 4;
/** CPU time per GB says nothing of less than this: starting and waiting outweigh the sending. */
const CPU_SENT_BYTES_MIN = 1e9;

/** The forwarder reports every 200 ms; a report that is so much older is told. */
const STALE_MS = 2_000;

const WORST_FIRST = ['bad', 'warn', 'good'] as const;

interface Judged {
  readonly channel: ChannelReport;
  readonly health: ChannelHealth;
}

/** Nothing where nothing is forwarded. `timeMs`: when the rest of the status was taken. */
export function forwardLines(
  report: ForwardReport | null,
  isAll: boolean,
  timeMs = report?.timeMs ?? 0,
): string[] {
  if (report === null || report.channels.length === 0) return [];
  const judged = report.channels.map((channel) => ({ channel, health: channelHealth(channel) }));
  const isShort = isAll || judged.length <= CHANNELS_SHOWN;
  const troubles = judged
    .filter(({ health }) => isShort || health.tone !== 'good')
    .toSorted(isShort ? () => 0 : byTrouble);
  const shown = isShort ? troubles : troubles.slice(0, TROUBLES_SHOWN);
  const lines = [headLine(report, judged), ...ageLines(timeMs - report.timeMs)];
  for (const { channel, health } of shown) lines.push(...channelLines(channel, health));
  const left = troubles.length - shown.length;
  if (left > 0) lines.push(`  and ${countText(left)} more that are not fine: --all lists them`);
  const fine = judged.length - troubles.length;
  if (fine > 0) lines.push(`  ${countText(fine)} are fine and left out: --all lists them`);
  return lines;
}

function byTrouble(a: Judged, b: Judged): number {
  const byTone = WORST_FIRST.indexOf(a.health.tone) - WORST_FIRST.indexOf(b.health.tone);
  return byTone === 0 ? b.channel.lagMs - a.channel.lagMs : byTone;
}

function headLine({ channels, cpuMs }: ForwardReport, judged: readonly Judged[]): string {
  const destinations = channels.flatMap((channel) => channel.destinations);
  const sent = destinations.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  const fine = judged.filter(({ health }) => health.tone === 'good').length;
  const state = fine === channels.length ? 'all fine' : `${countText(fine)} fine`;
  const slowest = channels.reduce((a, b) => (b.lagMs > a.lagMs ? b : a));
  const lag = slowest.lagMs === 0 ? 'no lag' : `slowest ${slowest.name} ${spanText(slowest.lagMs)}`;
  const cpu =
    sent < CPU_SENT_BYTES_MIN ? '' : `; CPU ${cpuText({ cpuMs, sentBytes: sent })} in all`;
  const what = channels.length === 1 ? 'channel' : 'channels';
  const count = countText(channels.length);
  return `forwarding: ${count} ${what}, ${state}; ${lag}${cpu}`;
}

/** What a forwarder that says nothing any more said last looks like what is. */
function ageLines(ageMs: number): string[] {
  if (ageMs < STALE_MS) return [];
  return [`  as it was ${spanText(ageMs)} before the rest: the forwarder has said nothing since`];
}

function channelLines(channel: ChannelReport, { tone, text }: ChannelHealth): string[] {
  const { name, lagRecords, lagBytes, lagMs, delivered, filtered, resent, why } = channel;
  const verdict = tone === 'good' || text === channel.state ? '' : ` (${text})`;
  const lag =
    lagRecords === 0 && lagBytes === 0
      ? 'no lag'
      : `lag ${countText(lagRecords)} records, ${bytesText(lagBytes)}, ${spanText(lagMs)}`;
  return [
    `  ${name}: ${channel.state}${verdict}, ${lag}`,
    ...(why === '' ? [] : why.split('; ').map((text) => `    ${text}`)),
    `    delivered ${countText(delivered)}, filtered ${countText(filtered)}` +
      `, resent ${countText(resent)}, ${droppedText(channel)}`,
    ...channel.destinations.flatMap((one) => destinationLines(channel, one)),
  ];
}

function droppedText(channel: ChannelReport): string {
  if (droppedRecords(channel) === 0) return 'dropped 0';
  const reasons = FORWARD_DROPS.filter((reason) => channel.dropped[reason] > 0);
  const parts = reasons.map((reason) => `${countText(channel.dropped[reason])} ${reason}`);
  return `dropped ${parts.join(', ')}`;
}

function destinationLines(channel: ChannelReport, one: DestinationReport): string[] {
  const role = channel.mode !== 'redundancy' ? '' : one.isActive ? ', active' : ', not active';
  const literal = one.address === '' || one.address === one.host ? '' : ` (${one.address})`;
  const connections = `${one.connections} ${one.connections === 1 ? 'connection' : 'connections'}`;
  const state = one.state === 'standby' ? ', standby' : `${role}, ${one.state}`;
  const troubles = [
    ['breaks', one.breaks],
    ['reconnects', one.reconnects],
    ['records cut', one.cutRecords],
    ['connect errors', one.connectErrors],
    ['resolve errors', one.resolveErrors],
    ['bytes said back', one.talkedBackBytes],
    ['bytes unacked at a loss', one.unackedBytesAtLoss],
  ] as const;
  const seen = troubles.filter(([, count]) => count > 0);
  return [
    `    > ${one.name} ${one.host}:${one.port}${literal}${state}, ${connections}`,
    `      sent ${bytesText(one.sentBytes)}, ${countText(one.sentRecords)} records; ` +
      `acked ${bytesText(one.ackedBytes)}` +
      (one.sentBytes < CPU_SENT_BYTES_MIN ? '' : `; CPU ${cpuText(one)}`),
    ...whyLines(one),
    ...(seen.length === 0
      ? []
      : [`      ${seen.map(([what, count]) => `${what} ${countText(count)}`).join(', ')}`]),
  ];
}

/** What is wrong with its connections; then the mechanism, of which the last reason is. */
function whyLines({ mechanism, why }: DestinationReport): string[] {
  const reasons = why.split('; ');
  const reason = reasons.pop()!;
  return [...reasons.map((text) => `      ${text}`), `      by ${mechanism}: ${reason}`];
}

function cpuText(one: Pick<DestinationReport, 'cpuMs' | 'sentBytes'>): string {
  const perGb = cpuMsPerGb(one);
  return perGb === null ? '-' : `${countText(perGb)} ms/GB`;
}

/** Each where there are few; else their sum, and each that does not close. */
export function forwardLedgerLines(report: ForwardReport | null, isAll: boolean): string[] {
  const channels = report?.channels ?? [];
  if (isAll || channels.length <= LEDGERS_SHOWN) return channels.flatMap(ledgerOf);
  const open = channels.filter((channel) => channelDifference(channel) !== 0);
  const closed = channels.filter((channel) => channelDifference(channel) === 0);
  if (closed.length === 0) return open.flatMap(ledgerOf);
  const count = countText(closed.length);
  const title = `forward ledgers of ${count} channels, records, summed; each of them`;
  return [...equation(title, closed), ...open.flatMap(ledgerOf)];
}

function ledgerOf(channel: ChannelReport): string[] {
  const { name, lagBytes, lagMs } = channel;
  const lag = `lag ${bytesText(lagBytes)} / ${spanText(lagMs)}`;
  return equation(`forward ledger of ${name}, records, ${lag}`, [channel]);
}

function equation(title: string, channels: readonly ChannelReport[]): string[] {
  const sum = (of: (channel: ChannelReport) => number): number =>
    channels.reduce((all, channel) => all + of(channel), 0);
  const dropped = Object.fromEntries(
    FORWARD_DROPS.map((reason) => [reason, sum((channel) => channel.dropped[reason])]),
  );
  const all: Term[] = [
    ['received', sum(({ received }) => received)],
    ['delivered', sum(({ delivered }) => delivered)],
    ['filtered', sum(({ filtered }) => filtered)],
    ...droppedTerms(dropped),
    ['pending', sum(({ pending }) => pending)],
  ];
  const resent = sum((channel) => channel.resent);
  return [
    '',
    title,
    ...termLines(all),
    verdictLine(sum(channelDifference), 'records'),
    ...(resent === 0 ? [] : [`  ${countText(resent)} records were sent a second time`]),
  ];
}
