/**
 * Forward metrics: what /metrics shows of the forwarder, for each channel and each destination.
 *
 * WHY      A channel has the ledger and the lag, a destination the sockets; a redundancy group is
 *          one channel with several destinations, so that neither's labels fit the other.
 * REFUSED  The channels' ledgers as `millrace_sink_*` too: the same number under two names, and a
 *          channel may have the name of a sink.
 */
import { channelDifference } from '../forward/health.ts';
import {
  CHANNEL_STATES,
  type ChannelReport,
  DESTINATION_STATES,
  type DestinationReport,
  type ForwardReport,
} from '../forward/report.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Metric, Sample } from './metric-table.ts';

function channelsOf({ forward }: Snapshot): readonly ChannelReport[] {
  return forward?.channels ?? [];
}

function perWorker(name: string, help: string, read: (report: ForwardReport) => number): Metric {
  return {
    name,
    help,
    labels: [],
    read: ({ forward }) => (forward === null ? [] : [[read(forward)]]),
  };
}

function perChannel(name: string, help: string, read: (one: ChannelReport) => number): Metric {
  const samples = (snapshot: Snapshot): Sample[] =>
    channelsOf(snapshot).map((one) => [read(one), { channel: one.name }]);
  return { name, help, labels: ['channel'], read: samples };
}

function perDestination(
  name: string,
  help: string,
  read: (one: DestinationReport) => number,
): Metric {
  const samples = (snapshot: Snapshot): Sample[] =>
    channelsOf(snapshot).flatMap((channel) =>
      channel.destinations.map(
        (one): Sample => [read(one), { channel: channel.name, destination: one.name }],
      ),
    );
  return { name, help, labels: ['channel', 'destination'], read: samples };
}

const CHANNEL: readonly Metric[] = [
  {
    name: 'millrace_forward_channel_state',
    help: '1 for the state the channel is in, 0 for the others.',
    labels: ['channel', 'state'],
    read: (s) =>
      channelsOf(s).flatMap(({ name, state }) =>
        CHANNEL_STATES.map((one): Sample => [one === state ? 1 : 0, { channel: name, state: one }]),
      ),
  },
  perChannel(
    'millrace_forward_received_records_total',
    'Records that the journal got since the channel began.',
    (c) => c.received,
  ),
  perChannel(
    'millrace_forward_delivered_records_total',
    'Records that the channel has delivered; docs/guarantees.md says what that is.',
    (c) => c.delivered,
  ),
  perChannel(
    'millrace_forward_filtered_records_total',
    'Records that its filter, or its share, leaves out.',
    (c) => c.filtered,
  ),
  {
    name: 'millrace_forward_dropped_records_total',
    help: 'Records that the channel will never deliver, by reason.',
    labels: ['channel', 'reason'],
    read: (s) =>
      channelsOf(s).flatMap(({ name, dropped }) =>
        Object.entries(dropped).map(
          ([reason, value]): Sample => [value, { channel: name, reason }],
        ),
      ),
  },
  perChannel(
    'millrace_forward_pending_records',
    'Its lag in records: in the journal and not settled.',
    (c) => c.pending,
  ),
  perChannel(
    'millrace_forward_difference_records',
    'What is left over of the ledger of the channel; 0 = it closes.',
    channelDifference,
  ),
  perChannel(
    'millrace_forward_resent_records_total',
    'Records sent a second time, beside the equation.',
    (c) => c.resent,
  ),
  perChannel(
    'millrace_forward_lag_bytes',
    'Journal bytes that are not settled.',
    (c) => c.lagBytes,
  ),
  perChannel(
    'millrace_forward_lag_seconds',
    'Age of the oldest record that is not settled.',
    (c) => c.lagMs / 1000,
  ),
  perChannel(
    'millrace_forward_position_bytes',
    'Up to where in the endless log all is settled.',
    (c) => c.position,
  ),
];

