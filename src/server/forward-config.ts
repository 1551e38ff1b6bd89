/**
 * Forward configuration: the keys below `forward:`.
 *
 * WHY        They are a language of their own (destinations, groups among them, sets of tags), and
 *            the only part of the configuration that a reload may change.
 * INVARIANTS Ranges and defaults stand here; what needs several keys at once to be judged (names,
 *            members, loops) is judged by forward-plan.ts.
 */
import { z } from 'zod';
import { addressBytes } from './address.ts';
import { FORWARD_MECHANISMS, FORWARDING_MODES } from './forward/options.ts';
import { hostProblem } from './host-problem.ts';

const DAY_MS = 86_400_000;

const bytes = (min: number, max: number) => z.number().int().min(min).max(max);
const ms = (min: number, max: number) => z.number().int().min(min).max(max);

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const name = z.string().regex(NAME, {
  message: 'not a name: a-z, 0-9, then also . _ -, at most 63 characters',
});
const address = z.string().refine((text) => addressBytes(text) !== null, {
  message: 'not an IPv4 or IPv6 address',
});
const host = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    const message = hostProblem(text);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });
const tag = z.union([z.string().min(1), z.number().int().min(0).max(0xffff_ffff)]);
const filter = z
  .string()
  .default('')
  .describe('records that go there, by an expression; empty = all; see docs/reference/filter.md');
const categoryNames = z
  .array(z.string())
  .default([])
  .describe('only records whose tag is in one of these sets of `forward.categories`; empty = all');

export const destinationSchema = z.strictObject({
  name: name.describe('names it in groups, status and metrics; unique, groups included'),
  host: host.describe('name or address; a name is resolved at every connect'),
  port: z.number().int().min(1).max(65_535).describe('TCP port'),
  protocol: z.enum(['rdr-v1']).default('rdr-v1').describe('what is spoken there'),
  connections: z
    .enum(['per-exporter', 'merged'])
    .default('per-exporter')
    .describe('one connection for each exporter, or one for all'),
  localAddressByExporter: z
    .record(address, address)
    .default({})
    .describe('exporter: the local address from which its connection comes'),
  from: z
    .enum(['now', 'journal-start', 'last-position'])
    .default('last-position')
    .describe('where it begins without a position of its own; last-position then means now'),
  filter,
  categories: categoryNames,
  resend: z
    .enum(['none', 'unacked'])
    .default('unacked')
    .describe('after a broken connection or a kill: a gap, or doubles; see docs/guarantees.md'),
  mechanism: z
    .enum(FORWARD_MECHANISMS)
    .default('auto')
    .describe('how bytes leave; auto decides for each run of records'),
  rateBytesPerSecond: bytes(0, 1e11).default(0).describe('at most so much; 0 = no limit'),
  lingerMs: ms(0, 10_000).default(5).describe('small pieces wait so long for more'),
  connectTimeoutMs: ms(10, 600_000).default(10_000).describe('a connect that takes longer fails'),
  idleTimeoutMs: ms(0, DAY_MS)
    .default(0)
    .describe('a connection on which nothing was sent for so long is closed; 0 = never'),
  keepAliveMs: ms(0, 7_200_000)
    .default(60_000)
    .describe('TCP keep-alive: idle time before the first probe; 0 = off'),
  userTimeoutMs: ms(0, 3_600_000)
    .default(30_000)
    .describe(
      'a destination that answers nothing for so long ends the connection; 0 = as TCP has it',
    ),
  sendBufferBytes: bytes(0, 1_073_741_824)
    .default(0)
    .describe('SO_SNDBUF; 0 = the kernel tunes it'),
  reconnectMsMin: ms(10, 3_600_000).default(200).describe('wait after the first failed connect'),
  reconnectMsMax: ms(10, 3_600_000).default(30_000).describe('the wait doubles up to this'),
  lagBytesMax: bytes(0, 1e15).default(0).describe('journal bytes that it may lag; 0 = no limit'),
  lagMsMax: ms(0, 10 * 365 * DAY_MS)
    .default(0)
    .describe('time that it may lag; 0 = no limit'),
  onLag: z
    .enum(['hold', 'drop-oldest'])
    .default('hold')
    .describe(
      'beyond that: drop-oldest skips blocks, counted; hold keeps the segments that it has not' +
        ' read, up to journal.capBytes',
    ),
});

const memberSchema = z.strictObject({
  destination: z.string().describe('name of a destination'),
  priority: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(100)
    .describe('1 to 100, 100 the highest; counts in redundancy groups'),
});

export const groupSchema = z.strictObject({
  name: name.describe('unique, destinations included'),
  mode: z
    .enum(FORWARDING_MODES)
    .describe('the one of highest priority that is up; each all; or each a share'),
  members: z.array(memberSchema).min(1, 'a group needs members').describe('its destinations'),
  by: z
    .enum(['block', 'hash'])
    .default('hash')
    .describe('load-balancing: shares are blocks, in turn, or values of a field'),
  field: z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/, { message: 'not a lower_snake name of a field' })
    .default('subscriber_id')
    .describe('load-balancing by hash: records with one value go to one member'),
  filter,
  categories: categoryNames,
  switchOverMs: ms(0, 3_600_000)
    .default(5_000)
    .describe('redundancy, load-balancing: a member that is down for so long is left'),
  switchBackMs: ms(0, DAY_MS)
    .default(30_000)
    .describe('and one that is up again for so long is taken back'),
});

export const forwardSchema = z.strictObject({
  destinations: z
    .array(destinationSchema)
    .default([])
    .describe('collectors to which records go; one that is in no group gets all, by itself'),
  groups: z
    .array(groupSchema)
    .default([])
    .describe('ways of forwarding among several destinations'),
  categories: z
    .record(name, z.array(tag).min(1, 'a set needs tags'))
    .default({})
    .describe('sets of tags, by name or number, for `categories` of destinations and groups'),
});

export type ForwardConfig = Readonly<z.output<typeof forwardSchema>>;
export type DestinationConfig = Readonly<z.output<typeof destinationSchema>>;
export type GroupConfig = Readonly<z.output<typeof groupSchema>>;
