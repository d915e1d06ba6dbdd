import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// cedar-policy/cedar-integration-tests, Apache-2.0, "Copyright Cedar Contributors": read, never copied.
const DATA =
  process.env['CEDAR_CORPUS'] ??
  fileURLToPath(new URL('../../../../../shared/data/cedar/', import.meta.url));

/** Where the official tests are found; nothing where they are not, which is said once. */
export const officialData: string | undefined = existsSync(join(DATA, 'corpus-tests.tar.gz'))
  ? DATA
  : undefined;
if (!officialData) console.log(`skipped the official Cedar tests: found no ${DATA}`);

/**
 * Unpacks the official tests, once for all runs, under `.cache/`.
 *
 * @returns the folder that paths in tests are relative to; tests are in `tests` and `corpus-tests`
 */
export function unpackOfficialSuite(data: string): string {
  const folder = fileURLToPath(new URL('../../../../.cache/cedar-suite/', import.meta.url));
  if (existsSync(folder)) return folder;
  const unfinished = `${folder.slice(0, -1)}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  for (const name of ['handwritten.tar.gz', 'corpus-tests.tar.gz']) {
    execFileSync('tar', ['-xzf', join(data, name), '-C', unfinished]);
  }
  mkdirSync(dirname(folder), { recursive: true });
  // Two runs may unpack at once: the second finds the folder there and takes it.
  try {
    renameSync(unfinished, folder);
  } catch {
    rmSync(unfinished, { recursive: true });
  }
  return folder;
}
