import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CommandError, type Io } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { readText } from './read-text.ts';
import type { TextFile } from './text-file.ts';

/** Files of policies and links in one call. */
const FILES_MAX = 10_000;
/** Folders within folders. */
const DEPTH_MAX = 32;

/** What policies are made of: texts, and links of templates in JSON. */
export interface PolicyFiles {
  readonly policies: readonly TextFile[];
  readonly links: readonly TextFile[];
}

/**
 * Reads files of policies and links. A folder stands for every `.cedar` and `.links.json` below it, sorted by
 * path; hidden folders are left out. A file that is named is links when its name ends in
 * `.json` or among `links`, and policies otherwise.
 *
 * @throws {CommandError} naming what cannot be read
 */
export async function readPolicyFiles(
  {
    paths,
    links: linkPaths,
  }: { readonly paths: readonly string[]; readonly links: readonly string[] },
  io: Io,
): Promise<PolicyFiles> {
  const found: string[] = [];
  for (const path of paths) {
    const stats = await stat(resolve(io.cwd, path)).catch(() => undefined);
    const below = stats?.isDirectory() ? await filesBelow(path, io) : [path];
    found.push(...below);
    if (found.length > FILES_MAX) {
      throw new CommandError(
        `cannot read policies: found more than ${FILES_MAX} files, expected no more`,
      );
    }
  }
  const policies: TextFile[] = [];
  const links: TextFile[] = [];
  // One file may be named in several ways: by itself, and by its folder.
  const names = new Map([...found, ...linkPaths].map((name) => [resolve(io.cwd, name), name]));
  for (const name of names.values()) {
    const isLinks = name.endsWith('.json') || linkPaths.includes(name);
    const text = await readText(name, { what: isLinks ? 'links' : 'policies', io });
    (isLinks ? links : policies).push({ name, text });
  }
  return { policies, links };
}

/** What would be left out though somebody meant it: a forbid in it would be missed without a word. */
async function requireOther(name: string, entry: Dirent, io: Io): Promise<void> {
  const where = printable(name);
  if (entry.name.startsWith('.#')) return;
  if (/\.(cedar|links\.json)$/i.test(entry.name)) {
    throw new CommandError(
      `cannot read policies: found '${where}', expected .cedar or .links.json in small letters`,
    );
  }
  if (!entry.isSymbolicLink() || entry.name.startsWith('.')) return;
  const target = await stat(resolve(io.cwd, name)).catch(() => undefined);
  if (target?.isDirectory()) {
    throw new CommandError(
      `cannot read policies: found '${where}', a link to a folder, which is not followed; name the folder itself`,
    );
  }
}

async function filesBelow(folder: string, io: Io): Promise<readonly string[]> {
  const found: string[] = [];
  await walk(folder, 0);
  if (!found.some((name) => name.endsWith('.cedar'))) {
    throw new CommandError(
      `cannot read policies: found no .cedar file in '${printable(folder)}', expected one`,
    );
  }
  return found.sort();

  async function walk(path: string, depth: number): Promise<void> {
    if (depth > DEPTH_MAX) {
      const where = printable(path);
      throw new CommandError(
        `cannot read policies: found '${where}', expected folders nested at most ${DEPTH_MAX} deep`,
      );
    }
    for (const entry of await readdir(resolve(io.cwd, path), { withFileTypes: true })) {
      const name = join(path, entry.name);
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.')) await walk(name, depth + 1);
      } else if (/^(?!\.#).*\.(cedar|links\.json)$/.test(entry.name)) {
        // `.#name` is what an editor leaves while somebody edits `name`.
        found.push(name);
      } else {
        await requireOther(name, entry, io);
      }
      if (found.length > FILES_MAX) return;
    }
  }
}
