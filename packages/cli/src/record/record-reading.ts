import { existsSync } from 'node:fs';
import { adminClient } from '../admin-client.ts';
import type { ReadingNote } from '../authority/record/reading-notes.ts';
import type { Arguments, Io } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';

const NOT_RECORDED =
  'this reading is NOT in the record: no authority runs on this folder, so that nobody could write it down\n';

/**
 * Before a command reads the logs of a data folder itself: has the authority that runs there record it, with what of them is
 * read; where none runs, says so on standard error.
 *
 * @throws {CommandError} when an authority runs and does not record it: then nothing is to be shown
 */
export async function recordReading(
  command: ReadingNote['command'],
  { io, root, told }: Reading,
): Promise<void> {
  const socket = dataFolder(root).adminSocket;
  if (existsSync(socket)) {
    const note: ReadingNote = { command, options: told };
    try {
      await adminClient(socket).call('POST', '/v1/record/readings', note);
      return;
    } catch (error) {
      // A socket that an authority left behind which was killed.
      if ((error as { cause?: { code?: string } }).cause?.code !== 'ECONNREFUSED') throw error;
    }
  }
  io.err(NOT_RECORDED);
}

interface Reading {
  readonly io: Io;
  readonly root: string;
  /** Which part of the logs is read, in the words of the command. */
  readonly told: ReadingNote['options'];
}

/** What was given of these options: of some once, of others several times. */
export function givenOf(
  args: Arguments,
  { once, many = [] }: { readonly once: readonly string[]; readonly many?: readonly string[] },
): ReadingNote['options'] {
  const given: [string, string | string[] | undefined][] = [
    ...once.map((name): [string, string | undefined] => [name, args.text(name)]),
    ...many.map((name): [string, string[]] => [name, [...args.texts(name)]]),
  ];
  const told: ReadingNote['options'] = {};
  for (const [name, value] of given) {
    if (value !== undefined && value.length > 0) told[name] = value;
  }
  return told;
}
