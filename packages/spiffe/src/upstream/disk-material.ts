import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { type Certificate, KEY_USAGE, parseCertificate } from '../certificate/parse-certificate.ts';
import { decodePem } from '../certificate/pem.ts';
import { isSignedBy, publicKeyOf } from '../certificate/signature-algorithm.ts';
import { requireValidity } from '../certificate/verify-path.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { upstreamRefused, upstreamUnavailable } from './upstream-error.ts';

/** Where an authority lies on disk. */
export interface DiskFiles {
  /** PEM: the signing certificate first, then what leads to the root; a root stands alone. */
  readonly certificateFile: string;
  /** PEM, PKCS#8 (encrypted or not), SEC 1 or PKCS#1: EC, RSA or Ed25519. */
  readonly keyFile: string;
  /** PEM of the roots; needed where the signing certificate is not one. */
  readonly rootsFile?: string;
  /** Of an encrypted key; asked at each reading. */
  readonly passphrase?: () => Promise<string>;
}

/** What lies there, fit to sign with. */
export interface DiskMaterial {
  readonly key: KeyObject;
  readonly certificate: Certificate;
  /** DER: the signing certificate and what leads to the root, which is not among them. */
  readonly chain: readonly Uint8Array[];
  readonly x509Roots: readonly Uint8Array[];
  /** When the first of the chain or its root ends. */
  readonly notAfterMs: number;
}

const FILE_BYTES_MAX = 1_000_000;
const ROOTS_MAX = 32;
/** With our own certificate and an SVID, at most eight are shown. */
const CHAIN_LENGTH_MAX = 6;

/**
 * Reads the files and makes sure that what is signed with them will be accepted.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_UPSTREAM_UNAVAILABLE` when a file cannot be read, `ERR_SPIFFE_UPSTREAM_REFUSED`
 *   when they do not fit each other or may not sign
 */
export async function readDiskMaterial(
  name: string,
  files: DiskFiles,
  now: () => number,
): Promise<DiskMaterial> {
  const certificates = await readCertificates(name, files.certificateFile);
  const key = await readKey(name, files);
  const [certificate] = certificates;
  if (certificate === undefined) throw new Error('broken invariant: pem has a certificate');
  const { certificateFile } = files;
  const within = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SpiffeError) || error.code === 'ERR_SPIFFE_UPSTREAM_REFUSED')
        throw error;
      throw upstreamRefused(name, `'${certificateFile}': ${error.message}`, 'an authority', error);
    }
  };
  within(() => {
    const publicKey = publicKeyOf(certificate);
    if (!createPublicKey(key).equals(publicKey)) {
      throw upstreamRefused(
        name,
        `a key in '${files.keyFile}' that is not of the first certificate in '${certificateFile}'`,
        'the two to fit',
      );
    }
    requireSigner(name, certificate, certificateFile);
  });
  const isRoot = isSelfIssued(certificate);
  if (isRoot && certificates.length > 1) {
    throw upstreamRefused(
      name,
      `a root and ${certificates.length - 1} more certificates in '${certificateFile}'`,
      'a root alone',
    );
  }
  const chain = certificates.filter((each) => !isSelfIssued(each));
  if (chain.length > CHAIN_LENGTH_MAX) {
    throw upstreamRefused(
      name,
      `${chain.length} intermediates in '${certificateFile}'`,
      `at most ${CHAIN_LENGTH_MAX}`,
    );
  }
  const roots = await readRoots(name, files, certificates.filter(isSelfIssued));
  let top = certificate;
  within(() => {
    for (const next of chain.slice(1)) {
      requireIssued(name, top, next, certificateFile);
      top = next;
    }
  });
  const anchor = isRoot
    ? roots.find(isSame(certificate))
    : roots.find((root) => isIssuer(root, top));
  if (anchor === undefined) {
    const found = isRoot ? 'this root not among them' : `none that issued '${certificateFile}'`;
    throw upstreamRefused(name, `${found} in '${files.rootsFile}'`, 'the root of the chain');
  }
  const path = [...chain, anchor];
  within(() => {
    for (const each of path) requireValidity(each, now(), 'authority');
    path.forEach((each, depth) => {
      // RFC 5280 §6.1.4 (m): below `each` stand the chain to it, and our own certificate.
      const below = depth + 1;
      if (each.pathLengthMax !== undefined && each.pathLengthMax < below) {
        throw upstreamRefused(
          name,
          `a certificate that allows ${each.pathLengthMax} authorities below it (pathlen)`,
          `${below} or more`,
        );
      }
    });
  });
  return {
    key,
    certificate,
    chain: chain.map(({ der }) => der),
    x509Roots: roots.map(({ der }) => der),
    notAfterMs: Math.min(...path.map(({ notAfterMs }) => notAfterMs)),
  };
}

