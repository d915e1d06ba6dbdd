import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceCertificate, DeviceKeys } from '@countersign/sdk';
import { z } from 'zod';
import { CommandError } from '../command-line/command.ts';

/** What stands beside certificate and key. */
const stateShape = z.object({
  spiffeId: z.string(),
  authority: z.url(),
  notAfterMs: z.number(),
  renewAfterMs: z.number(),
});
export type DeviceState = z.output<typeof stateShape>;

/** Where a device has its key and certificate; `certificate.pem` and `key.pem` are for whatever speaks TLS there. */
export function deviceFiles(folder: string): {
  /** The key that is there, or a new one. */
  keys(): Promise<DeviceKeys>;
  state(): Promise<DeviceState>;
  keep(certificate: DeviceCertificate, authority: string): Promise<void>;
} {
  const path = {
    key: join(folder, 'key.pem'),
    certificate: join(folder, 'certificate.pem'),
    authorities: join(folder, 'authorities.pem'),
    state: join(folder, 'device.json'),
  };
  return {
    async keys() {
      const found = await textOf(path.key);
      if (found !== undefined) return keysOf(found, path.key);
      const made = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // Before it is enrolled: a code is not to be used up for a key that a crash took.
      await replace(
        path.key,
        made.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        0o600,
      );
      return made;
    },
    async state() {
      const text = await textOf(path.state);
      if (text === undefined) {
        throw new CommandError(
          `cannot renew: found no ${path.state}; this device has not joined: 'countersign device join' does`,
        );
      }
      const parsed = stateShape.safeParse(jsonOf(text));
      if (parsed.success) return parsed.data;
      throw new CommandError(`cannot renew: found ${path.state} broken, expected what join wrote`);
    },
    async keep({ certificatePem, authoritiesPem, spiffeId, notAfterMs, renewAfterMs }, authority) {
      await replace(path.certificate, certificatePem, 0o644);
      await replace(path.authorities, authoritiesPem, 0o644);
      const state: DeviceState = { spiffeId, authority, notAfterMs, renewAfterMs };
      await replace(path.state, `${JSON.stringify(state)}\n`, 0o644);
    },
  };
}

function keysOf(pem: string, file: string): DeviceKeys {
  try {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyDetails?.namedCurve === 'prime256v1') {
      return { privateKey, publicKey: createPublicKey(privateKey) };
    }
  } catch {
    // As below.
  }
  throw new CommandError(
    `cannot use ${file}: found no P-256 key in PEM, expected one without passphrase`,
  );
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandError(`cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** At once: who reads it meanwhile has the old one or the new one. */
async function replace(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.new`;
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await chmod(temporary, mode);
  await rename(temporary, file);
}
