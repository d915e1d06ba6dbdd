import { LedgerError } from './ledger-error.ts';
import type { LogDisk } from './log.ts';

/** The file in a log's folder that says with which key it is verified, for people and tools. */
export const VERIFIER_KEY_FILE = 'vkey';

/**
 * Writes the `vkey` file, or compares the one that is there.
 *
 * @throws {LedgerError} `ERR_LEDGER_KEY_MISMATCH` when the folder is another log's
 */
export async function keepVerifierKey(disk: LogDisk, verifierKey: string): Promise<void> {
  const line = `${verifierKey.trim()}\n`;
  if (!(await disk.list()).includes(VERIFIER_KEY_FILE)) {
    await disk.replace(VERIFIER_KEY_FILE, Buffer.from(line));
    return;
  }
  const found = Buffer.from(await disk.read(VERIFIER_KEY_FILE)).toString();
  if (found !== line) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_MISMATCH',
      `could not open log: found the key of another log in '${VERIFIER_KEY_FILE}', expected '${line.trim()}'`,
    );
  }
}