const DESTINATION: readonly Metric[] = [
  {
    name: 'millrace_forward_destination_state',
    help: '1 for the state the destination is in, 0 for the others.',
    labels: ['channel', 'destination', 'state'],
    read: (s) =>
      channelsOf(s).flatMap((channel) =>
        channel.destinations.flatMap(({ name, state }) =>
          DESTINATION_STATES.map(
            (one): Sample => [
              one === state ? 1 : 0,
              { channel: channel.name, destination: name, state: one },
            ],
          ),
        ),
      ),
  },
  perDestination(
    'millrace_forward_destination_active',
    '1 for the one that the stream goes to; 0: a member that is not active.',
    (d) => (d.isActive ? 1 : 0),
  ),
  perDestination('millrace_forward_open_connections', 'Connections up now.', (d) => d.connections),
  perDestination('millrace_forward_sent_bytes_total', 'Bytes that TCP took.', (d) => d.sentBytes),
  perDestination(
    'millrace_forward_sent_records_total',
    'Records that TCP took whole; sent again they count again.',
    (d) => d.sentRecords,
  ),
  perDestination(
    'millrace_forward_acked_bytes_total',
    'Bytes that the TCP of the other end acknowledged.',
    (d) => d.ackedBytes,
  ),
  perDestination(
    'millrace_forward_unacked_at_loss_bytes_total',
    'Bytes on their way when a connection broke: nobody knows whether they arrived.',
    (d) => d.unackedBytesAtLoss,
  ),
  perDestination(
    'millrace_forward_cut_records_total',
    'Records in which a connection broke: it has got a part of one.',
    (d) => d.cutRecords,
  ),
  perDestination(
    'millrace_forward_breaks_total',
    'Connections lost: broken, or closed by the other end.',
    (d) => d.breaks,
  ),
  perDestination(
    'millrace_forward_reconnects_total',
    'Connections that took the place of a lost one.',
    (d) => d.reconnects,
  ),
  perDestination(
    'millrace_forward_connect_errors_total',
    'Addresses that could not be connected to.',
    (d) => d.connectErrors,
  ),
  perDestination(
    'millrace_forward_resolve_errors_total',
    'Times that its name could not be resolved.',
    (d) => d.resolveErrors,
  ),
  perDestination(
    'millrace_forward_talked_back_bytes_total',
    'Bytes that it said to us: read and thrown away.',
    (d) => d.talkedBackBytes,
  ),
  perDestination(
    'millrace_forward_destination_cpu_seconds_total',
    'CPU time spent on sending to it, from samples.',
    (d) => d.cpuMs / 1000,
  ),
  {
    name: 'millrace_forward_mechanism_info',
    help: '1 for the way its bytes leave by now.',
    labels: ['channel', 'destination', 'mechanism'],
    read: (s) =>
      channelsOf(s).flatMap((channel) =>
        channel.destinations.map(
          ({ name, mechanism }): Sample => [
            1,
            { channel: channel.name, destination: name, mechanism },
          ],
        ),
      ),
  },
];

const WORKER: readonly Metric[] = [
  perWorker(
    'millrace_forward_worker_cpu_seconds_total',
    'CPU time of the forward worker, all of it.',
    (r) => r.cpuMs / 1000,
  ),
  perWorker(
    'millrace_forward_cold_reads_total',
    'Ranges of the journal that were not in the page cache.',
    (r) => r.coldReads,
  ),
  perWorker(
    'millrace_forward_catchup_bytes_total',
    'Bytes that the catch-up worker read for them.',
    (r) => r.catchupBytes,
  ),
  perWorker(
    'millrace_forward_catchup_abandoned_total',
    'Ranges that it did not read in time: their channels waited for the disk, and all others, too.',
    (r) => r.catchupAbandoned,
  ),
  perWorker(
    'millrace_forward_open_errors_total',
    'Segment files, and listings of them, that could not be opened: tried again.',
    (r) => r.openErrors,
  ),
];

export const FORWARD_METRICS: readonly Metric[] = [...CHANNEL, ...DESTINATION, ...WORKER];
