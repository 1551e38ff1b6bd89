/**
 * The models, the bounds of their runs, and the bugs that are planted in them.
 *
 * A run without a bug must be exhaustive and without an error. Every bug must be found in the run
 * that is named for it: a property that no bug breaks would not be checked.
 */

export interface ModelRun {
  readonly name: string;
  readonly defines: readonly string[];
}

export interface SeededBug {
  /** -DBUG_... */
  readonly name: string;
  /** The run whose bounds show it. */
  readonly run: string;
  readonly what: string;
}

export interface Model {
  /** In test/model. */
  readonly file: string;
  readonly runs: readonly ModelRun[];
  readonly bugs: readonly SeededBug[];
  /** What the runs must have come to, together: the names of the model's probes. */
  readonly probes: readonly string[];
}

function run(name: string, bounds: Readonly<Record<string, string | number>>): ModelRun {
  return { name, defines: Object.entries(bounds).map(([key, value]) => `-D${key}=${value}`) };
}

function bug(runName: string, name: string, what: string): SeededBug {
  return { name, run: runName, what };
}

/** PUSHES and POPS: attempts, one digit a member. */
export const MPMC: Model = {
  file: 'mpmc.pml',
  runs: [
    run('2 pushers, 2 poppers', { MEMBERS: 4, PUSHES: '0022', POPS: 2200, FILL: 3 }),
    run('batches of 2', { MEMBERS: 3, PUSHES: '012', POPS: 210, FILL: 3, BATCH: 2 }),
    run('batches of 3', { MEMBERS: 4, PUSHES: '0011', POPS: 2200, FILL: 2, BATCH: 3 }),
    run('one death', { MEMBERS: 3, PUSHES: '011', POPS: 200, DEATHS: 1 }),
    run('one death, nearly full', { MEMBERS: 3, PUSHES: '011', POPS: 100, FILL: 3, DEATHS: 1 }),
    run('one death, batches', {
      MEMBERS: 3,
      PUSHES: '011',
      POPS: 200,
      FILL: 3,
      BATCH: 2,
      DEATHS: 1,
    }),
    run('one death, both ways', { MEMBERS: 3, PUSHES: '011', POPS: 110, DEATHS: 1 }),
    run('two deaths', { MEMBERS: 3, PUSHES: '011', POPS: 100, DEATHS: 2 }),
  ],
  bugs: [
    bug('2 pushers, 2 poppers', 'PUBLISH_BEFORE_WRITE', 'seq is stored before the item'),
    bug('2 pushers, 2 poppers', 'RELEASE_BEFORE_READ', 'seq is stored before the item is read'),
    bug('2 pushers, 2 poppers', 'SEQ_OFF_BY_ONE', 'a popper leaves the seq one too low'),
    bug('2 pushers, 2 poppers', 'TICKET_BEFORE_ROOM', 'a ticket is taken without a look'),
    bug('2 pushers, 2 poppers', 'CLAIM_WITHOUT_EXCHANGE', 'pushSeq is stored, not exchanged'),
    bug('batches of 2', 'BATCH_UNCOUNTED', 'only the first slot of a batch is looked at'),
    bug('batches of 2', 'BATCH_REVERSED', 'items of a batch in the wrong order'),
    bug('one death', 'HOLE_NOT_SKIPPED', 'a popper takes a hole for an empty ring'),
    bug('one death', 'CAPACITY_TWO', 'capacity 2: a hole looks like a free slot'),
    bug('one death', 'NOTE_AFTER_CLAIM', 'the note is written behind the claim'),
    bug('one death, nearly full', 'LOSER_KEEPS_NOTE', '"full" leaves the note of a lost race'),
    bug('one death, batches', 'NOTE_COUNT_STALE', 'the count in the note is an old one'),
    bug('one death', 'ABANDON_IGNORES_LIVE', 'notes of running members are not looked at'),
    bug('one death', 'ABANDON_PASSED_LAST', 'notes are looked at before pushSeq'),
    bug('one death, batches', 'ABANDON_PASSED_ONCE', 'pushSeq is asked for the first ticket only'),
    bug('one death', 'SETTLE_WITHOUT_LOOK', 'slots that were given up are settled, too'),
    bug('one death', 'LOSS_UNANSWERED', 'lost items are not counted'),
    bug('two deaths', 'HOLE_SKIP_WITHOUT_NOTE', 'a popper passes a hole without a note'),
    bug('two deaths', 'ABANDON_MARKS_LATE', 'a dead member is not marked at once'),
  ],
  probes: [
    'full',
    'empty',
    'stale push',
    'stale pop',
    'hole passed',
    'batch popped',
    'abandon again',
    'hole made',
    'loss answered',
    'hole of a dead popper freed',
    'note of a loser cleared',
  ],
};

