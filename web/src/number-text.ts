/**
 * Numbers as people read them. Exact integers where two numbers are compared; three digits
 * elsewhere.
 */
const integerFormat = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;
const BYTES_PER_MB = 1_000_000;

/** 1234567 -> '1,234,567' */
export function integer(value: number): string {
  return integerFormat.format(value);
}

/** 1234, 'record' -> '1,234 records' */
export function pluralOf(count: number, what: string): string {
  return `${integer(count)} ${what}${count === 1 ? '' : 's'}`;
}

/** Three digits and a decimal unit: 9625624 -> '9.63 MB' */
export function bytes(value: number): string {
  let unit = 0;
  let scaled = value;
  while (Math.abs(scaled) >= 999.5 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? String(Math.round(scaled)) : threeDigits(scaled)} ${BYTE_UNITS[unit]}`;
}

/** Bytes per second as a bare number of MB/s. */
export function megabytes(bytesPerSecond: number): string {
  return threeDigits(bytesPerSecond / BYTES_PER_MB);
}

/** 840 -> '840 ms', 4200 -> '4.20 s', 192000 -> '3 min 12 s' */
export function milliseconds(value: number): string {
  if (value < 1000) return `${value < 10 && value > 0 ? value.toFixed(1) : Math.round(value)} ms`;
  if (value < 60_000) return `${seconds(value)} s`;
  return duration(value);
}

/** Milliseconds as a bare number of seconds. */
export function seconds(valueMs: number): string {
  const value = valueMs / 1000;
  return value >= 100 ? integer(value) : value.toFixed(1);
}

/** The largest units: '3 d 4 h', '14 min', '8 s' */
export function duration(valueMs: number, unitsMax = 2): string {
  const total = Math.max(0, Math.floor(valueMs / 1000));
  const parts = [
    [Math.floor(total / 86_400), 'd'],
    [Math.floor(total / 3600) % 24, 'h'],
    [Math.floor(total / 60) % 60, 'min'],
    [total % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + unitsMax)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** Local time, 24 hours: '14:03:09' */
export function clock(timeMs: number): string {
  return new Date(timeMs).toTimeString().slice(0, 8);
}

function threeDigits(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.95) return integer(value);
  return value.toFixed(size >= 9.995 ? 1 : 2);
}
