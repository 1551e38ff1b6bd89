/**
 * Record writer: one drawn event and one layout -> the bytes of one record.
 *
 * WHY      The loop over a layout's small numbers is all that stands between the event and the
 *          encoder: one loop for 33 record types, nothing allocated per record.
 */
import { FIELD_TYPE, type FrameHeader, makeFrameHeader, type RecordEncoder } from '../rdr/index.ts';
import type { Prng } from '../toolkit/base/prng.ts';
import { MODE_CONSTANT, MODE_SLOT, MODE_TEXT, type RecordLayout } from './layout.ts';
import { SLOT } from './slot.ts';
import type { TextMaker } from './text.ts';

/** Traffic processors of the simulated SCE; processor ids stay below 16, so they are no digits. */
const PROCESSORS = 12;

export class RecordWriter {
  readonly #prng: Prng;
  readonly #text: TextMaker;
  readonly #slots: Float64Array;
  readonly #header: FrameHeader = makeFrameHeader(0);

  /** Both address samples as one number of 16 bits, or -1: those of the event. */
  readonly #mark: number;

  constructor(prng: Prng, text: TextMaker, slots: Float64Array, mark = -1) {
    this.#mark = mark;
    this.#prng = prng;
    this.#text = text;
    this.#slots = slots;
  }

  /**
   * Writes the first `fieldCount` fields of `layout` as a record at `offset`; its bytes. `sequence`
   * becomes the flow context id: the record's ordinal in its connection.
   */
  write(
    encoder: RecordEncoder,
    layout: RecordLayout,
    fieldCount: number,
    sequence: number,
    offset: number,
  ): number {
    const slots = this.#slots;
    const header = this.#header;
    const isFlow = !layout.isPeriodic;
    header.tag = layout.tag;
    header.processorId = isFlow ? (slots[SLOT.CLIENT_PORT]! >>> 4) % PROCESSORS : 0;
    header.sourceIpSample = isFlow ? slots[SLOT.CLIENT_IP]! & 255 : 0;
    header.destinationIpSample = isFlow ? slots[SLOT.SERVER_IP]! & 255 : 0;
    header.sourcePort = isFlow ? slots[SLOT.CLIENT_PORT]! : 0;
    header.destinationPort = isFlow ? slots[SLOT.SERVER_PORT]! : 0;
    if (this.#mark >= 0) {
      header.sourceIpSample = this.#mark >>> 8;
      header.destinationIpSample = this.#mark & 255;
    }
    header.flowContextId = sequence >>> 0;
    encoder.begin(header, offset);
    this.#writeFields(encoder, layout, fieldCount);
    return encoder.end();
  }

  #writeFields(encoder: RecordEncoder, layout: RecordLayout, fieldCount: number): void {
    const { types, modes, args } = layout;
    const slots = this.#slots;
    for (let i = 0; i < fieldCount; i++) {
      const mode = modes[i]!;
      const arg = args[i]!;
      if (mode === MODE_TEXT) {
        const text = this.#text;
        text.make(arg, slots[SLOT.NOW]!);
        encoder.text(text.source, text.from, text.to);
        continue;
      }
      const value =
        mode === MODE_SLOT ? slots[arg]! : mode === MODE_CONSTANT ? arg : this.#prng.below(arg);
      writeInteger(encoder, types[i]!, value);
    }
  }
}

function writeInteger(encoder: RecordEncoder, type: number, value: number): void {
  switch (type) {
    case FIELD_TYPE.UINT32:
      encoder.uint32(value);
      break;
    case FIELD_TYPE.INT32:
      encoder.int32(value);
      break;
    case FIELD_TYPE.UINT16:
      encoder.uint16(value);
      break;
    case FIELD_TYPE.INT16:
      encoder.int16(value);
      break;
    case FIELD_TYPE.UINT8:
      encoder.uint8(value);
      break;
    default:
      encoder.int8(value);
  }
}
