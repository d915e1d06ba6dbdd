import { readFile } from 'node:fs/promises';
import type { TrustAnchors } from '@countersign/state';
import { z } from 'zod';
import { CommandError } from './command-line/command.ts';
import { replaceFile } from './replace-file.ts';

const jwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string(),
});
const shape = z.object({
  trustDomain: z.string().min(1),
  x509Authorities: z.array(z.base64()).min(1),
  factKeys: z.array(jwk).min(1),
  policyKeys: z.array(jwk).min(1),
  /** Where the authority's control listener is. */
  controlUrl: z.url(),
});

/** What a point or workload is given beforehand: the anchors, and where the authority is. */
export type TrustFile = TrustAnchors & { readonly controlUrl: string };

/**
 * Reads `trust.json`.
 *
 * @throws {CommandError} naming the field at fault
 */
export async function readTrustFile(file: string): Promise<TrustFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new CommandError(`cannot read trust anchors: ${(cause as Error).message}`, { cause });
    }
    throw new CommandError(
      `cannot read trust anchors: no file ${file}; copy trust.json from the authority's data folder, or name it with --trust`,
      { cause },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CommandError(`cannot read trust anchors of ${file}: found no JSON`, { cause });
  }
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    throw new CommandError(
      `cannot read trust anchors of ${file}: ${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
}

/** Keeps the trust anchors that a process joined with where its later starts look for them. */
export async function keepTrustFile(
  trust: TrustFile,
  { from, to }: { readonly from: string | undefined; readonly to: string },
): Promise<void> {
  if (from === undefined || from === to) return;
  // What was believed, and not what the file holds by now.
  await replaceFile(to, `${JSON.stringify(trust, undefined, 2)}\n`);
}
