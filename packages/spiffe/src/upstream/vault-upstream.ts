import { Buffer } from 'node:buffer';
import type { UpstreamAuthority } from '../authority/upstream-authority.ts';
import { type Certificate, parseCertificate } from '../certificate/parse-certificate.ts';
import { decodePem } from '../certificate/pem.ts';
import { isSignedBy, publicKeyOf } from '../certificate/signature-algorithm.ts';
import { authorityRequest } from './authority-request.ts';
import { createRootsFollower } from './roots-follower.ts';
import { upstreamRefused } from './upstream-error.ts';
import { callVault, requireVaultAddress, type VaultEndpoint } from './vault-http.ts';
import { createVaultSession, memberOf, type VaultAuth } from './vault-session.ts';

/** What an upstream in Vault is made of. */
export interface VaultUpstreamOptions extends Omit<VaultEndpoint, 'name'> {
  /** Where the PKI secrets engine is mounted; `pki` if not said. */
  readonly mount?: string;
  /** Which of the mount's issuers signs; its default one when absent. */
  readonly issuer?: string;
  readonly auth: VaultAuth;
  /** How often the mount's chain is looked at for another root; a minute if not said. */
  readonly lookEveryMs?: number;
  /** Told of a renewal of the token that failed. */
  readonly onTrouble?: (error: unknown) => void;
  readonly now: () => number;
}

/** Our certificate ends this long before its issuer's: Vault counts from its own clock. */
const ISSUER_MARGIN_SECONDS = 30;

/**
 * An upstream in Vault or OpenBao: its PKI engine signs our authorities, the key of it never leaves it.
 *
 * Vault's policy needs no more than `update` on `<mount>/root/sign-intermediate` (or
 * `<mount>/issuer/<issuer>/sign-intermediate`), and what the default policy has. The root is the last certificate of the
 * chain that Vault gives: where the real root is offline, and was not imported into the mount, that is the topmost
 * intermediate, as in SPIRE.
 *
 * @see https://developer.hashicorp.com/vault/api-docs/secret/pki#sign-intermediate
 */
export function openVaultUpstream(options: VaultUpstreamOptions): UpstreamAuthority {
  const { mount = 'pki', issuer, auth, now, lookEveryMs = 60_000 } = options;
  const name = `vault ${options.address}/${mount}`.slice(0, 200);
  const endpoint: VaultEndpoint = { ...options, name };
  requireVaultAddress(endpoint);
  for (const part of [mount, issuer, 'mount' in auth ? auth.mount : undefined]) {
    if (part !== undefined && !/^[\w.-]+(\/[\w.-]+)*$/.test(part)) {
      throw upstreamRefused(name, `path '${part}'`, 'words joined by /');
    }
  }
  const session = createVaultSession(endpoint, {
    auth,
    now,
    onTrouble: options.onTrouble ?? (() => undefined),
  });
  /** The issuer's certificate and what is above it; needs no token. */
  const issuerChain = async (): Promise<readonly Certificate[]> => {
    // With an issuer named, its own chain; else the mount's default one.
    const path = issuer === undefined ? `${mount}/cert/ca_chain` : `${mount}/issuer/${issuer}/json`;
    const { body } = await callVault(endpoint, { method: 'GET', path });
    const data = memberOf(body, 'data');
    return certificatesOf(name, data['ca_chain'] ?? data['certificate']);
  };
  const follower = createRootsFollower(
    async () => {
      const root = (await issuerChain()).at(-1);
      if (root === undefined) throw upstreamRefused(name, 'no chain of the issuer', 'one');
      return [root.der];
    },
    { everyMs: lookEveryMs },
  );
  return {
    name,
    mintX509Authority: async ({ trustDomain, signer, ttlSeconds, signal }) => {
      const request = await authorityRequest(signer, { trustDomain });
      const at = issuer === undefined ? 'root' : `issuer/${issuer}`;
      const ends = Math.min(...(await issuerChain()).map(({ notAfterMs }) => notAfterMs));
      const leftSeconds = Math.floor((ends - now()) / 1000) - ISSUER_MARGIN_SECONDS;
      if (leftSeconds < 1) {
        throw upstreamRefused(name, `a chain that ends at ${new Date(ends).toISOString()}`, 'life');
      }
      const { body } = await session.call({
        method: 'POST',
        path: `${mount}/${at}/sign-intermediate`,
        body: {
          csr: request.pem,
          common_name: '',
          organization: 'SPIFFE',
          // Names of successive authorities differ, so that a path is found without trying keys.
          serial_number: request.keyIdHex,
          uri_sans: `spiffe://${trustDomain}`,
          exclude_cn_from_sans: true,
          max_path_length: 0,
          // Vault refuses one that outlives its issuer.
          ttl: `${Math.min(ttlSeconds, leftSeconds)}s`,
          format: 'pem',
        },
        ...(signal && { signal }),
      });
      const data = memberOf(body, 'data');
      const [own] = certificatesOf(name, data['certificate']);
      const above = certificatesOf(name, data['ca_chain'] ?? data['issuing_ca']);
      if (own === undefined) throw upstreamRefused(name, 'no certificate', 'one');
      const path = pathFrom(name, own, above);
      const root = path.at(-1);
      if (root === undefined) throw upstreamRefused(name, 'no issuer', 'its certificate');
      return {
        chain: [own, ...path.slice(0, -1)].map(({ der }) => der),
        x509Roots: [root.der],
      };
    },
    followRoots: follower.followRoots,
    close: async () => {
      follower.stop();
      await session.close();
    },
  };
}

/** PEM texts, one or a list of them; ours is among them in some versions, which does not matter. */
function certificatesOf(name: string, value: unknown): readonly Certificate[] {
  const texts = Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
  try {
    return texts.flatMap((text) => decodePem(String(text)).map(parseCertificate));
  } catch (cause) {
    throw upstreamRefused(name, (cause as Error).message, 'certificates as pem', cause);
  }
}

/** The issuers of `own`, nearest first, by name and signature: Vault's lists hold more than one path, and in any order. */
function pathFrom(
  name: string,
  own: Certificate,
  above: readonly Certificate[],
): readonly Certificate[] {
  const path: Certificate[] = [];
  let child = own;
  while (!Buffer.from(child.issuer).equals(child.subject)) {
    const below = child;
    const issuer = above.find(
      (each) =>
        !path.includes(each) &&
        Buffer.from(below.issuer).equals(each.subject) &&
        isSignedBy(below, publicKeyOf(each)),
    );
    if (issuer === undefined) break;
    path.push(issuer);
    child = issuer;
  }
  if (path.length === 0) {
    throw upstreamRefused(name, 'a certificate without its issuer', 'the chain above it');
  }
  return path;
}
