import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { clientTlsOptions } from '@countersign/spiffe';
import { Client } from 'undici';
import type { ShownAttestation } from './attestation.ts';
import { recoverTrustBundle } from './fetch-bundle.ts';
import {
  checkIdentity,
  type IdentityDocument,
  parseUncheckedIdentity,
} from './identity-document.ts';
import { isDistrust } from './is-distrust.ts';
import { SdkError } from './sdk-error.ts';
import { type SvidRequestExtra, svidRequest } from './svid-request.ts';
import type { FactKey } from './trust-bundle.ts';

/** The authority's control API, as far as a workload needs it. */
export interface ControlApi {
  readonly authorityUrl: string;
  readonly authoritySpiffeId: string;
  readonly trustDomain: string;
  readonly extra: SvidRequestExtra | undefined;
  /** Public Ed25519 JWKs with `kid` that bundles are signed with; none when they are not known. */
  readonly factKeys: readonly FactKey[];
  readonly now: () => number;
}

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1_000_000;
const PROBLEM_TEXT_MAX = 300;

const generateKeyPairs = promisify(generateKeyPair);

/** A key for an SVID. */
export interface SvidKeys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Makes a key for an SVID: P-256, as every SPIFFE implementation takes. */
export function generateSvidKeys(): Promise<SvidKeys> {
  return generateKeyPairs('ec', { namedCurve: 'P-256' });
}

/**
 * Asks for an SVID with a key made for it: with a join token, with what attests it, or as the workload that it already is.
 *
 * @param keys those of a try whose answer may have been lost; new ones when absent
 * @throws {SdkError} `ERR_SDK_AUTHORITY_UNREACHABLE`, `ERR_SDK_AUTHORITY_REFUSED`, `ERR_SDK_ANSWER_INVALID`
 */
export async function fetchIdentity(
  api: ControlApi,
  as:
    | { readonly joinToken: string; readonly authorities: readonly Uint8Array[] }
    | { readonly attestation: ShownAttestation; readonly authorities: readonly Uint8Array[] }
    | { readonly identity: IdentityDocument },
  keys?: SvidKeys,
): Promise<IdentityDocument> {
  const own = keys ?? (await generateSvidKeys());
  const { trustDomain, extra, now } = api;
  const request = svidRequest(own, { trustDomain, extra, nowMs: now() });
  const path = 'identity' in as ? '/v1/svid' : '/v1/enrol';
  const call = callOf(as, request);
  const text = await postAsKnown(api, path, call);
  const code = 'ERR_SDK_ANSWER_INVALID';
  const fetched = checkIdentity(parseUncheckedIdentity(text, code), {
    keyPem: pkcs8Pem(own.privateKey),
    trustDomain,
    now,
    code,
  });
  if ('identity' in as && fetched.spiffeId !== as.identity.spiffeId) {
    throw new SdkError(
      code,
      `could not renew svid: found '${fetched.spiffeId}', expected '${as.identity.spiffeId}'`,
    );
  }
  // A renewal does not say again how it all began.
  const joinedBy = 'identity' in as ? as.identity.joinedBy : undefined;
  return joinedBy === undefined ? fetched : { ...fetched, joinedBy };
}

/**
 * Posts to the authority; where its listener is vouched for by nobody known, with the authorities of a bundle that is signed with
 * a key that is: this host may have been off while they rotated.
 */
export async function postAsKnown(api: ControlApi, path: string, call: Call): Promise<string> {
  return post(api, path, call).catch(async (error) => {
    // The connection failed before anything was sent.
    if (!isDistrust(error) || api.factKeys.length === 0) throw error;
    const { authorities } = await recoverTrustBundle(api);
    return post(api, path, { ...call, authorities });
  });
}

function callOf(as: Parameters<typeof fetchIdentity>[1], request: string): Call {
  if ('identity' in as) {
    const { authorities } = as.identity;
    return { body: { request }, authorities, svid: as.identity };
  }
  const { authorities } = as;
  if ('joinToken' in as) return { body: { joinToken: as.joinToken, request }, authorities };
  const { body: attestation, tls } = as.attestation;
  return { body: { attestation, request }, authorities, ...(tls && { svid: tls }) };
}

/** What is posted, and whom the answer must come from. */
export interface Call {
  readonly body: unknown;
  readonly authorities: readonly Uint8Array[];
  /** What the connection is authenticated with. */
  readonly svid?: Pick<IdentityDocument, 'chain' | 'keyPem'>;
}

async function post(api: ControlApi, path: string, call: Call): Promise<string> {
  const { authorityUrl, authoritySpiffeId, now } = api;
  const { authorities, svid, body } = call;
  // A connection of its own: renewals are an hour apart, and each has another certificate.
  const client = new Client(authorityUrl, {
    allowH2: false,
    connectTimeout: TIMEOUT_MS,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    maxResponseSize: ANSWER_BYTES_MAX,
    connect: clientTlsOptions({
      expect: authoritySpiffeId,
      authorities,
      now,
      ...(svid ? { svid } : {}),
    }),
  });
  try {
    const response = await client.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.body.text();
    if (response.statusCode === 200) return text;
    throw new SdkError(
      'ERR_SDK_AUTHORITY_REFUSED',
      `could not get svid: found status ${response.statusCode}${describeProblem(text)}, expected 200`,
      {
        status: response.statusCode,
        retryAfterMs: retryAfterMsOf(response.headers['retry-after']),
      },
    );
  } catch (cause) {
    if (cause instanceof SdkError) throw cause;
    throw new SdkError(
      'ERR_SDK_AUTHORITY_UNREACHABLE',
      `could not reach authority at ${authorityUrl}: found ${cause instanceof Error ? cause.message : 'a failure'}, expected an answer`,
      { cause },
    );
  } finally {
    await client.destroy();
  }
}

/** RFC 9110 §10.2.3, in seconds; the authority sends no dates. */
function retryAfterMsOf(value: string | string[] | undefined): number | undefined {
  const seconds = Number(value);
  return Number.isInteger(seconds) && seconds > 0 && seconds <= 3600 ? seconds * 1000 : undefined;
}

/** RFC 9457: what the authority says about the cause, on one line. */
function describeProblem(text: string): string {
  try {
    const { title, detail } = JSON.parse(text) as { title?: unknown; detail?: unknown };
    const said = [title, detail].filter((part) => typeof part === 'string').join(': ');
    return said === '' ? '' : ` (${said.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, PROBLEM_TEXT_MAX)})`;
  } catch {
    return '';
  }
}

function pkcs8Pem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }) as string;
}
