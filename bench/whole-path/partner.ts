import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';

/** A partner of the bank with a certificate of its own authority, and a server certificate for nginx; PEM files. */
export interface PartnerFiles {
  readonly authorityFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly serverCertificateFile: string;
  readonly serverKeyFile: string;
}

const TTL_SECONDS = 86_400;

/** Makes the partner's authority, keys and certificates in `folder`: P-256 throughout. */
export async function makePartner(folder: string): Promise<PartnerFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const authority = await createPrivateAuthority({
    commonName: 'Benchmark Partners CA',
    signer: softwareSigner(keyPair()),
    now: Date.now,
  });
  const client = keyPair();
  const server = keyPair();
  const issuedToClient = await authority.issueClientCertificate({
    commonName: 'ledgerly.example',
    organization: 'Ledgerly Ltd',
    publicKey: client.publicKey,
    ttlSeconds: TTL_SECONDS,
  });
  const issuedToServer = await authority.issueServerCertificate({
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    publicKey: server.publicKey,
    ttlSeconds: TTL_SECONDS,
  });
  const write = (name: string, content: string) => {
    const file = join(folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  };
  return {
    authorityFile: write('authority.pem', encodePem([authority.certificate])),
    certificateFile: write('certificate.pem', encodePem(issuedToClient.chain)),
    keyFile: write('key.pem', pemOf(client)),
    serverCertificateFile: write('server-certificate.pem', encodePem(issuedToServer.chain)),
    serverKeyFile: write('server-key.pem', pemOf(server)),
  };
}

function keyPair() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function pemOf({ privateKey }: ReturnType<typeof keyPair>): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
}