/** The roots alone, for those who follow them. */
export async function readDiskRoots(
  name: string,
  files: DiskFiles,
): Promise<readonly Uint8Array[]> {
  const certificates = await readCertificates(name, files.certificateFile);
  const roots = await readRoots(name, files, certificates.filter(isSelfIssued));
  return roots.map(({ der }) => der);
}

async function readRoots(
  name: string,
  { rootsFile, certificateFile }: DiskFiles,
  beside: readonly Certificate[],
): Promise<readonly Certificate[]> {
  const roots = rootsFile === undefined ? beside : await readCertificates(name, rootsFile);
  if (roots.length === 0) {
    throw upstreamRefused(
      name,
      `an intermediate in '${certificateFile}' and no root`,
      'the roots in a file of their own',
    );
  }
  if (roots.length > ROOTS_MAX) {
    throw upstreamRefused(name, `${roots.length} roots`, `at most ${ROOTS_MAX}`);
  }
  return roots;
}

async function readCertificates(name: string, file: string): Promise<Certificate[]> {
  const text = await readText(name, file);
  try {
    return decodePem(text).map(parseCertificate);
  } catch (cause) {
    throw upstreamRefused(name, `'${file}': ${(cause as Error).message}`, 'certificates', cause);
  }
}

async function readKey(name: string, { keyFile, passphrase }: DiskFiles): Promise<KeyObject> {
  const pem = await readText(name, keyFile);
  const isEncrypted = /ENCRYPTED/.test(pem);
  if (isEncrypted && passphrase === undefined) {
    throw upstreamRefused(name, `an encrypted key in '${keyFile}'`, 'its passphrase, too');
  }
  let secret: string | undefined;
  try {
    secret = isEncrypted ? await passphrase?.() : undefined;
  } catch (cause) {
    throw upstreamUnavailable(name, (cause as Error).message, cause);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({
      key: pem,
      format: 'pem',
      ...(secret !== undefined && { passphrase: secret }),
    });
  } catch (cause) {
    const found = isEncrypted
      ? `a key in '${keyFile}' that the passphrase does not open`
      : `no private key in '${keyFile}'`;
    throw upstreamRefused(name, found, 'one as PEM', cause);
  }
  return key;
}

async function readText(name: string, file: string): Promise<string> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const { size } = await handle.stat();
    if (size > FILE_BYTES_MAX) {
      throw upstreamRefused(name, `${size} bytes in '${file}'`, `at most ${FILE_BYTES_MAX}`);
    }
    return await handle.readFile('utf8');
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw upstreamUnavailable(name, `no readable '${file}' (${(cause as Error).message})`, cause);
  } finally {
    await handle?.close();
  }
}

function requireSigner(name: string, certificate: Certificate, file: string): void {
  const mayCertify =
    certificate.isAuthority && ((certificate.keyUsage?.bits ?? 0) & KEY_USAGE.keyCertSign) !== 0;
  if (!mayCertify) {
    throw upstreamRefused(name, `no cA or keyCertSign in '${file}'`, 'the certificate of a CA');
  }
  if (certificate.unsupported.length > 0) {
    throw upstreamRefused(
      name,
      `extension ${certificate.unsupported.join(', ')} in '${file}'`,
      'only those that are understood',
    );
  }
}

function requireIssued(name: string, child: Certificate, issuer: Certificate, file: string): void {
  if (!isIssuer(issuer, child)) {
    throw upstreamRefused(
      name,
      `certificates in '${file}' that do not follow from each other`,
      'each signed by the next',
    );
  }
  requireSigner(name, issuer, file);
}

function isIssuer(issuer: Certificate, child: Certificate): boolean {
  return Buffer.from(child.issuer).equals(issuer.subject) && isSignedBy(child, publicKeyOf(issuer));
}

function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return Buffer.from(issuer).equals(subject);
}

function isSame({ der }: Certificate): (other: Certificate) => boolean {
  return (other) => Buffer.from(other.der).equals(der);
}
