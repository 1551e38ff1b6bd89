/**
 * The package's version, read from package.json: the nearest one above this file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `0.1.0`, or `unknown` in a copy without package.json. */
export function packageVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const path = join(folder, 'package.json');
    if (existsSync(path)) {
      return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
    }
    const above = dirname(folder);
    if (above === folder) return 'unknown';
    folder = above;
  }
}
