import { generateKeyPairSync } from 'node:crypto';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';

/** A certificate for localhost, of an authority made for the test. */
export async function serverCertificate(): Promise<{
  caPem: string;
  certPem: string;
  keyPem: string;
}> {
  const signer = softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const authority = await createPrivateAuthority({ commonName: 'Test CA', signer, now: Date.now });
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chain } = await authority.issueServerCertificate({
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    publicKey,
    ttlSeconds: 600,
  });
  return {
    caPem: encodePem([authority.certificate]),
    certPem: encodePem(chain),
    keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}
