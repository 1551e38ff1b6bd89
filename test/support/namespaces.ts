/**
 * Two network namespaces joined by a veth pair, for tests as root; gone afterwards.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isRoot } from './output-rig.ts';

export const NEAR_ADDRESS = '10.77.0.1';
export const FAR_ADDRESS = '10.77.0.2';

export interface Namespaces {
  /** Where the writer is; and the reader. */
  readonly near: string;
  readonly far: string;
  close(): void;
}

function ip(...parameters: string[]): void {
  execFileSync('ip', parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Those of a test that was killed. */
function removeLeftovers(): void {
  const names = execFileSync('ip', ['netns', 'list'])
    .toString()
    .matchAll(/^millrace-(\d+)-[ab]\b/gm);
  for (const [name, pid] of names) {
    if (!existsSync(`/proc/${pid}`)) spawnSync('ip', ['netns', 'delete', name]);
  }
}

/** The pair, or in words why it cannot be had. */
export function makeNamespaces(): Namespaces | string {
  if (!isRoot) return 'needs root, to make network namespaces';
  if (spawnSync('ip', ['-V']).status !== 0) return 'needs ip(8), of iproute2';
  const [near, far] = [`millrace-${process.pid}-a`, `millrace-${process.pid}-b`];
  const close = (): void => {
    for (const name of [near, far]) spawnSync('ip', ['netns', 'delete', name]);
  };
  try {
    removeLeftovers();
    ip('netns', 'add', near);
    ip('netns', 'add', far);
    ip('link', 'add', 'near', 'netns', near, 'type', 'veth', 'peer', 'name', 'far', 'netns', far);
    for (const [name, device, address] of [
      [near, 'near', NEAR_ADDRESS],
      [far, 'far', FAR_ADDRESS],
    ] as const) {
      ip('-n', name, 'address', 'add', `${address}/24`, 'dev', device);
      ip('-n', name, 'link', 'set', device, 'up');
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
  } catch (error) {
    close();
    return `ip(8) refuses: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
  return { near, far, close };
}

/** A command line that runs Node.js with a script inside a namespace. */
export function inNamespace(name: string, script: string, ...parameters: string[]): string[] {
  return ['netns', 'exec', name, process.execPath, script, ...parameters];
}
