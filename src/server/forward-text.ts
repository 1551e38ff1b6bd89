/**
 * Forward text: what will be forwarded where, in words: for `--print-plan` and `serve --check`.
 */
import { formatEndpoint } from './address.ts';
import type { ChannelOptions, DestinationOptions, ForwardOptions } from './forward/options.ts';

/** One line for each channel, and what is not said of all; nothing without channels. */
export function forwardLines(options: ForwardOptions): string[] {
  const { channels } = options;
  if (channels.length === 0) return [];
  const destinations = new Set(
    channels.flatMap((channel) => channel.destinations.map(({ name }) => name)),
  );
  const to = count(destinations.size, 'destination');
  const head = `forward: ${count(channels.length, 'channel')} to ${to}`;
  return [
    head,
    ...channels.flatMap((channel) => [`  ${channelLine(channel)}`, ...details(channel)]),
  ];
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

function channelLine(channel: ChannelOptions): string {
  const [first] = channel.destinations;
  switch (channel.mode) {
    case 'single':
      return `${channel.name}: to ${placeOf(first!)}`;
    case 'multicast':
      return `${channel.name}: to ${placeOf(first!)}, as each member of ${channel.group}`;
    case 'load-balancing':
      return `${channel.name}: to ${placeOf(first!)}, ${shareOf(channel)} of ${channel.group}`;
    default: {
      const places = channel.destinations.map(
        (one) => `${one.name} ${placeOf(one)} (priority ${one.priority})`,
      );
      return `${channel.name}: to the first that is up of ${places.join(', ')}`;
    }
  }
}

function placeOf({ host, port }: DestinationOptions): string {
  return formatEndpoint({ host, port });
}

function shareOf({ balance }: ChannelOptions): string {
  const { by, field, members } = balance!;
  const how = by === 'block' ? 'blocks in turn' : `by ${field}`;
  return `1 of ${members.length} shares (${how})`;
}

function details(channel: ChannelOptions): string[] {
  const [first] = channel.destinations;
  const lines = [
    channel.filter === '' ? 'all records' : `records where ${channel.filter}`,
    first!.connections === 'merged'
      ? 'one connection for all exporters'
      : 'a connection for each exporter',
    channel.destinations.map(({ resend }) => RESEND_TEXT[resend]).find(Boolean)!,
    lagText(channel),
    `without a position it begins ${FROM_TEXT[channel.from]}`,
  ];
  const { rateBytesPerSecond } = first!;
  if (rateBytesPerSecond > 0) lines.push(`at most ${rateBytesPerSecond} bytes/s`);
  return [`    ${lines.join('; ')}`];
}

const RESEND_TEXT: Readonly<Record<DestinationOptions['resend'], string>> = {
  none: 'a broken connection leaves a gap, counted',
  unacked: 'a broken connection may repeat records, counted',
};

const FROM_TEXT: Readonly<Record<ChannelOptions['from'], string>> = {
  now: 'with what comes in then',
  'journal-start': 'with the oldest record of the journal',
  'last-position': 'with what comes in then',
};

function lagText({ lagBytesMax, lagMsMax, onLag }: ChannelOptions): string {
  const limits = [
    ...(lagBytesMax > 0 ? [`${lagBytesMax} bytes`] : []),
    ...(lagMsMax > 0 ? [`${lagMsMax} ms`] : []),
  ];
  if (onLag === 'hold') return 'the journal waits for it up to journal.capBytes';
  if (limits.length === 0) return 'what retention takes before it was sent is counted';
  return `beyond a lag of ${limits.join(' or ')} the oldest blocks are skipped, counted`;
}
