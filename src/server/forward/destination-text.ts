/**
 * Destination text: what is reported of a destination, in the words of the forward report.
 */
import type { Destination } from './destination.ts';
import type { DestinationOptions } from './options.ts';
import type { DestinationReport, DestinationState } from './report.ts';

/** `isActive`: the stream goes there. */
export function describeDestination(
  options: DestinationOptions,
  isActive: boolean,
  from: ReturnType<Destination['report']>,
): DestinationReport {
  return {
    name: options.name,
    host: options.host,
    port: options.port,
    address: from.address,
    state: stateText(from.state, isActive),
    isActive,
    connections: from.connectionsUp,
    sentBytes: from.sentBytes,
    sentRecords: from.sentRecords,
    ackedBytes: from.ackedBytes,
    unackedBytesAtLoss: from.unackedBytesAtLoss,
    cutRecords: from.cutRecords,
    breaks: from.breaks,
    reconnects: from.reconnects,
    connectErrors: from.connectErrors,
    resolveErrors: from.resolveErrors,
    talkedBackBytes: from.talkedBackBytes,
    mechanism: from.mechanism,
    why: from.reason === '' ? from.mechanismWhy : `${from.reason}; ${from.mechanismWhy}`,
    cpuMs: from.cpuMs,
  };
}

function stateText(
  state: ReturnType<Destination['report']>['state'],
  isActive: boolean,
): DestinationState {
  if (state === 'idle' || state === 'closed') return isActive ? 'idle' : 'standby';
  if (state === 'up' && !isActive) return 'standby';
  return state;
}
