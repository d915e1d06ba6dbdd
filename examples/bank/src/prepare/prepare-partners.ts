import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePem, type PrivateAuthority } from '@countersign/spiffe';
import { isFresh, keyIn, openAuthority, readIfThere } from './kept-keys.ts';

/** What the bank is given by its partners: public parts only. */
export interface PartnerTrust {
  /** The authority that issues the partners' certificates; it is not the bank's. */
  readonly authorityPem: string;
  /** By partner. */
  readonly certificates: ReadonlyMap<string, string>;
  /** Public JWKs by partner, for `private_key_jwt`. */
  readonly clientKeys: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

/** Partners that present a certificate, and what it says. */
const WITH_CERTIFICATE: Readonly<Record<string, string>> = {
  ledgerly: 'Ledgerly Ltd',
  harvest: 'Harvest Bookkeeping Ltd',
  tempo: 'Tempo Budgeting Ltd',
};
/** Partners that sign instead. */
const WITH_CLIENT_KEY = ['pocketwise'] as const;

const CERTIFICATE_SECONDS = 90 * 86_400;

/** Makes what is missing in `folder`, keeps what is there, and gives the public parts. */
export async function preparePartners(folder: string, now: () => number): Promise<PartnerTrust> {
  const authorityFolder = join(folder, 'authority');
  const authority = await openAuthority(authorityFolder, 'Fintech Partners Example CA', now);
  const certificates = new Map<string, string>();
  for (const [partner, organization] of Object.entries(WITH_CERTIFICATE)) {
    const own = join(folder, partner);
    const key = await keyIn(own, 'key.pem');
    certificates.set(
      partner,
      await certificateIn(own, { authority, partner, organization, key, now }),
    );
  }
  const clientKeys = new Map<string, Readonly<Record<string, unknown>>>();
  for (const partner of WITH_CLIENT_KEY) {
    const key = await keyIn(join(folder, partner), 'client-key.pem');
    await keyIn(join(folder, partner), 'dpop-key.pem');
    clientKeys.set(partner, publicJwk(key, partner));
  }
  const authorityPem = await readFile(join(authorityFolder, 'certificate.pem'), 'utf8');
  return { authorityPem, certificates, clientKeys };
}

async function certificateIn(
  folder: string,
  options: {
    authority: PrivateAuthority;
    partner: string;
    organization: string;
    key: KeyObject;
    now: () => number;
  },
): Promise<string> {
  const { authority, partner, organization, key, now } = options;
  const file = join(folder, 'certificate.pem');
  const kept = await readIfThere(file);
  const issuer = new X509Certificate(authority.certificate);
  if (
    kept !== undefined &&
    isFresh(kept, now) &&
    new X509Certificate(kept).verify(issuer.publicKey)
  ) {
    return kept;
  }
  const issued = await authority.issueClientCertificate({
    commonName: `${partner}.example`,
    organization,
    publicKey: createPublicKey(key),
    ttlSeconds: CERTIFICATE_SECONDS,
  });
  const pem = encodePem(issued.chain);
  await writeFile(file, pem);
  return pem;
}

function publicJwk(key: KeyObject, partner: string): Readonly<Record<string, unknown>> {
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  return { ...jwk, kid: `${partner}-1`, use: 'sig', alg: 'ES256' };
}
