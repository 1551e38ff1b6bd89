/**
 * Address translation: whether this machine may turn a connection to another address to itself.
 *
 * WHY         Kubernetes services and published container ports rewrite the destination of outgoing
 *             connections (DNAT). Socket and route then name a far address, while the peer may be a
 *             process here that reads our very pages. The kernel tells a user without privileges
 *             neither the rule nor the real peer; it does show that such rules are in use.
 * LIMITS      nft_chain_nat, iptable_nat and ip_vs are modules that the first such rule loads; the
 *             table of the older iptables is listed by name (to root). In a kernel that has nft's
 *             own NAT built in, neither shows: state the override `local` there.
 */
import { existsSync, readFileSync } from 'node:fs';

const MODULES = ['nft_chain_nat', 'iptable_nat', 'ip6table_nat', 'ip_vs'] as const;
const TABLES = ['ip_tables_names', 'ip6_tables_names'] as const;

/** What says so, or '' where nothing does. Folders other than the kernel's are for tests. */
export function addressTranslation(modules = '/sys/module', tables = '/proc/net'): string {
  const loaded = MODULES.find((name) => existsSync(`${modules}/${name}`));
  if (loaded !== undefined) return `the module ${loaded} is loaded`;
  const listed = TABLES.find((name) => readWords(`${tables}/${name}`).includes('nat'));
  return listed === undefined ? '' : `${listed} lists a table nat`;
}

/** An unreadable list (not root, no iptables) says nothing. */
function readWords(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
