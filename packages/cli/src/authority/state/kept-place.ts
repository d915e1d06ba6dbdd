import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { StorageConfig } from '@countersign/policy';
import {
  type Database,
  openDatabase,
  openPostgres,
  type PostgresOptions,
} from '@countersign/state';
import { z } from 'zod';
import { CommandError } from '../../command-line/command.ts';
import type { DataFolder } from '../../data-folder.ts';
import { replaceFile } from '../../replace-file.ts';

/** The place of a state, as it is kept and given to issuers: no secret is in it. */
export const storagePlaceShape = z.strictObject({
  kind: z.literal('postgres'),
  host: z.string(),
  port: z.int(),
  database: z.string(),
  user: z.string(),
  passwordFile: z.string().optional(),
  caFile: z.string().optional(),
  certificate: z.strictObject({ certificateFile: z.string(), keyFile: z.string() }).optional(),
  connections: z.int(),
});

/** Opens what `authority.storage` names. @throws {CommandError} when one of its files cannot be read, or the server not be used */
export async function openStorage(
  storage: StorageConfig,
  options: Pick<PostgresOptions, 'isMadeElsewhere'> = {},
): Promise<Database> {
  const { host, port, database, user, passwordFile, caFile, certificate, connections } = storage;
  try {
    const [ca, pem, key] = await Promise.all([
      caFile && readFile(caFile, 'utf8'),
      certificate && readFile(certificate.certificateFile, 'utf8'),
      certificate && readFile(certificate.keyFile, 'utf8'),
    ]);
    return await openPostgres({
      ...options,
      ...{ host, port, database, user, connectionsMax: connections },
      ...(passwordFile && {
        // Each time anew: whoever rotates it writes the file.
        password: async () => (await readFile(passwordFile, 'utf8')).replace(/\r?\n$/, ''),
      }),
      tls: { ...(ca && { ca }), ...(pem && { certificate: pem }), ...(key && { key }) },
    });
  } catch (cause) {
    throw new CommandError(
      `cannot open the state in PostgreSQL (authority.storage, ${nameOf(storage)}): ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** `user@host:port/database` */
export function nameOf({ user, host, port, database }: StorageConfig): string {
  return `${user}@${host}:${port}/${database}`;
}

/** Where the state of a data folder is, for those who do not have the bank's repository; absent: in the folder. */
export async function readPlace(folder: DataFolder): Promise<StorageConfig | undefined> {
  let text: string;
  try {
    text = await readFile(folder.storageFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return storagePlaceShape.parse(JSON.parse(text)) as StorageConfig;
  } catch (cause) {
    throw new CommandError(
      `cannot read ${folder.storageFile}: found no place of a state, expected what the authority wrote; start it once`,
      { cause },
    );
  }
}

/** Notes it, without any secret. */
export async function writePlace(folder: DataFolder, storage: StorageConfig): Promise<void> {
  await replaceFile(folder.storageFile, `${JSON.stringify(storage, null, 2)}\n`);
}

/** Whether a data folder has the state of an authority, here or in PostgreSQL. */
export function hasState(folder: DataFolder): boolean {
  return existsSync(folder.stateFile) || existsSync(folder.storageFile);
}

/** The state of a data folder on which no authority runs here. */
export async function openKeptState(folder: DataFolder): Promise<Database> {
  const place = await readPlace(folder);
  return place ? openStorage(place) : openDatabase({ file: folder.stateFile });
}
