import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type CosignerKey, cosignerKey } from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';

/** Ed25519 for every tool that there is, ML-DSA-44 for the time after; C2SP tlog-cosignature asks for the second. */
const KINDS = ['ed25519', 'ml-dsa-44'] as const;
const PEM_BLOCK = /-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g;

/**
 * Makes a witness's two keys and writes them into one file of mode 0600, encrypted when there is a passphrase.
 *
 * @throws {CommandError} when the file is there already
 */
export async function makeWitnessKeys(
  file: string,
  options: { readonly name: string; readonly passphrase: string | undefined },
): Promise<readonly CosignerKey[]> {
  const { name, passphrase } = options;
  const privateKeys = [
    generateKeyPairSync('ed25519').privateKey,
    generateKeyPairSync('ml-dsa-44').privateKey,
  ];
  // Made before the file is: a name that no key can have leaves nothing behind.
  const keys = privateKeys.map((privateKey) => cosignerKey({ name, privateKey }));
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeNew(file, privateKeys.map((key) => pemOf(key, passphrase)).join(''));
  return keys;
}

/**
 * Reads a witness's keys.
 *
 * @throws {CommandError} naming the file and what is wrong with it
 */
export async function readWitnessKeys(
  file: string,
  options: { readonly name: string; readonly passphrase: string | undefined },
): Promise<readonly CosignerKey[]> {
  const { name, passphrase } = options;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new CommandError(
      `cannot read the witness's keys ${file}: found no such file, expected what 'countersign witness init' made`,
      { cause },
    );
  }
  const blocks = text.match(PEM_BLOCK) ?? [];
  if (blocks.length !== KINDS.length) {
    throw new CommandError(
      `cannot read the witness's keys ${file}: found ${blocks.length} keys, expected ${KINDS.join(' and ')}`,
    );
  }
  return blocks.map((key) => {
    try {
      const privateKey = createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) });
      return cosignerKey({ name, privateKey });
    } catch (cause) {
      const found = cause instanceof Error ? cause.message : String(cause);
      throw new CommandError(
        `cannot open the witness's keys ${file}: found '${found}', expected the passphrase that they were made with, if any (--passphrase-file or COUNTERSIGN_PASSPHRASE)`,
        { cause },
      );
    }
  });
}

function pemOf(key: KeyObject, passphrase: string | undefined): string {
  const form = { type: 'pkcs8', format: 'pem' } as const;
  const sealed = passphrase === undefined ? form : { ...form, cipher: 'aes-256-cbc', passphrase };
  return key.export(sealed) as string;
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new CommandError(
      `cannot make the witness's keys: found ${file}, expected no such file; a witness keeps its keys`,
      { cause },
    );
  }
}
