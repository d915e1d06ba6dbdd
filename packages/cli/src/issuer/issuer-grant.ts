import { readFile } from 'node:fs/promises';
import type { StorageConfig } from '@countersign/policy';
import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import { storagePlaceShape } from '../authority/state/kept-place.ts';
import { CommandError } from '../command-line/command.ts';
import { bounded } from '../point/bounded-body.ts';
import { replaceFile } from '../replace-file.ts';

/** Where an issuer asks for it. */
export const GRANT_PATH = '/v1/issuer';
const ASK_MS_MAX = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/** What the authority gives to an issuer, and to nobody else. */
export interface IssuerGrant {
  /** Where the state is; of its files each host has its own, at the same path. */
  readonly storage: StorageConfig;
  /** 32 bytes: what the keys of token authorities are sealed under in there. */
  readonly tokenSecret: Uint8Array;
}

const shape = z.strictObject({
  storage: storagePlaceShape,
  tokenSecret: z.base64url().transform((text) => new Uint8Array(Buffer.from(text, 'base64url'))),
});

/** As it goes over the wire and lies in the issuer's file. */
export function grantText({ storage, tokenSecret }: IssuerGrant): string {
  return JSON.stringify({
    storage,
    tokenSecret: Buffer.from(tokenSecret).toString('base64url'),
  });
}

/**
 * Asks the authority, and keeps what it says (mode 0600) for a start while it is away.
 *
 * @throws {CommandError} when it refuses, or is away and nothing is kept
 */
export async function openIssuerGrant({
  name,
  file,
  origin,
  dispatcher,
  warn,
}: {
  readonly name: string;
  readonly file: string;
  /** Of the authority's control listener. */
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  readonly warn: (text: string) => void;
}): Promise<IssuerGrant> {
  let answer: { readonly status: number; readonly text: string };
  try {
    const asked = await request(`${origin}${GRANT_PATH}`, {
      dispatcher,
      signal: AbortSignal.timeout(ASK_MS_MAX),
    });
    answer = { status: asked.statusCode, text: await bounded(asked.body, ANSWER_BYTES_MAX) };
  } catch (error) {
    const kept = await readKept(file);
    if (kept === undefined) {
      throw new CommandError(
        `cannot start ${name}: the authority does not say where the state is: ${(error as Error).message}`,
        { cause: error },
      );
    }
    warn(`the authority is away (${(error as Error).message}): going on with what it said before`);
    return kept;
  }
  if (answer.status !== 200) {
    throw new CommandError(
      `cannot start ${name}: the authority answered ${answer.status}, expected it to know ${name} as an issuer; name it in authority.issuers, and restart the authority or apply`,
    );
  }
  const grant = shape.parse(JSON.parse(answer.text)) as IssuerGrant;
  await replaceFile(file, grantText(grant), { mode: 0o600 });
  return grant;
}

async function readKept(file: string): Promise<IssuerGrant | undefined> {
  try {
    return shape.parse(JSON.parse(await readFile(file, 'utf8'))) as IssuerGrant;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandError(
      `cannot read ${file}: found no answer of an authority, expected one; remove it, and start while the authority runs`,
      { cause: error },
    );
  }
}
