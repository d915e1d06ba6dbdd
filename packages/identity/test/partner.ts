import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FederationPartner } from '@countersign/model';
import {
  type Bundle,
  bundleEndpoint,
  bundleEndpointTlsOptions,
  createJwtIssuer,
  createX509Authority,
  encodeBundle,
  parseSpiffeId,
  softwareSigner,
  type X509Authority,
} from '@countersign/spiffe';

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Another trust domain with its own authorities, and a real bundle endpoint (https_spiffe) that can be made to misbehave. */
export async function startPartner(trustDomain = 'fintech.example') {
  const newAuthority = (name = trustDomain): Promise<X509Authority> =>
    createX509Authority({ trustDomain: name, signer: softwareSigner(p256()), now: Date.now });
  const authority = await newAuthority();
  const jwt = createJwtIssuer({ trustDomain, signer: softwareSigner(p256()), now: Date.now });
  const endpointId = `spiffe://${trustDomain}/bundle-server`;
  const state = {
    bundle: {
      trustDomain,
      x509Authorities: [authority.certificate],
      jwtAuthorities: [jwt.authority],
      sequence: 5,
      refreshHintSeconds: 60,
    } as Bundle,
    answer: undefined as ((request: IncomingMessage, response: ServerResponse) => void) | undefined,
    asked: 0,
  };
  const identity = async (by: X509Authority, spiffeId = endpointId, ttlSeconds = 3600) => {
    const { publicKey, privateKey } = p256();
    const svid = await by.issueSvid({ spiffeId: parseSpiffeId(spiffeId), publicKey, ttlSeconds });
    const keyPem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    return { chain: svid.chain, keyPem };
  };
  const serve = bundleEndpoint({ bundle: () => state.bundle });
  const server = createServer(bundleEndpointTlsOptions(await identity(authority)));
  server.on('request', (request, response) => {
    state.asked += 1;
    (state.answer ?? serve)(request, response);
  });
  server.on('tlsClientError', () => undefined);
  let port = 0;
  const listen = async (): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  };
  await listen();
  return {
    ...{ trustDomain, authority, jwt, state, identity, newAuthority, listen },
    /** What the bank declares of it. */
    declared(more: Partial<FederationPartner> = {}): FederationPartner {
      return {
        trustDomain,
        owner: 'open-banking@bank.example',
        expiresMs: Date.now() + 30 * 86_400_000,
        trustForSeconds: 3600,
        endpoint: {
          url: `https://127.0.0.1:${port}/`,
          profile: 'https_spiffe',
          spiffeId: endpointId,
        },
        initialBundle: encodeBundle({ ...state.bundle, sequence: 1 }),
        ...more,
      };
    },
    /** What it publishes from now on, under the next sequence. */
    publish(change: Partial<Bundle>): void {
      state.bundle = { ...state.bundle, sequence: state.bundle.sequence + 1, ...change };
    },
    /** What its endpoint shows from now on. */
    show(shown: Awaited<ReturnType<typeof identity>>): void {
      server.setSecureContext(bundleEndpointTlsOptions(shown));
    },
    async down(): Promise<void> {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export type Partner = Awaited<ReturnType<typeof startPartner>>;
