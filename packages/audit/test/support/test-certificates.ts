import { generateKeyPairSync } from 'node:crypto';
import { createX509Authority, encodePem, parseSpiffeId, softwareSigner } from '@countersign/spiffe';

/** A server's and a client's certificate by one authority, for 127.0.0.1, in PEM. */
export async function testCertificates() {
  const trustDomain = 'siem.example';
  const authority = await createX509Authority({
    trustDomain,
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  const issue = async (name: string) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const svid = await authority.issueSvid({
      spiffeId: parseSpiffeId(`spiffe://${trustDomain}/${name}`),
      publicKey,
      ttlSeconds: 3600,
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
    });
    return {
      certificate: encodePem(svid.chain),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  };
  return {
    ca: encodePem([authority.certificate]),
    server: await issue('receiver'),
    client: await issue('exporter'),
  };
}

export type TestCertificates = Awaited<ReturnType<typeof testCertificates>>;
