import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Attestation } from './attestation.ts';
import { connectWorkload } from './connect-workload.ts';
import { SdkError } from './sdk-error.ts';
import { workloadFromApi } from './source-workload.ts';
import type { FactKey } from './trust-bundle.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

/**
 * Becomes the workload that the environment describes.
 *
 * - `COUNTERSIGN_AUTHORITY_URL` base URL of the authority's control API
 * - `COUNTERSIGN_TRUST` path of `trust.json`
 * - `COUNTERSIGN_JOIN_TOKEN`, or `COUNTERSIGN_JOIN_TOKEN_FILE`: needed for the first start only; the file may be absent later
 * - `COUNTERSIGN_JOIN_CERTIFICATE` and `COUNTERSIGN_JOIN_KEY` (PEM files), or `COUNTERSIGN_JOIN_KUBERNETES` (the file of a
 *   projected service account token; `COUNTERSIGN_JOIN_CLUSTER` names the cluster): instead of a join token
 * - `COUNTERSIGN_SVID_FOLDER` where SVID and key are kept; without it they are in memory only
 *
 * Without these, `SPIFFE_ENDPOINT_SOCKET` names the Workload API of the host, and nothing else is needed
 * ({@link workloadFromApi}); `COUNTERSIGN_SPIFFE_ID` says which identity to be, where the process has several.
 *
 * The authority is `spiffe://<trust domain>/workload/countersign/authority`.
 *
 * @param options what else {@link connectWorkload} takes
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID`, and what {@link connectWorkload} throws
 */
export async function workloadFromEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  options: Pick<WorkloadOptions, 'extra' | 'onFailure' | 'now'> = {},
): Promise<Workload> {
  const endpoint = environment['SPIFFE_ENDPOINT_SOCKET'];
  if (endpoint && !environment['COUNTERSIGN_TRUST']) {
    const { onFailure, now } = options;
    const spiffeId = environment['COUNTERSIGN_SPIFFE_ID'];
    return workloadFromApi({
      endpoint,
      ...(spiffeId && { spiffeId }),
      ...(onFailure && { onFailure }),
      ...(now && { now }),
    });
  }
  if (!environment['COUNTERSIGN_TRUST']) {
    throw new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      'could not read environment: found no SPIFFE_ENDPOINT_SOCKET and no COUNTERSIGN_TRUST, expected one: the socket of the Workload API, or trust.json',
    );
  }
  const trust = await readTrust(required(environment, 'COUNTERSIGN_TRUST'));
  const joinToken = await readJoinToken(environment);
  const attestation = attestationFromEnvironment(environment);
  const folder = environment['COUNTERSIGN_SVID_FOLDER'];
  return connectWorkload({
    ...options,
    ...trust,
    authorityUrl: required(environment, 'COUNTERSIGN_AUTHORITY_URL'),
    authoritySpiffeId: `spiffe://${trust.trustDomain}/workload/countersign/authority`,
    ...(joinToken ? { joinToken } : {}),
    ...(attestation ? { attestation } : {}),
    ...(folder ? { folder } : {}),
  });
}

/**
 * What attests a workload, by the environment; nothing when it says nothing of it.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID` when it says two things, or half of one
 */
export function attestationFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Attestation | undefined {
  const certificateFile = environment['COUNTERSIGN_JOIN_CERTIFICATE'];
  const keyFile = environment['COUNTERSIGN_JOIN_KEY'];
  const tokenFile = environment['COUNTERSIGN_JOIN_KUBERNETES'];
  const cluster = environment['COUNTERSIGN_JOIN_CLUSTER'];
  const invalid = (found: string, expected: string) =>
    new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      `could not read environment: found ${found}, expected ${expected}`,
    );
  if (!certificateFile !== !keyFile) {
    const [found, other] = ['COUNTERSIGN_JOIN_CERTIFICATE', 'COUNTERSIGN_JOIN_KEY'].sort(
      (a, b) => Number(!environment[a]) - Number(!environment[b]),
    );
    throw invalid(`${found} alone`, `${other} beside it`);
  }
  if (certificateFile && tokenFile) {
    throw invalid('COUNTERSIGN_JOIN_CERTIFICATE and COUNTERSIGN_JOIN_KUBERNETES', 'one of them');
  }
  if (certificateFile && keyFile) return { kind: 'certificate', certificateFile, keyFile };
  if (!tokenFile) return undefined;
  return { kind: 'kubernetes', tokenFile, ...(cluster && { cluster }) };
}

function required(environment: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = environment[name];
  if (value) return value;
  throw new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not read environment: found no ${name}, expected one`,
  );
}

async function readTrust(
  path: string,
): Promise<Pick<WorkloadOptions, 'trustDomain' | 'x509Authorities' | 'factKeys'>> {
  let trust: { trustDomain?: unknown; x509Authorities?: unknown; factKeys?: unknown } | null;
  try {
    trust = JSON.parse(await readFile(path, 'utf8')) as typeof trust;
  } catch (cause) {
    throw unusable(path, (cause as Error).message, 'json', cause);
  }
  const { trustDomain, x509Authorities, factKeys } = trust ?? {};
  if (
    typeof trustDomain === 'string' &&
    Array.isArray(x509Authorities) &&
    x509Authorities.length > 0 &&
    x509Authorities.every((each) => typeof each === 'string')
  ) {
    return {
      ...{ trustDomain, x509Authorities: x509Authorities as string[] },
      ...(Array.isArray(factKeys) && { factKeys: factKeys as FactKey[] }),
    };
  }
  throw unusable(path, 'no trustDomain or x509Authorities', 'both');
}

async function readJoinToken(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const token = environment['COUNTERSIGN_JOIN_TOKEN'];
  const path = environment['COUNTERSIGN_JOIN_TOKEN_FILE'];
  if (token && path) {
    throw new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      'could not read environment: found COUNTERSIGN_JOIN_TOKEN and COUNTERSIGN_JOIN_TOKEN_FILE, expected one of them',
    );
  }
  // Whoever started us may have taken the file away after its one use.
  if (!path || !existsSync(path)) return token;
  return (await readFile(path, 'utf8')).trim();
}

function unusable(path: string, found: string, expected: string, cause?: unknown): SdkError {
  return new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not read '${path}': found ${found}, expected ${expected}`,
    { cause },
  );
}
