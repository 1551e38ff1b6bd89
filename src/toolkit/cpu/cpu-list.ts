/**
 * CPU list: the kernel's two ways to write a set of CPUs, as sorted numbers and back.
 *
 * "0-3,8" is the list format of cpuset(7), "ff,00000001" the mask format: groups of 32 bits, the
 * highest first.
 */

/** Linux supports at most that many CPUs. */
export const CPU_COUNT_MAX = 8192;

const RANGE = /^(\d+)(?:-(\d+)(?::(\d+)\/(\d+))?)?$/;

/**
 * "0-3,8" as [0, 1, 2, 3, 8]; an empty text and "(null)" are []. "0-31:2/8" (two of every eight)
 * is read as cpuset(7) says. Null: not a list, or a CPU index of 8,192 and more.
 */
export function parseCpuList(text: string): readonly number[] | null {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed === '(null)') return [];
  const found = new Set<number>();
  for (const part of trimmed.split(',')) {
    const match = RANGE.exec(part.trim());
    if (match === null) return null;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    const used = match[3] === undefined ? 1 : Number(match[3]);
    const group = match[4] === undefined ? 1 : Number(match[4]);
    if (last < first || last >= CPU_COUNT_MAX || used < 1 || used > group) return null;
    for (let cpu = first; cpu <= last; cpu++) if ((cpu - first) % group < used) found.add(cpu);
  }
  return [...found].sort((a, b) => a - b);
}

/** [0, 1, 2, 3, 8] as "0-3,8"; the empty list is ''. */
export function formatCpuList(cpus: readonly number[]): string {
  const sorted = [...new Set(cpus)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; i++) {
    const first = sorted[i]!;
    while (i + 1 < sorted.length && sorted[i + 1] === sorted[i]! + 1) i++;
    const last = sorted[i]!;
    parts.push(first === last ? `${first}` : `${first}-${last}`);
  }
  return parts.join(',');
}

/** "3,80000001" as [0, 31, 32, 33]. Null: not a mask. */
export function parseCpuMask(text: string): readonly number[] | null {
  const groups = text.trim().split(',');
  if (!groups.every((group) => /^[0-9a-f]{1,8}$/i.test(group))) return null;
  const found: number[] = [];
  groups.reverse().forEach((group, index) => {
    const bits = Number.parseInt(group, 16);
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) found.push(32 * index + bit);
  });
  return found;
}

/** [0, 31, 32, 33] as "3,80000001": what rps_cpus takes. */
export function formatCpuMask(cpus: readonly number[]): string {
  const groups = new Uint32Array(Math.floor(Math.max(0, ...cpus) / 32) + 1);
  for (const cpu of cpus) groups[cpu >>> 5] = groups[cpu >>> 5]! | (1 << (cpu & 31));
  return [...groups]
    .reverse()
    .map((bits, index) => bits.toString(16).padStart(index === 0 ? 1 : 8, '0'))
    .join(',');
}
