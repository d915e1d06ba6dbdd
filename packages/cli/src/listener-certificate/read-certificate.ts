import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { CertificateFiles } from '@countersign/policy';
import { certificateThumbprint, type TlsIdentity } from '@countersign/spiffe';

const FILE_BYTES_MAX = 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** A certificate chain and its key that belong together, as they lie in their files. */
export interface CertificatePair {
  readonly identity: TlsIdentity;
  /** Differs when any byte of the two does. */
  readonly digest: string;
  /** SHA-256 (base64url) over the DER of the certificate itself. */
  readonly thumbprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * Reads a certificate with its intermediates, leaf first, and its key.
 *
 * @throws {Error} that says which file is at fault, what was found there and what was expected: no file, no PEM, a key of
 *   another certificate
 */
export async function readCertificate({
  certificateFile,
  keyFile,
}: CertificateFiles): Promise<CertificatePair> {
  const [certificates, keyPem] = await Promise.all([textOf(certificateFile), textOf(keyFile)]);
  const chain = chainOf(certificates, certificateFile);
  const [leaf] = chain;
  if (leaf === undefined) {
    throw new Error(`${certificateFile} holds no certificate, expected a chain in PEM, leaf first`);
  }
  const key = keyOf(keyPem, keyFile);
  if (!leaf.checkPrivateKey(key)) {
    const other = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
    throw new Error(
      other > 0
        ? `${keyFile} is the key of certificate ${other + 1} in ${certificateFile}, expected that one to be the first`
        : `${keyFile} is not the key of the certificate in ${certificateFile}`,
    );
  }
  const digest = createHash('sha256').update(certificates).update('\0').update(keyPem);
  return {
    identity: { chain: chain.map(({ raw }) => raw), keyPem },
    digest: digest.digest('hex'),
    thumbprint: certificateThumbprint(leaf.raw),
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
  };
}

/** @throws {Error} when it is over, or has not begun */
export function requireValid(
  { notBeforeMs, notAfterMs }: CertificatePair,
  { certificateFile, nowMs }: { readonly certificateFile: string; readonly nowMs: number },
): void {
  if (nowMs >= notBeforeMs && nowMs <= notAfterMs) return;
  const found = nowMs < notBeforeMs ? `begins ${isoOf(notBeforeMs)}` : `ended ${isoOf(notAfterMs)}`;
  throw new Error(`${certificateFile} ${found}, expected a certificate that is valid now`);
}

/** To the second: certificates know nothing finer. */
export function isoOf(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000Z', 'Z');
}

function chainOf(text: string, file: string): X509Certificate[] {
  return (text.match(CERTIFICATE) ?? []).map((pem, index) => {
    try {
      return new X509Certificate(pem);
    } catch (cause) {
      throw new Error(`certificate ${index + 1} in ${file} cannot be read`, { cause });
    }
  });
}

function keyOf(text: string, file: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    // OpenSSL's words say nothing about the file; and nothing of a key belongs into a message.
    const isEncrypted = /ENCRYPTED/.test(text);
    throw new Error(
      isEncrypted
        ? `${file} is encrypted, expected a private key in PEM without a passphrase, readable by this process only`
        : `${file} holds no private key that can be read, expected one in PEM`,
      { cause },
    );
  }
}

async function textOf(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(`cannot read ${file}: ${code ?? message}`, { cause });
  }
  if (bytes.length > FILE_BYTES_MAX) {
    throw new Error(`${file} has ${bytes.length} bytes, expected at most ${FILE_BYTES_MAX}`);
  }
  return bytes.toString('utf8');
}
