import { Buffer } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@countersign/model';
import { parseSpiffeId } from '@countersign/spiffe';
import { readAttestation } from './attestation.ts';
import { type ControlApi, fetchIdentity, generateSvidKeys, type SvidKeys } from './control-api.ts';
import { followBundle } from './follow-bundle.ts';
import type { IdentityDocument } from './identity-document.ts';
import { readIdentity, writeIdentity } from './identity-folder.ts';
import { RunningWorkload } from './running-workload.ts';
import { SdkError } from './sdk-error.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

/** Tries to enrol while the authority does not answer: processes of one site start in any order. */
const ENROL_TRIES_MAX = 8;
const ENROL_DELAY_MS = 250;

/**
 * Becomes a workload: starts from the SVID in the folder when it is still valid, else enrols with the join token, or
 * without one with what attests it.
 *
 * Enrolling is tried eight times over about half a minute while the authority cannot be reached, and never again after
 * it refused. What attests it gets it another SVID also when the last one ended while the authority was away.
 *
 * @throws {SdkError} `ERR_SDK_NO_IDENTITY` without valid SVID and join token; `ERR_SDK_STORE_INVALID`,
 *   `ERR_SDK_OPTIONS_INVALID`, `ERR_SDK_AUTHORITY_UNREACHABLE`, `ERR_SDK_AUTHORITY_REFUSED`, `ERR_SDK_ANSWER_INVALID`
 */
export async function connectWorkload(options: WorkloadOptions): Promise<Workload> {
  const { folder, trustDomain, now = systemClock } = options;
  const api: ControlApi = {
    authorityUrl: checkUrl(options.authorityUrl),
    authoritySpiffeId: checkAuthorityId(options.authoritySpiffeId, trustDomain),
    trustDomain,
    extra: options.extra,
    factKeys: options.factKeys ?? [],
    now,
  };
  const stored = folder === undefined ? undefined : await readStored(folder, options, now);
  const attempt: JoinAttempt = {};
  const identity = stored ?? (await enrol(api, options, attempt));
  if (!stored && folder !== undefined) await writeIdentity(folder, identity);
  const onFailure = options.onFailure ?? (() => undefined);
  let unfollow = (): void => undefined;
  const workload = new RunningWorkload(identity, {
    onClosed: () => unfollow(),
    renew: async (current) => {
      if (options.attestation === undefined || now() <= current.notAfterMs) {
        return fetchIdentity(api, { identity: current });
      }
      return sameSubject(await attested(api, options, attempt), current);
    },
    isRenewableAfterEnd: options.attestation !== undefined,
    keep: async (renewed) => {
      if (folder !== undefined) await writeIdentity(folder, renewed);
    },
    onFailure,
    now,
  });
  unfollow = followBundle(api, {
    current: () => workload.document,
    take: (bundle) => workload.trust(bundle),
    onFailure,
  });
  return workload;
}

/** What is broken in the folder matters only to those who have no other way in. */
async function readStored(
  folder: string,
  { trustDomain, joinToken, attestation, onFailure }: WorkloadOptions,
  now: () => number,
): Promise<IdentityDocument | undefined> {
  try {
    return await readIdentity(folder, { trustDomain, now });
  } catch (error) {
    const hasWayIn = joinToken !== undefined || attestation !== undefined;
    if (!hasWayIn || !(error instanceof SdkError)) throw error;
    onFailure?.(error);
    return undefined;
  }
}

/** The key that was asked for and of which no answer came: the next try asks for it, too. */
interface JoinAttempt {
  keys?: SvidKeys | undefined;
}

async function enrol(
  api: ControlApi,
  options: WorkloadOptions,
  attempt: JoinAttempt,
): Promise<IdentityDocument> {
  const { joinToken } = options;
  if (joinToken === undefined && options.attestation !== undefined) {
    return attested(api, options, attempt);
  }
  if (joinToken === undefined) {
    throw new SdkError(
      'ERR_SDK_NO_IDENTITY',
      `could not become a workload: found no valid svid${options.folder === undefined ? '' : ` in '${options.folder}'`} and no join token, expected either`,
    );
  }
  const authorities = anchorsOf(options);
  for (let tries = 1; ; tries += 1) {
    try {
      return await fetchIdentity(api, { joinToken, authorities });
    } catch (error) {
      if (!isConnectionFailure(error) || tries === ENROL_TRIES_MAX) throw error;
      options.onFailure?.(error);
      await sleep(Math.min(ENROL_DELAY_MS * 2 ** (tries - 1), 8000));
    }
  }
}

/** What attests it can be shown again: so tries go on also when an answer was lost, or the authority could not ask. */
async function attested(
  api: ControlApi,
  options: WorkloadOptions,
  attempt: JoinAttempt,
): Promise<IdentityDocument> {
  if (options.attestation === undefined) throw new Error('broken invariant: something attests it');
  const authorities = anchorsOf(options);
  // Of all tries: who holds a live SVID by a credential is known by its key.
  attempt.keys ??= await generateSvidKeys();
  for (let tries = 1; ; tries += 1) {
    try {
      const attestation = await readAttestation(options.attestation);
      const joined = await fetchIdentity(api, { attestation, authorities }, attempt.keys);
      attempt.keys = undefined;
      return joined;
    } catch (error) {
      const isAway =
        error instanceof SdkError &&
        (error.code === 'ERR_SDK_AUTHORITY_UNREACHABLE' || error.status === 503);
      if (!isAway || tries === ENROL_TRIES_MAX) throw error;
      options.onFailure?.(error);
      await sleep(Math.min(ENROL_DELAY_MS * 2 ** (tries - 1), 8000));
    }
  }
}

function sameSubject(joined: IdentityDocument, before: IdentityDocument): IdentityDocument {
  if (joined.spiffeId === before.spiffeId) return joined;
  throw new SdkError(
    'ERR_SDK_ANSWER_INVALID',
    `could not join again: found '${joined.spiffeId}', expected '${before.spiffeId}'`,
  );
}

function anchorsOf({ x509Authorities }: WorkloadOptions): Uint8Array[] {
  return x509Authorities.map((each) => Buffer.from(each, 'base64'));
}

/** Only what happened before the token was sent: a token works once, and the answer may have been lost. */
function isConnectionFailure(error: unknown): error is SdkError {
  if (!(error instanceof SdkError) || error.code !== 'ERR_SDK_AUTHORITY_UNREACHABLE') return false;
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'].includes(code);
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' && url.pathname === '/' && url.search === '') return url.origin;
  throw new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not use authority url: found '${text.slice(0, 200)}', expected https://<host>:<port>`,
  );
}

function checkAuthorityId(text: string, trustDomain: string): string {
  try {
    const spiffeId = parseSpiffeId(text);
    if (spiffeId.trustDomain === trustDomain) return spiffeId.uri;
  } catch (cause) {
    throw new SdkError('ERR_SDK_OPTIONS_INVALID', (cause as Error).message, { cause });
  }
  throw new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not use authority: found '${text}', expected an id of trust domain '${trustDomain}'`,
  );
}
