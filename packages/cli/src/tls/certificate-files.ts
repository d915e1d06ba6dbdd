import { readFile } from 'node:fs/promises';
import { decodePem, type ServerTls } from '@countersign/spiffe';
import { CommandError } from '../command-line/command.ts';

/** A certificate and its key in files, as they were read last. */
export interface CertificateFiles {
  readonly current: ServerTls['svid'];
  /** Whether they are others now. */
  reread(): Promise<boolean>;
}

/**
 * A certificate of the bank's own for a listener whose callers know nothing of our authority; nothing where none is named.
 *
 * @param what is served, for the message
 * @throws {CommandError} when a file cannot be read
 */
export async function certificateFiles(
  { certificateFile, keyFile }: { readonly certificateFile?: string; readonly keyFile?: string },
  what: string,
): Promise<CertificateFiles | undefined> {
  if (certificateFile === undefined || keyFile === undefined) return undefined;
  const read = async () => {
    try {
      const [certPem, keyPem] = await Promise.all(
        [certificateFile, keyFile].map((file) => readFile(file, 'utf8')),
      );
      return { certPem: certPem ?? '', keyPem: keyPem ?? '' };
    } catch (cause) {
      const { message } = cause as Error;
      throw new CommandError(`cannot serve ${what}: ${message}`, { cause });
    }
  };
  let held = await read();
  return {
    current: () => ({ chain: decodePem(held.certPem), keyPem: held.keyPem }),
    async reread() {
      const found = await read();
      if (found.certPem === held.certPem && found.keyPem === held.keyPem) return false;
      held = found;
      return true;
    },
  };
}
