import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Arguments, Io } from '../command-line/command.ts';

/** The join token of `--join-token-file`, or of COUNTERSIGN_JOIN_TOKEN. */
export async function joinTokenOf(
  args: Arguments,
  io: Io,
  warn: (text: string) => void,
): Promise<string | undefined> {
  const tokenFile = args.text('join-token-file');
  return tokenFile
    ? await readToken(resolve(io.cwd, tokenFile), warn)
    : io.env['COUNTERSIGN_JOIN_TOKEN'];
}

/** The file may be gone after the first start, which used the token up: a unit file can go on naming it. */
async function readToken(file: string, warn: (text: string) => void): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    warn(`no join token at ${file}: going on with the SVID that is kept, if there is one`);
    return undefined;
  }
}
