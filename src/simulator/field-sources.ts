/**
 * Field sources: what the simulator writes into each field of the catalogue, by Cisco name.
 *
 * WHY      One table instead of 33 writers: a field of the same name means the same thing in every
 *          record type, and a new record type needs rows only for names that are new.
 * TYPES    The wire type comes from the catalogue. Where no source knows it, `type` here says what
 *          the simulator sends, chosen to fit the column that the catalogue gives the field.
 */
import type { FieldTypeName } from '../rdr/index.ts';
import { SLOT } from './slot.ts';
import { TEXT } from './text.ts';

export type FieldSource =
  | { readonly slot: number; readonly type?: FieldTypeName }
  | { readonly constant: number; readonly type?: FieldTypeName }
  /** Uniform in 0 .. below - 1. */
  | { readonly below: number; readonly type?: FieldTypeName }
  | { readonly text: number };

const U8: { type: FieldTypeName } = { type: 'UINT8' };
const U32: { type: FieldTypeName } = { type: 'UINT32' };

/** Fields that say the same in every record type. */
const BY_NAME: Readonly<Record<string, FieldSource>> = {
  SUBSCRIBER_ID: { text: TEXT.SUBSCRIBER },
  HASHED_SUBSCRIBER_ID: { text: TEXT.HASH },
  HASHED_SUBSCRIBER_IP: { slot: SLOT.HASHED_IP, ...U32 },
  PACKAGE_ID: { slot: SLOT.PACKAGE },
  SERVICE_ID: { slot: SLOT.SERVICE },
  PROTOCOL_ID: { slot: SLOT.PROTOCOL },
  PROTOCOL_SIGNATURE: { slot: SLOT.SIGNATURE },
  SKIPPED_SESSIONS: { constant: 1 },
  IP_PROTOCOL: { slot: SLOT.IP_PROTOCOL },
  INITIATING_SIDE: { slot: SLOT.INITIATING_SIDE },
  SIDE: { slot: SLOT.INITIATING_SIDE },
  ATTACKING_SIDE: { slot: SLOT.INITIATING_SIDE },
  TIME_FRAME: { below: 4 },
  ZONE_ID: { slot: SLOT.ZONE },
  FLAVOR_ID: { constant: 0 },
  FLOW_CLOSE_MODE: { below: 3 },
  FLOW_ID: { below: 0x100000000 },
  FLOW_TYPE: { below: 3 },
  SESSION_ID: { below: 0x100000000 },

  SERVER_IP: { slot: SLOT.SERVER_IP },
  SERVER_PORT: { slot: SLOT.SERVER_PORT },
  DESTINATION_IP: { slot: SLOT.SERVER_IP },
  DESTINATION_PORT: { slot: SLOT.SERVER_PORT },
  ATTACKED_IP: { slot: SLOT.SERVER_IP },
  ATTACKED_PORT: { slot: SLOT.SERVER_PORT },
  OTHER_IP: { slot: SLOT.SERVER_IP },
  PORT_NUMBER: { slot: SLOT.SERVER_PORT },
  CLIENT_IP: { slot: SLOT.CLIENT_IP },
  CLIENT_PORT: { slot: SLOT.CLIENT_PORT },
  SOURCE_IP: { slot: SLOT.CLIENT_IP },
  SOURCE_PORT: { slot: SLOT.CLIENT_PORT },
  ATTACKING_IP: { slot: SLOT.CLIENT_IP },
  ATTACK_IP: { slot: SLOT.CLIENT_IP },

  REPORT_TIME: { slot: SLOT.NOW },
  START_TIME: { slot: SLOT.START_TIME },
  ATTACK_TIME: { slot: SLOT.START_TIME },
  END_TIME: { slot: SLOT.END_TIME },
  MILLISEC_DURATION: { slot: SLOT.DURATION_MS },
  DURATION_SECONDS: { slot: SLOT.DURATION_SECONDS },
  CONFIGURED_DURATION: { slot: SLOT.PERIOD },
  DURATION: { slot: SLOT.COVERED, ...U32 },

  SESSION_UPSTREAM_VOLUME: { slot: SLOT.UPSTREAM },
  SESSION_DOWNSTREAM_VOLUME: { slot: SLOT.DOWNSTREAM },
  UPSTREAM_VOLUME: { slot: SLOT.UPSTREAM },
  DOWNSTREAM_VOLUME: { slot: SLOT.DOWNSTREAM },
  TOTAL_VOLUME: { slot: SLOT.TOTAL_VOLUME },
  SESSIONS: { slot: SLOT.SESSIONS },
  SECONDS: { slot: SLOT.DURATION_SECONDS },
  CONCURRENT_SESSIONS: { slot: SLOT.SESSIONS },
  ACTIVE_SUBSCRIBERS: { slot: SLOT.ACTIVE_SUBSCRIBERS },
  TOTAL_ACTIVE_SUBSCRIBERS: { slot: SLOT.ACTIVE_SUBSCRIBERS },

  SUBSCRIBER_COUNTER_ID: { slot: SLOT.SERVICE },
  GLOBAL_COUNTER_ID: { slot: SLOT.SERVICE },
  PACKAGE_COUNTER_ID: { slot: SLOT.PACKAGE },
  SERVICE_USAGE_COUNTER_ID: { slot: SLOT.COUNTER },
  ZONE_COUNTER_ID: { slot: SLOT.ZONE },
  AGGREGATION_OBJECT_ID: { constant: 0 },
  LINK_ID: { slot: SLOT.LINK },
  VLINK_ID: { slot: SLOT.LINK },
  VLINK_DIRECTION: { slot: SLOT.DIRECTION },
  UP_VLINK: { slot: SLOT.LINK, type: 'INT16' },
  DOWN_VLINK: { slot: SLOT.LINK, type: 'INT16' },
  GENERATOR_ID: { slot: SLOT.GENERATOR },
  BREACH_STATE: { below: 2 },
  REASON: { below: 2 },

  ACCESS_STRING: { text: TEXT.HOST },
  INFO_STRING: { text: TEXT.PATH },
  HOST: { text: TEXT.HOST },
  URL: { text: TEXT.PATH },
  USER_AGENT: { text: TEXT.USER_AGENT },
  HTTP_URL: { text: TEXT.URL },
  HTTP_REFERER: { text: TEXT.REFERER },
  REFERER: { text: TEXT.REFERER },
  HTTP_COOKIE: { text: TEXT.COOKIE },

  RTSP_SESSION_ID: { text: TEXT.TOKEN },
  RTSP_URL: { text: TEXT.URL },
  RESPONSE_DATE: { text: TEXT.DATE },
  TOTAL_ENCODING_RATE: { below: 4_000_000 },
  NUMBER_OF_VIDEO_STREAMS: { constant: 1 },
  NUMBER_OF_AUDIO_STREAMS: { below: 3 },
  SESSION_TITLE: { text: TEXT.TITLE },
  SERVER_NAME: { text: TEXT.HOST },
  TITLE: { text: TEXT.TITLE },
  ENCODING_RATE: { below: 8_000_000, ...U32 },
  RESOLUTION: { text: TEXT.RESOLUTION },

  APPLICATION_ID: { below: 40 },
  UPSTREAM_PACKET_LOSS: { below: 300 },
  DOWNSTREAM_PACKET_LOSS: { below: 300 },
  UPSTREAM_AVERAGE_JITTER: { below: 60 },
  DOWNSTREAM_AVERAGE_JITTER: { below: 60 },
  UPSTREAM_JITTER: { below: 60 },
  DOWNSTREAM_JITTER: { below: 60 },
  CALL_DESTINATION: { text: TEXT.PHONE },
  CALL_SOURCE: { text: TEXT.PHONE },
  UPSTREAM_PAYLOAD_TYPE: { below: 35 },
  DOWNSTREAM_PAYLOAD_TYPE: { below: 35 },
  CALL_TYPE: { below: 4 },
  MEDIA_CHANNELS: { constant: 2 },
  SIP_DOMAIN: { text: TEXT.HOST },
  SIP_USER_AGENT: { text: TEXT.USER_AGENT },

  // Bit 7 is set in the only value ever seen (128).
  BLOCK_REASON: { constant: 128 },
  BLOCK_RDR_COUNT: { below: 50 },
  REDIRECTED: { below: 2 },
  SPAM_FOUND: { below: 2, ...U8 },
  THRESHOLD_LEVEL: { below: 4, ...U8 },
  SESSION_COUNTER: { below: 500, ...U32 },
  TIME_INTERVAL: { below: 600, ...U32 },
  DEFINED_SESSION_COUNTER: { constant: 100, ...U32 },
  DEFINED_TIME_INTERVAL: { constant: 60, ...U32 },

  ATTACK_ID: { below: 100_000 },
  ATTACK_TYPE: { below: 6 },
  ATTACKS: { below: 100 },
  MALICIOUS_SESSIONS: { slot: SLOT.SESSIONS },

  QUOTA_MODEL_TYPE: { below: 2, ...U8 },
  RDR_REASON: { below: 5, ...U8 },
  ADDITIONAL_INFO: { text: TEXT.TOKEN },
  BUCKET_ID: { below: 16, ...U8 },
  BUCKET_TYPE: { below: 3, ...U8 },
  BUCKET_QUOTA: { below: 50_000_000 },
  AGGREGATION_PERIOD_TYPE: { below: 5 },
  GLOBAL_THRESHOLD: { below: 1_000_000 },
  UNIT_AMOUNT_IN: { slot: SLOT.UPSTREAM, ...U32 },
  UNIT_AMOUNT_OUT: { slot: SLOT.DOWNSTREAM, ...U32 },
  BUCKET_SIZE_IN: { constant: 10_000_000, ...U32 },
  BUCKET_SIZE_OUT: { constant: 40_000_000, ...U32 },
  THRESHOLD_SIZE_IN: { constant: 1_000_000, ...U32 },
  THRESHOLD_SIZE_OUT: { constant: 4_000_000, ...U32 },
  TOTAL_VOLUME_USAGE: { slot: SLOT.TOTAL_VOLUME },

  CPE_MAC: { text: TEXT.MAC },
  CMTS_IP: { constant: 0x0afe0001 },
  ASSIGNED_IP: { slot: SLOT.CLIENT_IP },
  RELEASED_IP: { constant: 0 },
  TRANSACTION_ID: { below: 0x100000000 },
  MESSAGE_TYPE: { below: 8 },
  OPTION_TYPE_0: { constant: 53 },
  OPTION_TYPE_1: { constant: 50 },
  OPTION_TYPE_2: { constant: 54 },
  OPTION_TYPE_3: { constant: 51 },
  OPTION_TYPE_4: { constant: 61 },
  OPTION_TYPE_5: { constant: 12 },
  OPTION_TYPE_6: { constant: 60 },
  OPTION_TYPE_7: { constant: 82 },
  RADIUS_PACKET_CODE: { below: 6 },
  RADIUS_ID: { below: 256 },

  GUR_TYPE: { below: 4, ...U8 },
  UNKNOWN_26: { constant: 0, ...U32 },
  UNKNOWN_27: { constant: 0, ...U32 },
  UNKNOWN_28: { text: TEXT.EMPTY },
  UNKNOWN_29: { text: TEXT.EMPTY },
};

/** The source of a field; undefined for a name that nobody has given one. */
export function fieldSource(name: string): FieldSource | undefined {
  const known = BY_NAME[name];
  if (known !== undefined) return known;
  if (/^REMAINING_QUOTA_\d+$/.test(name)) return { below: 20_000_000 };
  if (/^OPTION_TYPE_\d_DATA$/.test(name)) return { text: TEXT.OPTION_DATA };
  if (/^ATTRIBUTE_VALUE_\d+$/.test(name)) return { text: TEXT.ATTRIBUTE };
  if (/^FUTURE_USE_\d$/.test(name)) return { constant: 0, ...U32 };
  return undefined;
}
