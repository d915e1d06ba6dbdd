import { Buffer } from 'node:buffer';
import { type KeyObject, randomBytes, sign } from 'node:crypto';
import type { CaSigner } from '../authority/ca-signer.ts';
import { p256PublicKeyInfo } from '../authority/ca-signer.ts';
import { keyIdOf, serialFrom, toBeSigned } from '../authority/certificate-template.ts';
import type { UpstreamAuthority } from '../authority/upstream-authority.ts';
import { authorityName } from '../authority/x509-authority.ts';
import { parseCertificate } from '../certificate/parse-certificate.ts';
import { isSignedBy, publicKeyOf } from '../certificate/signature-algorithm.ts';
import { derBitString, derSequence } from '../der/der-writer.ts';
import {
  type DiskFiles,
  type DiskMaterial,
  readDiskMaterial,
  readDiskRoots,
} from './disk-material.ts';
import { createRootsFollower } from './roots-follower.ts';
import { upstreamRefused } from './upstream-error.ts';

/** What an upstream on disk is made of. */
export interface DiskUpstreamOptions extends DiskFiles {
  /** How often the roots are looked at; ten seconds if not said. */
  readonly lookEveryMs?: number;
  readonly now: () => number;
}

/** SPIRE's: clocks of two machines differ by a few seconds. */
const BACKDATED_MS = 10_000;

/**
 * An upstream whose key and certificate are files: a root, or an intermediate below one that is kept offline.
 *
 * The files are read anew for each certificate, so that a bank's own rotation of them needs no restart; what does not
 * fit is refused as a whole, and nothing is signed with half of it.
 */
export function openDiskUpstream(options: DiskUpstreamOptions): UpstreamAuthority {
  const { now, lookEveryMs = 10_000 } = options;
  const name = `disk ${options.certificateFile}`.slice(0, 200);
  const follower = createRootsFollower(() => readDiskRoots(name, options), {
    everyMs: lookEveryMs,
  });
  return {
    name,
    mintX509Authority: async ({ trustDomain, signer, ttlSeconds }) => {
      const material = await readDiskMaterial(name, options, now);
      const der = signAuthority(name, material, { trustDomain, signer, ttlSeconds, now });
      return { chain: [der, ...material.chain], x509Roots: material.x509Roots };
    },
    followRoots: follower.followRoots,
    close: async () => {
      follower.stop();
    },
  };
}

function signAuthority(
  name: string,
  { key, certificate, notAfterMs: chainEndsMs }: DiskMaterial,
  asked: {
    readonly trustDomain: string;
    readonly signer: CaSigner;
    readonly ttlSeconds: number;
    readonly now: () => number;
  },
): Uint8Array {
  const { trustDomain, signer, ttlSeconds, now } = asked;
  const { hash, identifier } = algorithmOf(name, key);
  const publicKeyInfo = p256PublicKeyInfo(signer.publicKey);
  const nowMs = Math.floor(now() / 1000) * 1000;
  const signatureAlgorithm = Buffer.from(identifier, 'hex');
  const tbs = toBeSigned({
    template: 'intermediate',
    serial: serialFrom(randomBytes(16)),
    issuer: certificate.subject,
    subject: authorityName(publicKeyInfo),
    notBeforeMs: nowMs - BACKDATED_MS,
    // It issues nothing that its own chain does not outlive.
    notAfterMs: Math.min(nowMs + ttlSeconds * 1000, chainEndsMs),
    publicKeyInfo,
    authorityKeyId: certificate.subjectKeyId ?? keyIdOf(certificate.publicKey),
    alternativeNames: { uri: `spiffe://${trustDomain}` },
    signatureAlgorithm,
  });
  const der = derSequence(tbs, signatureAlgorithm, derBitString(sign(hash, tbs, key)));
  if (!isSignedBy(parseCertificate(der), publicKeyOf(certificate))) {
    throw new Error('broken invariant: a certificate is signed by the key that signed it');
  }
  return der;
}

/** RFC 5758 §3.2, RFC 4055 §5, RFC 8410 §3. */
function algorithmOf(name: string, key: KeyObject): { hash: string | null; identifier: string } {
  switch (`${key.asymmetricKeyType} ${key.asymmetricKeyDetails?.namedCurve ?? ''}`) {
    case 'ec prime256v1':
      return { hash: 'sha256', identifier: '300a06082a8648ce3d040302' };
    case 'ec secp384r1':
      return { hash: 'sha384', identifier: '300a06082a8648ce3d040303' };
    case 'ec secp521r1':
      return { hash: 'sha512', identifier: '300a06082a8648ce3d040304' };
    case 'rsa ':
      return { hash: 'sha256', identifier: '300d06092a864886f70d01010b0500' };
    case 'ed25519 ':
      return { hash: null, identifier: '300506032b6570' };
    default:
      throw upstreamRefused(
        name,
        `a key of kind ${key.asymmetricKeyType}`,
        'ec p-256, p-384, p-521, rsa or ed25519',
      );
  }
}
