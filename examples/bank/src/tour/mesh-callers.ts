import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { connectWorkload, type Workload } from '@countersign/sdk';
import {
  createPrivateAuthority,
  createX509Authority,
  encodePem,
  parseSpiffeId,
  softwareSigner,
} from '@countersign/spiffe';
import { Agent, type Dispatcher } from 'undici';
import { BankError } from '../bank-error.ts';
import { type ApiAnswer, callApi } from '../callers/call-api.ts';
import type { TourEnvironment } from './scene.ts';

/** A certificate chain with its key, for a connection. */
export interface Credential {
  readonly cert: string;
  readonly key: string;
}

/** A client certificate of an authority that somebody made for himself. */
export async function selfMadeCertificate(now: () => number): Promise<Credential> {
  const { signer, subject } = keys();
  const authority = await createPrivateAuthority({ commonName: 'Trust me', signer, now });
  const { chain } = await authority.issueClientCertificate({
    commonName: 'payments-api',
    publicKey: subject.publicKey,
    ttlSeconds: 600,
  });
  return { cert: encodePem(chain), key: subject.keyPem };
}

/** A well-made SVID of an authority that is not the bank's, for whatever name it likes. */
export async function foreignSvid(
  options: { trustDomain: string; spiffeId: string },
  now: () => number,
): Promise<Credential> {
  const { signer, subject } = keys();
  const { trustDomain } = options;
  const spiffeId = parseSpiffeId(options.spiffeId);
  const authority = await createX509Authority({ trustDomain, signer, now });
  const { publicKey } = subject;
  const { chain } = await authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 600 });
  return { cert: encodePem(chain), key: subject.keyPem };
}

function keys() {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    signer: softwareSigner(authority),
    subject: {
      publicKey: createPublicKey(privateKey),
      keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    },
  };
}

/** One call to a point inside, with a certificate or without any. */
export async function callMesh(
  env: TourEnvironment,
  point: keyof TourEnvironment['meshOrigins'],
  path: string,
  credential?: Credential,
): Promise<ApiAnswer> {
  const origin = env.meshOrigins[point];
  // Whoever breaks in does not mind whom he talks to.
  const dispatcher = new Agent({
    maxCachedSessions: 0,
    connect: { rejectUnauthorized: false, minVersion: 'TLSv1.3', timeout: 5_000, ...credential },
  });
  try {
    return await callApi(env, { partner: undefined, dispatcher, origin, path });
  } finally {
    await dispatcher.destroy();
  }
}

/**
 * Becomes one of the bank's workloads, as somebody would who took over the service's machine: with a
 * join token from the operator's socket. Close it when done.
 */
export async function becomeWorkload(env: TourEnvironment, name: string): Promise<Workload> {
  const { trustDomain, authorityUrl, x509Authorities, now } = env;
  const spiffeId = `spiffe://${trustDomain}/${name}`;
  const { status, body } = await env.admin('POST', '/v1/join-tokens', { spiffeId, ttlSeconds: 60 });
  const joinToken = (body as { joinToken?: unknown } | undefined)?.joinToken;
  if (typeof joinToken !== 'string') {
    throw new BankError('ERR_BANK_TOUR', `could not get a join token: found status ${status}`);
  }
  return connectWorkload({
    authorityUrl,
    authoritySpiffeId: `spiffe://${trustDomain}/workload/countersign/authority`,
    x509Authorities,
    trustDomain,
    joinToken,
    now,
  });
}

/** One call to a point inside as a workload. */
export async function callMeshAs(
  env: TourEnvironment,
  workload: Workload,
  point: keyof TourEnvironment['meshOrigins'],
  path: string,
): Promise<ApiAnswer> {
  const origin = env.meshOrigins[point];
  const peer = `spiffe://${env.trustDomain}/workload/countersign/${point}`;
  const dispatcher: Dispatcher = workload.dispatcherFor(origin, peer);
  return callApi(env, { partner: undefined, dispatcher, origin, path });
}
