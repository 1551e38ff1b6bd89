/**
 * `millrace reload`: a running server reads its configuration again.
 *
 * WHY        The server is found by the lock of its data folder and told by SIGHUP, so that it
 *            works where HTTP is off and nobody wrote down a process id. What became of it is in
 *            `reload.json` of the folder.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type FolderOwner, findOwner } from '../server/data-folder.ts';
import type { ReloadStatus } from '../server/index.ts';
import { RELOAD_FILE } from '../server/reload.ts';
import { monotonicMs, wallMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';

const WAIT_MS = 15_000;
const POLL_MS = 20;

const HELP = `
Only \`forward:\` may change while the server runs: destinations, groups and categories. Channels
that did not change go on, their connections too. So do those whose connections can bear what
changed (filter, limits, rate, times ...); the others are reopened at a record boundary. It is told
which, and for which keys. Other keys that differ are named and need a restart. A file with an
error changes nothing.
The same as SIGHUP to the server, which must have been started with -c.

Examples:
  $ millrace reload
  $ millrace reload --data /var/lib/millrace`;

export function registerReload(program: Command): void {
  program
    .command('reload')
    .summary('a running server reads its configuration again')
    .description(
      'Puts the `forward:` of the changed configuration file in force, without a restart.',
    )
    .option('--data <dir>', 'data folder of the server', './millrace-data')
    .addHelpText('after', HELP)
    .action(reload);
}

async function reload({ data }: { readonly data: string }): Promise<void> {
  const folder = resolve(data);
  const { pid } = serverOf(folder);
  const before = outcomeOf(folder, pid)?.count ?? 0;
  const sentMs = wallMs();
  hangUp(pid);
  const endMs = monotonicMs() + WAIT_MS;
  for (;;) {
    const outcome = outcomeOf(folder, pid);
    // Read after we asked: a reload that was under way may have seen the file as it was before.
    if (outcome !== null && outcome.count > before && outcome.timeMs >= sentMs) {
      if (!outcome.ok) throw new MillraceError('MR_RELOAD', outcome.text, 'nothing was changed');
      process.stdout.write(`${outcome.text}\n`);
      return;
    }
    if (findOwner(folder)?.pid !== pid) {
      throw new MillraceError('MR_RELOAD', `the server (process ${pid}) has ended`, 'see its log');
    }
    if (monotonicMs() > endMs) {
      throw new MillraceError(
        'MR_RELOAD',
        `the server (process ${pid}) has not said in ${WAIT_MS / 1000} s what became of it`,
        'see its log, or `millrace status`',
      );
    }
    await sleep(POLL_MS);
  }
}

/** Throws MR_RELOAD when there is no server that could be told. */
function serverOf(folder: string): FolderOwner {
  const owner = findOwner(folder);
  if (owner === null) {
    throw new MillraceError(
      'MR_RELOAD',
      `no server runs on ${folder}`,
      'give its data folder with --data, or start one: millrace serve -c FILE',
    );
  }
  if (!owner.takesHangup) {
    throw new MillraceError(
      'MR_RELOAD',
      `the server (process ${owner.pid}) has no configuration file, or has not started yet`,
      'start it with -c FILE; all that a reload reads is that file',
    );
  }
  return owner;
}

function hangUp(pid: number): void {
  try {
    process.kill(pid, 'SIGHUP');
  } catch (error) {
    throw new MillraceError(
      'MR_RELOAD',
      `the server (process ${pid}) cannot be told: ${(error as NodeJS.ErrnoException).code}`,
      'run this command as the user of the server, or as root',
      { cause: error },
    );
  }
}

/** What this server said last; null: nothing. */
function outcomeOf(folder: string, pid: number): ReloadStatus | null {
  try {
    const text = readFileSync(join(folder, RELOAD_FILE), 'utf8');
    const outcome = JSON.parse(text) as ReloadStatus & { readonly pid: number };
    return outcome.pid === pid ? outcome : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
