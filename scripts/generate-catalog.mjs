/**
 * Generates src/rdr/catalog-data.ts from src/rdr/rdr-catalog.json.
 *
 * WHY     The catalogue is data that people correct (one fact, one line of JSON). A TypeScript
 *         module made from it needs no file at run time, bundles anywhere, and its types are
 *         checked.
 * USAGE   node scripts/generate-catalog.mjs            writes the module
 *         node scripts/generate-catalog.mjs --check    exit 1 when it is not up to date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const source = join(root, 'src', 'rdr', 'rdr-catalog.json');
const target = join(root, 'src', 'rdr', 'catalog-data.ts');

/** One record a paragraph, one field a line, so that a change of one fact is a diff of one line. */
function render(catalog) {
  const lines = [
    '/**',
    ' * Generated from rdr-catalog.json by scripts/generate-catalog.mjs. Do not edit.',
    ' */',
    "import type { CatalogData } from './catalog-entry.ts';",
    '',
    'export const CATALOG_DATA: CatalogData = {',
    '  sources: {',
    ...Object.entries(catalog.sources).map(
      ([key, value]) => `    ${key}: ${JSON.stringify(value)},`,
    ),
    '  },',
    '  records: [',
  ];
  for (const record of catalog.records) {
    lines.push('    {');
    for (const [key, value] of Object.entries(record)) {
      if (key !== 'fields') {
        lines.push(`      ${key}: ${JSON.stringify(value)},`);
        continue;
      }
      lines.push('      fields: [');
      for (const field of value) lines.push(`        ${JSON.stringify(field)},`);
      lines.push('      ],');
    }
    lines.push('    },');
  }
  lines.push('  ],', '};', '');
  return lines.join('\n');
}

const wanted = render(JSON.parse(readFileSync(source, 'utf8')));
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== wanted) {
    process.stderr.write(
      'src/rdr/catalog-data.ts is not up to date: run node scripts/generate-catalog.mjs\n',
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(target, wanted);
}
