/**
 * Forward schema: the report of the forwarder as JSON Schema. Reference: docs/reference/api.md.
 */
import { CHANNEL_STATES, DESTINATION_STATES, FORWARD_DROPS } from '../forward/report.ts';
import { numbersOf, object, type Schema } from './schema-parts.ts';

const number: Schema = { type: 'number' };
const text: Schema = { type: 'string' };

const destination = object({
  name: text,
  host: text,
  port: number,
  address: text,
  state: { type: 'string', enum: DESTINATION_STATES },
  isActive: { type: 'boolean' },
  ...numbersOf('connections', 'sentBytes', 'sentRecords', 'ackedBytes', 'unackedBytesAtLoss'),
  ...numbersOf(
    'cutRecords',
    'breaks',
    'reconnects',
    'connectErrors',
    'resolveErrors',
    'talkedBackBytes',
  ),
  mechanism: text,
  why: text,
  cpuMs: number,
});

const channel = object({
  name: text,
  group: { type: ['string', 'null'] },
  mode: text,
  state: { type: 'string', enum: CHANNEL_STATES },
  why: text,
  ...numbersOf('received', 'pending', 'delivered', 'filtered'),
  dropped: object(numbersOf(...FORWARD_DROPS)),
  ...numbersOf('resent', 'position', 'lagRecords', 'lagBytes', 'lagMs'),
  destinations: { type: 'array', items: destination },
});

const channels: Schema = { type: 'array', items: channel };

/** Of the status: null where nothing is forwarded. */
export const forwardReportSchema: Schema = {
  ...object({
    ...numbersOf('timeMs', 'generation'),
    channels,
    ...numbersOf('cpuMs', 'coldReads', 'catchupBytes', 'catchupAbandoned', 'openErrors'),
  }),
  nullable: true,
};

/** Of /api/v1/forward: without a forwarder there are no channels. */
export const forwardSchema = object({ timeMs: number, channels });
