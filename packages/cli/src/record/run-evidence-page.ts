import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { print } from '../commands/options.ts';

/** Beside the built command; made when that is packed. */
const PAGE = resolve(import.meta.dirname, '../../dist/evidence-page.html');

/** Writes the page that verifies evidence. */
export async function runEvidencePage(args: Arguments, io: Io): Promise<number> {
  const [out] = args.operands;
  if (out === undefined) throw new UsageError('found no FILE to write the page to');
  const page = await builtPage();
  const file = resolve(io.cwd, out);
  try {
    await writeFile(file, page);
  } catch (cause) {
    throw new CommandError(`cannot write ${out}: expected a path that can be written`, { cause });
  }
  const sha256 = createHash('sha256').update(page).digest('hex');
  print(
    io,
    args,
    { file, sha256, bytes: page.length },
    `wrote the page that verifies evidence to ${out}\nSHA-256 ${sha256}`,
  );
  return EXIT.ok;
}

async function builtPage(): Promise<Buffer> {
  try {
    return await readFile(PAGE);
  } catch (cause) {
    throw new CommandError(
      'cannot write the page: found none that was built, as in a checkout; `npm run build` makes it',
      { cause },
    );
  }
}
