import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { algorithmOf } from './client-credential.ts';
import type { IdentityProvider } from './identity-provider.ts';

const FILE_BYTES_MAX = 1024 * 1024;
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** A file of an identity provider that cannot be used on this host. */
export interface ProviderFileFault {
  /** Name of the provider. */
  readonly provider: string;
  /** As `countersign.yaml` calls it. */
  readonly setting: 'keyFile' | 'certificateFile' | 'secretFile' | 'caFile';
  readonly file: string;
  readonly found: string;
  readonly expected: string;
}

type Fault = Pick<ProviderFileFault, 'found' | 'expected'>;

/**
 * Reads every file that a provider is configured with, as it lies on this host now, and says which cannot be used: not there, not
 * to be read, not what it should be, or a key of another certificate.
 *
 * @returns `digest` differs when a byte of any of them does
 */
export async function lookAtFiles({
  name,
  authentication,
  caFile,
}: Pick<IdentityProvider, 'name' | 'authentication' | 'caFile'>): Promise<{
  readonly faults: readonly ProviderFileFault[];
  readonly digest: string;
}> {
  const faults: ProviderFileFault[] = [];
  const digest = createHash('sha256');
  const take = async <T>(
    setting: ProviderFileFault['setting'],
    file: string | undefined,
    parse: (text: string) => T | Fault,
  ): Promise<T | undefined> => {
    if (file === undefined) return undefined;
    const text = await textOf(file);
    digest.update(typeof text === 'string' ? `${setting}\0${text}\0` : `${setting}\0`);
    const parsed = typeof text === 'string' ? parse(text) : text;
    if (!isFault(parsed)) return parsed;
    const { found, expected } = parsed;
    faults.push({ provider: name, setting, file, found, expected });
    return undefined;
  };
  await take('caFile', caFile, (text) => certificatesIn(text));
  if (authentication.method === 'client_secret_basic') {
    await take('secretFile', authentication.secretFile, (text) =>
      text.trim() === '' ? { found: 'an empty file', expected: 'a secret' } : text.length,
    );
  } else {
    const { method, keyFile, certificateFile } = authentication;
    const key = await take('keyFile', keyFile, (text) => keyIn(text, method));
    const chain = await take('certificateFile', certificateFile, certificatesIn);
    if (key && chain?.[0] && !chain[0].checkPrivateKey(key)) {
      const setting = 'certificateFile' as const;
      const found = `a certificate of another key than ${keyFile}`;
      const expected = 'the certificate of that key first';
      faults.push({ provider: name, setting, file: certificateFile ?? '', found, expected });
    }
  }
  return { faults, digest: digest.digest('hex') };
}

async function textOf(file: string): Promise<string | Fault> {
  const expected = "a file that the authority's process can read";
  try {
    const bytes = await readFile(file);
    if (bytes.length <= FILE_BYTES_MAX) return bytes.toString('utf8');
    return { found: `${bytes.length} bytes`, expected: `at most ${FILE_BYTES_MAX}` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { found: code === 'ENOENT' ? 'no file' : (code ?? message), expected };
  }
}

function certificatesIn(text: string): readonly X509Certificate[] | Fault {
  const expected = 'certificates in PEM';
  const pems = text.match(CERTIFICATES) ?? [];
  if (pems.length === 0) return { found: 'no certificate', expected };
  try {
    return pems.map((pem) => new X509Certificate(pem));
  } catch {
    return { found: 'a certificate that cannot be read', expected };
  }
}

function keyIn(text: string, method: 'private_key_jwt' | 'tls_client_auth'): KeyObject | Fault {
  // Nothing of a key goes into a message, nor OpenSSL's words, which say nothing of the file.
  const expected = 'a private key in PEM without a passphrase';
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    const isEncrypted = text.includes('ENCRYPTED');
    return { found: isEncrypted ? 'an encrypted key' : 'no private key', expected };
  }
  try {
    if (method === 'private_key_jwt') algorithmOf(key);
    return key;
  } catch (error) {
    return { found: (error as Error).message, expected: 'a key that signs assertions' };
  }
}

function isFault(parsed: unknown): parsed is Fault {
  return typeof parsed === 'object' && parsed !== null && 'expected' in parsed;
}
