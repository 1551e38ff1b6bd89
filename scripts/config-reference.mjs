/**
 * Writes docs/reference/config.md from the schema of the configuration.
 *
 * WHY     One truth: keys, ranges and defaults stand in src/server/config.ts and
 *         src/server/forward-config.ts.
 * USAGE   node scripts/config-reference.mjs            writes the page
 *         node scripts/config-reference.mjs --check    exit 1 when it is not up to date
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = join(ROOT, 'docs/reference/config.md');

const HEAD = `# Configuration

Made from \`src/server/config.ts\` and \`src/server/forward-config.ts\` by
\`node scripts/config-reference.mjs\`; a test compares them.

A YAML file, given with \`millrace serve -c FILE\`. Every key may be left out. Options of the
command line go before the file. An unknown key or a value out of range stops the start with the
key's path, what was found and what is allowed (\`MR_CONFIG_KEY\`). \`--check\` only checks;
\`--print-plan\` shows the workers and the memory that follow. Units stand at the end of names:
\`Ms\` milliseconds, \`Bytes\` bytes, \`Rows\` rows, \`Count\` a number of things.

\`\`\`yaml
listen: ['0.0.0.0:33000', '[::]:33000']
data: /var/lib/millrace
collect:
  allow: ['192.0.2.0/24']
journal:
  sync: interval
\`\`\`

## Reload

\`millrace reload\`, or SIGHUP, reads the file of \`-c\` again, with the options of the command line
over it. \`forward\` is put in force while the server runs: channels that did not change go on with
their connections; new ones begin where \`from\` says; those that are gone end, and their positions
go; others change with their connections, or are reopened at a block. Other keys that differ are
named in the outcome and need a restart. A file that is wrong in any place changes nothing. The
outcome is printed, in the log, in the snapshot (\`reload\`) and in \`reload.json\` of the data
folder. Without \`-c\` SIGHUP ends the server as before, and \`millrace reload\` refuses to send it.
`;

/** What a value may be, in words. */
function allowedOf(schema) {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.anyOf) return schema.anyOf.map(allowedOf).join(' or ');
  if (Array.isArray(schema.type))
    return schema.type.map((type) => allowedOf({ type })).join(' or ');
  if (schema.type === 'array') {
    if (schema.items.properties) return 'list, see below';
    return `list of ${allowedOf(schema.items)}`;
  }
  if (schema.type === 'null') return '`null`';
  if (schema.type === 'string') return 'text';
  if (schema.type !== 'object') {
    const { minimum, maximum } = schema;
    const isWhole = schema.type === 'integer' ? 'whole number' : schema.type;
    return minimum === undefined ? isWhole : `${number(minimum)} .. ${number(maximum)}`;
  }
  return `map of name: ${allowedOf(schema.additionalProperties)}`;
}

function number(value) {
  return value.toLocaleString('en-US');
}

function defaultOf(value) {
  if (value === undefined) return '';
  return typeof value === 'number' ? number(value) : `\`${JSON.stringify(value)}\``;
}

function rows(properties, required = []) {
  const lines = ['| key | default | allowed | what |', '|---|---|---|---|'];
  for (const [key, schema] of Object.entries(properties)) {
    const what = (schema.description ?? '').replaceAll('|', '\\|');
    const standard = required.includes(key) ? '(must be given)' : defaultOf(schema.default);
    lines.push(`| \`${key}\` | ${standard} | ${allowedOf(schema)} | ${what} |`);
  }
  return lines.join('\n');
}

const { configSchema } = await import('../dist/src/server/config.js');
const schema = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' });
const entries = Object.entries(schema.properties);
const isGroup = ([, inner]) => inner.type === 'object' && inner.properties !== undefined;
const top = Object.fromEntries(entries.filter((entry) => !isGroup(entry)));
/** A group, and the lists of groups in it as `destinations[]`. */
function sections(name, inner) {
  const lists = Object.entries(inner.properties).filter(([, one]) => one.items?.properties);
  return [
    `## ${name}\n\n${rows(inner.properties, inner.required)}\n`,
    ...lists.flatMap(([key, list]) => sections(`${name}.${key}[]`, list.items)),
  ];
}
const groups = entries.filter(isGroup).flatMap(([name, inner]) => sections(name, inner));
const page = `${HEAD}\n## Top level\n\n${rows(top)}\n\n${groups.join('\n')}`;
if (!process.argv.includes('--check')) {
  writeFileSync(PAGE, page);
} else if (!existsSync(PAGE) || readFileSync(PAGE, 'utf8') !== page) {
  console.error(`${PAGE} is not what the schema says; run node scripts/config-reference.mjs`);
  process.exitCode = 1;
}
