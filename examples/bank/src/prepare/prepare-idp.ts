import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePem } from '@countersign/spiffe';
import { isFresh, keyIn, openAuthority, readIfThere } from './kept-keys.ts';

const CERTIFICATE_SECONDS = 90 * 86_400;

/**
 * Makes what is missing of the staff's identity provider in `folder`: a certificate for localhost, of an authority that is not
 * the bank's; and in `secretsFolder` the key by which the bank's issuer authenticates there.
 *
 * @returns the provider's authority, PEM
 */
export async function prepareIdp(options: {
  readonly folder: string;
  readonly secretsFolder: string;
  readonly now: () => number;
}): Promise<string> {
  const { folder, secretsFolder, now } = options;
  const authorityFolder = join(folder, 'authority');
  const authority = await openAuthority(authorityFolder, 'Staff Login Example CA', now);
  const key = await keyIn(folder, 'key.pem');
  const file = join(folder, 'certificate.pem');
  const kept = await readIfThere(file);
  const issuer = new X509Certificate(authority.certificate);
  const isKept =
    kept !== undefined && isFresh(kept, now) && new X509Certificate(kept).verify(issuer.publicKey);
  if (!isKept) {
    const issued = await authority.issueServerCertificate({
      dnsNames: ['localhost'],
      publicKey: createPublicKey(key),
      ttlSeconds: CERTIFICATE_SECONDS,
    });
    await writeFile(file, encodePem(issued.chain));
  }
  await keyIn(secretsFolder, 'staff-idp.key');
  return readFile(join(authorityFolder, 'certificate.pem'), 'utf8');
}
