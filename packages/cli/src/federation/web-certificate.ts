import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { TlsIdentity } from '@countersign/spiffe';
import { CommandError } from '../command-line/command.ts';

/** Whoever renews certificates writes files; nobody tells us. */
const LOOK_EVERY_MS = 10_000;
const FILE_BYTES_MAX = 1024 * 1024;
const SOON_MS = 7 * 86_400_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** A certificate of the web with its key, from files that somebody else renews. */
export interface WebCertificate {
  current(): TlsIdentity;
  /** Why what lies there now is not taken, when that is so; the one before is served on. */
  trouble(): string | undefined;
  close(): void;
}

/**
 * Reads certificate and key, and again whenever they have changed. A pair that does not fit, as it lies there between two
 * writes, is not taken.
 *
 * @param options.onTrouble told once of each new trouble
 * @throws {CommandError} when the first ones cannot be used
 */
export async function watchWebCertificate(
  files: { readonly certificateFile: string; readonly keyFile: string },
  options: {
    readonly onRenewed: (identity: TlsIdentity) => void;
    readonly onTrouble: (detail: string) => void;
    readonly now: () => number;
    readonly everyMs?: number | undefined;
  },
): Promise<WebCertificate> {
  let { identity, digest, notAfterMs } = await read(files);
  let trouble: string | undefined;
  const look = async (): Promise<void> => {
    try {
      const next = await read(files);
      if (next.digest !== digest) {
        ({ identity, digest, notAfterMs } = next);
        options.onRenewed(identity);
      }
      const leftMs = notAfterMs - options.now();
      if (leftMs > SOON_MS) trouble = undefined;
      else throw new Error(`${files.certificateFile} ends ${new Date(notAfterMs).toISOString()}`);
    } catch (error) {
      const { message } = error as Error;
      if (trouble !== message) options.onTrouble(message);
      trouble = message;
    }
  };
  const timer = setInterval(() => void look(), options.everyMs ?? LOOK_EVERY_MS);
  timer.unref();
  return {
    current: () => identity,
    trouble: () => trouble,
    close: () => clearInterval(timer),
  };
}

async function read({
  certificateFile,
  keyFile,
}: {
  readonly certificateFile: string;
  readonly keyFile: string;
}): Promise<{
  readonly identity: TlsIdentity;
  readonly digest: string;
  readonly notAfterMs: number;
}> {
  const [certificates, keyPem] = await Promise.all([text(certificateFile), text(keyFile)]);
  try {
    const chain = (certificates.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));
    const [leaf] = chain;
    if (leaf === undefined) throw new Error('found no certificate');
    if (!leaf.checkPrivateKey(createPrivateKey(keyPem))) {
      throw new Error('the key is not of the certificate');
    }
    const digest = createHash('sha256').update(certificates).update('\0').update(keyPem);
    return {
      identity: { chain: chain.map(({ raw }) => raw), keyPem },
      digest: digest.digest('hex'),
      notAfterMs: Date.parse(leaf.validTo),
    };
  } catch (cause) {
    throw new CommandError(
      `cannot serve the bundle with ${certificateFile} and ${keyFile}: ${(cause as Error).message}; expected a certificate chain and its key, PEM`,
      { cause },
    );
  }
}

async function text(file: string): Promise<string> {
  try {
    const bytes = await readFile(file);
    if (bytes.length > FILE_BYTES_MAX) throw new Error(`it has ${bytes.length} bytes`);
    return bytes.toString('utf8');
  } catch (cause) {
    throw new CommandError(`cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}