export const BROADCAST: Model = {
  file: 'broadcast.pml',
  runs: [
    run('one reader', { PUBLISHES: 4, READS: 3, POLLS: 1, JOINS: 1 }),
    run('one reader, evictSlowest', {
      PUBLISHES: 5,
      READS: 3,
      POLLS: 1,
      JOINS: 1,
      PUT_BACKS: 1,
      SLOWEST: 1,
    }),
    run('one reader, half a turn', {
      TURN: 8,
      START: 6,
      PUBLISHES: 6,
      READS: 2,
      POLLS: 1,
      JOINS: 1,
    }),
    run('two readers', { READERS: 2, PUBLISHES: 3, READS: 1, POLLS: 0, JOINS: 1, PUT_BACKS: 1 }),
    run('two readers that stay', { READERS: 2, PUBLISHES: 3, READS: 2, POLLS: 1, JOINS: 0 }),
    run('a reader dies', {
      PUBLISHES: 4,
      READS: 3,
      POLLS: 2,
      JOINS: 2,
      JOINED: 0,
      READER_DEATHS: 1,
    }),
    run('the writer dies', { PUBLISHES: 4, READS: 3, POLLS: 1, JOINS: 1, WRITER_DEATHS: 1 }),
    run('the writer dies, two readers', {
      READERS: 2,
      PUBLISHES: 3,
      READS: 1,
      POLLS: 1,
      JOINS: 0,
      WRITER_DEATHS: 1,
    }),
  ],
  bugs: [
    bug('one reader', 'NO_CONFIRM', 'a copy is not compared with claimSeq'),
    bug('one reader', 'CONFIRM_OFF_BY_ONE', 'claimSeq may be one too far'),
    bug('one reader', 'CLAIM_AFTER_WRITE', 'claimSeq is stored behind the words of the slot'),
    bug('one reader', 'PUBLISH_BEFORE_WRITE', 'writeSeq is stored before the words of the slot'),
    bug('one reader', 'BEGIN_WITHOUT_EXCHANGE', 'the reader stores READING over its eviction'),
    bug('one reader', 'FINISH_WITHOUT_EXCHANGE', 'the reader stores IDLE over its eviction'),
    bug('one reader', 'NEXT_AT_WRITE_SEQ', 'the reader begins where the writer is by now'),
    bug('one reader', 'CONFIRM_STAYS_LAPPED', 'who discards a copy cannot ask for a place'),
    bug('a reader dies', 'ENTER_AT_BEGIN', 'a place without a slot moves where touch was lost'),
    bug('one reader', 'EVICTED_ANSWERS_NOTHING', 'who was evicted is told that nothing is new'),
    bug('one reader', 'EVICT_WITHOUT_EXCHANGE', 'the writer stores over a move of the reader'),
    bug('one reader', 'EVICT_WITHOUT_ASIDE', 'what a lapped reader holds is not kept aside'),
    bug('one reader', 'TAKE_ASIDE_WHILE_LAPPED', 'what is aside is released too early'),
    bug('one reader', 'ASIDE_RELEASED_EARLY', 'aside and ring both release a slot'),
    bug('one reader', 'PASSED_RELEASES_ASIDE', 'the ring releases what is aside'),
    bug('one reader', 'PASSED_IGNORES_READING', 'a reader in its slot does not hold it'),
    bug('one reader', 'ADMIT_WITHOUT_EXCHANGE', 'a reader that has left is given a place'),
    bug('one reader, evictSlowest', 'ADMIT_WITH_ASIDE', 'a place before the last slot is let go'),
    bug('one reader, half a turn', 'CONFIRM_SIGNED', 'a copy half a turn old is taken for whole'),
    bug(
      'one reader, half a turn',
      'AHEAD_SIGNED',
      'what was aside for half a turn is not released',
    ),
    bug('two readers', 'ASIDE_OF_TWO', 'a slot aside for two is released for each'),
    bug('the writer dies', 'RELEASE_BEFORE_NOTE', 'released first, noted then'),
    bug('the writer dies', 'NO_RECOVER', 'the next writer keeps nothing aside'),
  ],
  probes: [
    'not yet admitted',
    'eviction told',
    'admitted',
    'evicted between load and exchange',
    'whole copy of a lapped reader',
    'copy discarded',
    'lapped reader left',
    'reader abandoned',
    'slowest evicted',
    'idle reader evicted',
    'reader lapped',
    'eviction tried again',
    'aside left to the passed',
    'aside of two readers',
    'aside released',
    'not admitted: aside',
    'gone before it was admitted',
    'writer replaced',
    'aside recovered',
    'two places lost in a row',
  ],
};

export const MODELS: readonly Model[] = [MPMC, BROADCAST];
