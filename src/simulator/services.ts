/**
 * Services: the sixty classified services of the simulated network, with what records say.
 *
 * SOURCE   Service, protocol and signature ids of web and TLS traffic are those of the one printed
 *          record (docs/reference/rdrv1.md); all other ids are made up, and an operator of a real
 *          SCE configures them anyway.
 */

export const SERVICE_COUNT = 60;

const TCP = 6;
const UDP = 17;

export interface Service {
  readonly protocolId: number;
  readonly serverPort: number;
  readonly ipProtocol: number;
  readonly signature: number;
  /** Relative share of sessions. */
  readonly weight: number;
}

type Row = readonly [
  id: number,
  protocol: number,
  port: number,
  ip: number,
  signature: number,
  weight: number,
];

/** The services that make most of the sessions; the others follow from their id. */
const KNOWN: readonly Row[] = [
  [16, 2, 80, TCP, 0x03010000, 260],
  [17, 358, 443, TCP, 0x01000000, 420],
  [1, 1, 0, TCP, 0, 12],
  [2, 3, 53, UDP, 0x02000000, 90],
  [3, 4, 25, TCP, 0x04000000, 6],
  [4, 5, 110, TCP, 0x05000000, 4],
  [5, 6, 21, TCP, 0x06000000, 3],
  [9, 24, 6881, TCP, 0x08010000, 34],
  [10, 25, 6881, UDP, 0x08020000, 30],
  [21, 15, 554, TCP, 0x09000000, 8],
  [22, 30, 1935, TCP, 0x0a000000, 22],
  [27, 38, 5060, UDP, 0x0b000000, 16],
  [31, 41, 3478, UDP, 0x0c000000, 18],
  [40, 61, 443, UDP, 0x0d000000, 120],
  [57, 5015, 80, TCP, 0x03011300, 40],
];

function makeServices(): readonly Service[] {
  const services: Service[] = [];
  for (let id = 1; id <= SERVICE_COUNT; id++) {
    const row = KNOWN.find((known) => known[0] === id);
    services.push(
      row === undefined
        ? {
            protocolId: 1000 + id,
            serverPort: 7000 + id * 11,
            ipProtocol: id % 3 === 0 ? UDP : TCP,
            signature: 0x10000000 + id * 0x10000,
            weight: 1 + (id % 5),
          }
        : {
            protocolId: row[1],
            serverPort: row[2],
            ipProtocol: row[3],
            signature: row[4],
            weight: row[5],
          },
    );
  }
  return services;
}

/** Service id - 1 -> service. */
export const SERVICES: readonly Service[] = Object.freeze(makeServices());

const DRAW_TABLE_LENGTH = 1024;

/** 1,024 places -> service id, in proportion to the weights; every service has at least one. */
export const SERVICE_DRAW: Uint8Array = (() => {
  const total = SERVICES.reduce((sum, service) => sum + service.weight, 0);
  const table = new Uint8Array(DRAW_TABLE_LENGTH);
  let before = 0;
  SERVICES.forEach((service, index) => {
    const from = Math.floor((before / total) * DRAW_TABLE_LENGTH);
    before += service.weight;
    const to = Math.floor((before / total) * DRAW_TABLE_LENGTH);
    table.fill(index + 1, from, Math.max(to, from + 1));
  });
  return table;
})();

export const SERVICE_DRAW_MASK = DRAW_TABLE_LENGTH - 1;
