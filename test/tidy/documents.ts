/**
 * Document checks: links that lead somewhere, and registries that equal their pages.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** `# Some Title, here` -> `some-title-here`, as GitHub makes its anchors. */
export function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

function anchorsOf(markdown: string): Set<string> {
  const headings = withoutFences(markdown).matchAll(/^#{1,6}\s+(.+)$/gm);
  return new Set([...headings].map((match) => anchorOf(match[1]!)));
}

function withoutFences(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, '');
}

/** Relative links and images of a page whose file or heading does not exist. */
export function checkLinks(root: string, page: string, markdown: string): string[] {
  const found: string[] = [];
  for (const match of withoutFences(markdown).matchAll(/\]\(([^()\s]+)\)/g)) {
    const link = match[1]!;
    if (/^[a-z]+:/.test(link)) continue;
    const [path, anchor] = link.split('#') as [string, string | undefined];
    const target = path === '' ? page : normalize(join(dirname(page), path));
    const file = join(root, target);
    if (!existsSync(file)) found.push(`${page}: the link ${link} leads nowhere`);
    else if (anchor !== undefined && statSync(file).isFile()) {
      const text = target === page ? markdown : readFileSync(file, 'utf8');
      if (!anchorsOf(text).has(anchor)) found.push(`${page}: no heading for the link ${link}`);
    }
  }
  return found;
}

/** Names on one side only; `page` holds each name in backticks at the start of a table row. */
export function compareNames(names: readonly string[], page: string): string[] {
  const rows = [...page.matchAll(/^\|\s*`([^`]+)`\s*\|/gm)].map((match) => match[1]!);
  const documented = new Set(rows);
  const known = new Set(names);
  return [
    ...names.filter((name) => !documented.has(name)).map((name) => `${name} is not documented`),
    ...rows.filter((name) => !known.has(name)).map((name) => `${name} is documented, not known`),
  ];
}

/** Keys of a plain configuration, as dotted paths, with the type of their value. */
export function keysOf(value: object, prefix = ''): { path: string; type: string }[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    const isGroup = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
    return isGroup ? keysOf(inner, path) : [{ path, type: typeof inner }];
  });
}

/** Numbers that stand for a unit say which one at the end of their key. */
const UNIT = /(?:Ms|Bytes|Count|CountMax|Rows|PerHour|PerSecond|Ratio)$/;

export function checkUnits(config: object, unitless: readonly string[]): string[] {
  return keysOf(config)
    .filter(({ path, type }) => type === 'number' && !UNIT.test(path) && !unitless.includes(path))
    .map(({ path }) => `${path}: a number without a unit at the end of its name`);
}
