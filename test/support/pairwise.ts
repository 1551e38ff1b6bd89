/**
 * Pairwise sample of a grid: rows in which every value of every factor meets every value of every
 * other factor. Greedy and without chance: the same factors give the same rows.
 */

export type Factors = Readonly<Record<string, readonly unknown[]>>;
export type Row<F extends Factors> = { readonly [K in keyof F]: F[K][number] };

/** Every row of the grid. */
export function fullGrid<F extends Factors>(factors: F): Row<F>[] {
  let rows: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(factors)) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
  }
  return rows as Row<F>[];
}

const keyOf = (f: number, v: number, g: number, w: number): string =>
  f < g ? `${f}:${v},${g}:${w}` : `${g}:${w},${f}:${v}`;

/** At least one row for every pair of values of two factors. */
export function pairwise<F extends Factors>(factors: F): Row<F>[] {
  const names = Object.keys(factors);
  const sizes = names.map((name) => factors[name]!.length);
  const open = new Set<string>();
  sizes.forEach((size, f) => {
    for (let g = f + 1; g < sizes.length; g++) {
      for (let v = 0; v < size; v++) {
        for (let w = 0; w < sizes[g]!; w++) open.add(keyOf(f, v, g, w));
      }
    }
  });
  const rows: Row<F>[] = [];
  while (open.size > 0) {
    const chosen = completeRow(firstPair(open), sizes, open);
    chosen.forEach((v, f) => {
      for (let g = f + 1; g < chosen.length; g++) open.delete(keyOf(f, v, g, chosen[g]!));
    });
    const entries = names.map((name, f) => [name, factors[name]![chosen[f]!]] as const);
    rows.push(Object.fromEntries(entries) as Row<F>);
  }
  return rows;
}

function firstPair(open: ReadonlySet<string>): Map<number, number> {
  const [first] = open;
  return new Map(first!.split(',').map((part) => part.split(':').map(Number) as [number, number]));
}

/** The other factors, each with the value that meets most values for the first time. */
function completeRow(
  fixed: Map<number, number>,
  sizes: readonly number[],
  open: ReadonlySet<string>,
): number[] {
  sizes.forEach((size, f) => {
    if (fixed.has(f)) return;
    let best = 0;
    let most = -1;
    for (let v = 0; v < size; v++) {
      const count = [...fixed].filter(([g, w]) => open.has(keyOf(f, v, g, w))).length;
      if (count > most) [best, most] = [v, count];
    }
    fixed.set(f, best);
  });
  return sizes.map((_, f) => fixed.get(f)!);
}
