/**
 * Slots: the numbers of one simulated event, by index into one Float64Array.
 *
 * WHY      Records of different types tell of the same kind of event (a session of a subscriber, a
 *          report of a counter). The event is drawn once into these slots; each field of a record
 *          reads its slot. No object per record, and fields of one record agree with each other.
 */
export const SLOT = {
  PACKAGE: 0,
  SERVICE: 1,
  PROTOCOL: 2,
  SIGNATURE: 3,
  IP_PROTOCOL: 4,
  SERVER_IP: 5,
  SERVER_PORT: 6,
  CLIENT_IP: 7,
  CLIENT_PORT: 8,
  INITIATING_SIDE: 9,
  /** Virtual clock, seconds since 1970-01-01 UTC. */
  NOW: 10,
  /** The event's start, seconds since 1970-01-01 UTC. */
  START_TIME: 11,
  /** End of the reported period for periodic records, otherwise the same as NOW. */
  END_TIME: 12,
  DURATION_MS: 13,
  DURATION_SECONDS: 14,
  /** Bytes for sessions, kilobytes for periodic usage records. */
  UPSTREAM: 15,
  DOWNSTREAM: 16,
  TOTAL_VOLUME: 17,
  SESSIONS: 18,
  ZONE: 19,
  /** Configured period, seconds. */
  PERIOD: 20,
  /** Seconds of the period that the record covers. */
  COVERED: 21,
  LINK: 22,
  GENERATOR: 23,
  DIRECTION: 24,
  /** The counter a periodic record reports: a service of the list. */
  COUNTER: 25,
  ACTIVE_SUBSCRIBERS: 26,
  HASHED_IP: 27,
} as const;

export const SLOT_COUNT = 28;
