import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  certificateThumbprint,
  createPrivateAuthority,
  encodePem,
  softwareSigner,
} from '@countersign/spiffe';

/** The bank's own authority for hosts, which knows nothing of Countersign. */
export async function hostsAuthority() {
  const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authority = await createPrivateAuthority({
    commonName: 'Bank Hosts CA',
    signer: softwareSigner(newKeys()),
    now: Date.now,
  });
  const pem = encodePem([authority.certificate]);
  return {
    /** Puts the authority's certificate into a repository, as `trust/hosts-ca.pem`. */
    async writeTo(repository: string): Promise<void> {
      await mkdir(join(repository, 'trust'), { recursive: true });
      await writeFile(join(repository, 'trust/hosts-ca.pem'), pem);
    },
    /** Writes `host.pem` and `host.key`, and gives the thumbprint. */
    async enrol(folder: string, commonName: string): Promise<string> {
      const keys = newKeys();
      const { publicKey } = keys;
      const { chain } = await authority.issueClientCertificate({
        ...{ commonName, publicKey, ttlSeconds: 86_400 },
      });
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'host.pem'), encodePem(chain));
      const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
      await writeFile(join(folder, 'host.key'), keyPem, { mode: 0o600 });
      return certificateThumbprint(chain[0] ?? new Uint8Array());
    },
  };
}
