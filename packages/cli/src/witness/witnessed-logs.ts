import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseVerifierKey, type WitnessedLog } from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';

/**
 * The logs that `--log` names: each a verifier key, or a file with one a line (`#` begins a comment). What stands
 * behind a key is the log's origin, where that is not the key's name. Several keys of one origin are all its keys.
 *
 * @throws {CommandError} naming the key, and the line where it stands
 */
export async function readWitnessedLogs(
  texts: readonly string[],
  { cwd }: { readonly cwd: string },
): Promise<readonly WitnessedLog[]> {
  const lines: { text: string; place: string }[] = [];
  for (const text of texts) {
    if (text.includes('+')) lines.push({ text, place: '--log' });
    else lines.push(...(await linesOf(resolve(cwd, text))));
  }
  const logs = new Map<string, WitnessedLog>();
  for (const { text, place } of lines) {
    const [key = '', ...rest] = text.trim().split(' ');
    const verifier = parse(key, place);
    const origin = rest.join(' ') || verifier.name;
    const verifiers = [...(logs.get(origin)?.verifiers ?? []), verifier];
    logs.set(origin, { origin, verifiers });
  }
  return [...logs.values()];
}

async function linesOf(file: string): Promise<{ text: string; place: string }[]> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (cause) {
    throw new CommandError(
      `cannot read --log ${file}: found no such file, expected a verifier key or a file with some`,
      { cause },
    );
  }
  return content
    .split('\n')
    .map((text, at) => ({ text, place: `${file}:${at + 1}` }))
    .filter(({ text }) => text.trim() !== '' && !text.startsWith('#'));
}

function parse(key: string, place: string): ReturnType<typeof parseVerifierKey> {
  try {
    return parseVerifierKey(key);
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`cannot watch the log of ${place}: ${found}`, { cause });
  }
}
