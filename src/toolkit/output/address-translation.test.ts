import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addressTranslation } from './address-translation.ts';

test('address translation is seen by its modules and tables, and only then', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-nat-'));
  t.after(() => {
    rmSync(root, { recursive: true });
  });
  const look = (): string => addressTranslation(join(root, 'module'), join(root, 'net'));
  assert.equal(look(), '', 'nothing to be read says nothing');
  mkdirSync(join(root, 'module/nf_conntrack'), { recursive: true });
  mkdirSync(join(root, 'net'));
  writeFileSync(join(root, 'net/ip_tables_names'), 'filter\nmangle\n');
  assert.equal(look(), '');
  writeFileSync(join(root, 'net/ip6_tables_names'), 'filter\nnat\n');
  assert.match(look(), /ip6_tables_names/);
  mkdirSync(join(root, 'module/nft_chain_nat'));
  assert.match(look(), /nft_chain_nat/);
});
