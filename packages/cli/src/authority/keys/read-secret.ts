import { readFile } from 'node:fs/promises';
import type { SecretConfig } from '@countersign/policy';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A function that reads a secret whenever it is needed: it is not kept, and a file that was renewed counts.
 *
 * @param what for messages: `the PIN of the HSM`
 */
export function secretReader(
  { file, env }: SecretConfig,
  { what, environment }: { readonly what: string; readonly environment: Environment },
): () => Promise<string> {
  return async () => {
    // One end of line is the editor's; blanks may be part of it.
    const text = (file === undefined ? environment[env ?? ''] : await readSecret(file, what)) ?? '';
    const secret = text.replace(/\r?\n$/, '');
    if (secret === '') {
      const place = file === undefined ? `the variable ${env}` : `'${file}'`;
      throw new Error(`could not read ${what}: found nothing in ${place}, expected it`);
    }
    return secret;
  };
}

async function readSecret(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Error(`could not read ${what}: ${(cause as Error).message}`, { cause });
  }
}
