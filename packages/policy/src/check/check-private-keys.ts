import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readStart } from '../document/read-text.ts';
import { privateKeyKind } from './private-key-kind.ts';
import { PRIVATE_KEY_WORDS, privateKeyIn } from './read-certificates.ts';
import type { CheckContext } from './repository-source.ts';

/** What of a file is looked at: what people write by hand is shorter, and keys are. */
const FILE_BYTES_MAX = 1024 * 1024;
/** How many files and folders are looked at, and bytes of them, before it is said that the rest was not. */
export const LOOKED_FILES_MAX = 20_000;
const LOOKED_BYTES_MAX = 256 * 1024 * 1024;
/** Of others' making, or of git's: what stands in a commit was in a file. */
const LEFT_OUT = new Set(['node_modules', '.git']);

/** Refuses private keys anywhere in the repository: whoever reviews or copies it would have them. */
export async function checkPrivateKeys({ folder, report }: CheckContext): Promise<void> {
  const problems = report.problems();
  const told = new Set(problems.map(({ found }) => found));
  // A client's key, say, which was told of with its line.
  const toldFiles = new Set(
    problems.flatMap(({ file, found }) => (/^a private key/.test(found) ? [file] : [])),
  );
  let [files, bytes] = [0, 0];
  for await (const file of filesBelow(folder, '')) {
    if (files >= LOOKED_FILES_MAX || bytes >= LOOKED_BYTES_MAX) {
      report.warn(
        { file },
        {
          found: `more than ${files} files and folders, or ${LOOKED_BYTES_MAX} bytes`,
          expected:
            'so many at most: in this one and those behind it no private key was looked for',
          mend: 'keep what is not of the repository elsewhere',
        },
      );
      return;
    }
    files += 1;
    if (file.endsWith('/')) continue;
    const start = await readStart(file, { folder, bytesMax: FILE_BYTES_MAX });
    if (start === undefined) continue;
    bytes += start.length;
    const kind = privateKeyKind(start);
    if (kind === undefined || toldFiles.has(file) || told.has(privateKeyIn(file))) continue;
    report.error({ file }, { found: kind, ...PRIVATE_KEY_WORDS });
  }
}

/** Files, and folders with a `/` behind, below a folder, in the order of their names, links left out: what they lead to is not of the repository, or comes by itself. */
async function* filesBelow(root: string, folder: string): AsyncGenerator<string> {
  const entries = await entriesOf(join(root, folder));
  if (await isDataFolder(join(root, folder), entries)) return;
  for (const entry of entries) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isFile()) yield path;
    else if (entry.isDirectory() && !LEFT_OUT.has(entry.name)) {
      yield `${path}/`;
      yield* filesBelow(root, path);
    }
  }
}

/** What cannot be listed by this process is somebody else's. */
async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** `-d data` beside the repository's own files, as in a first try: our processes keep their keys there. */
async function isDataFolder(folder: string, entries: readonly Dirent[]): Promise<boolean> {
  const names = new Set(entries.map(({ name }) => name));
  if (names.has('countersign.yaml')) return false;
  const parts = ['authority', 'points', 'node', 'services'];
  if (names.has('trust.json') && parts.some((name) => names.has(name))) return true;
  // A first start that did not get as far as `trust.json`.
  const authority = names.has('authority') ? await entriesOf(join(folder, 'authority')) : [];
  return authority.some(({ name }) => name === 'keys');
}
