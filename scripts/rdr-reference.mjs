/**
 * Writes the list of record types into docs/reference/rdrv1.md, between its two marks.
 *
 * WHY     One truth: names, tags, fields and how sure each is stand in src/rdr/rdr-catalog.json.
 * USAGE   node scripts/rdr-reference.mjs            writes the page
 *         node scripts/rdr-reference.mjs --check    exit 1 when it is not up to date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = join(ROOT, 'docs/reference/rdrv1.md');
const BEGIN = '<!-- records: begin -->';
const END = '<!-- records: end -->';

const { CATALOG } = await import('../dist/src/rdr/index.js');

function overview() {
  const rows = CATALOG.map((entry) => {
    const tag = entry.tagHex === null ? 'unknown' : `\`${entry.tagHex}\``;
    const table = entry.tableName === null ? '-' : `\`${entry.tableName}\``;
    const periodic = entry.periodic ? 'yes' : '';
    const sure = `${entry.confidence}, ${entry.completeness}`;
    return `| ${entry.name} | ${tag} | ${table} | ${entry.fields.length} | ${periodic} | ${sure} |`;
  });
  const head = [
    '| record | tag | table | fields | periodic | known from |',
    '|---|---|---|---|---|---|',
  ];
  return [...head, ...rows].join('\n');
}

function fieldText(field) {
  const unit = field.unit === undefined ? '' : ` [${field.unit}]`;
  const release = field.release === null ? '' : ` {${field.release}}`;
  return `${field.index + 1} ${field.name} ${field.type}${unit}${release} (${field.typeSource})`;
}

function details() {
  return CATALOG.filter((entry) => entry.fields.length > 0).map((entry) => {
    const note = entry.note === undefined ? '' : `${entry.note}\n\n`;
    return `### ${entry.name}\n\n${note}${entry.fields.map(fieldText).join(' · ')}\n`;
  });
}

const page = readFileSync(PAGE, 'utf8');
const before = page.slice(0, page.indexOf(BEGIN) + BEGIN.length);
const after = page.slice(page.indexOf(END));
const made = `${before}\n\n${overview()}\n\n${details().join('\n')}\n${after}`;
if (!process.argv.includes('--check')) {
  writeFileSync(PAGE, made);
} else if (page !== made) {
  console.error(`${PAGE} is not what the catalogue says; run node scripts/rdr-reference.mjs`);
  process.exitCode = 1;
}
