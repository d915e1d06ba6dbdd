import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { verifyX509Svid } from '@countersign/spiffe';
import { SdkError, type SdkErrorCode } from './sdk-error.ts';

/** An SVID with its key and the bundle that came with it: all that a workload is. */
export interface IdentityDocument {
  readonly spiffeId: string;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly keyPem: string;
  readonly authorities: readonly Uint8Array[];
  /** By trust domain: the X.509 authorities of others that it federates with; each vouches for its own and nobody else. */
  readonly federated?: ReadonlyMap<string, readonly Uint8Array[]>;
  /** Of the bundle that the authorities are of, where that was told. */
  readonly bundleSequence?: number;
  /** SHA-256 (base64url) of authorities that are refused although the bundle leads to them. */
  readonly refusedAuthorities?: readonly string[];
  readonly notAfterMs: number;
  readonly renewAfterMs: number;
  /** By what it joined, in the authority's words. */
  readonly joinedBy?: string;
}

/** What the control API answers and the folder holds, before it is believed. */
export interface UncheckedIdentity {
  readonly spiffeId: string;
  /** DER in base64. */
  readonly chain: readonly string[];
  readonly authorities: readonly string[];
  readonly bundleSequence?: number;
  readonly refusedAuthorities?: readonly string[];
  readonly renewAfterMs: number;
  readonly joinedBy?: string;
}

const JOINED_BY_MAX = 1000;

/**
 * Reads the shape that the control API answers; other fields are passed over.
 *
 * @throws {SdkError} of the given code
 */
export function parseUncheckedIdentity(text: string, code: SdkErrorCode): UncheckedIdentity {
  let value: Partial<Record<keyof UncheckedIdentity, unknown>> | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch (cause) {
    throw new SdkError(code, 'could not read svid: found no json, expected an object', { cause });
  }
  const { spiffeId, chain, authorities, renewAfterMs, joinedBy } = value ?? {};
  const { bundleSequence, refusedAuthorities = [] } = value ?? {};
  if (
    typeof spiffeId === 'string' &&
    isListOfText(chain) &&
    isListOfText(authorities) &&
    typeof renewAfterMs === 'number' &&
    Number.isFinite(renewAfterMs)
  ) {
    return {
      ...{ spiffeId, chain, authorities, renewAfterMs },
      // For people only: an older authority says nothing.
      ...(typeof joinedBy === 'string' && { joinedBy: joinedBy.slice(0, JOINED_BY_MAX) }),
      ...(Number.isSafeInteger(bundleSequence) && { bundleSequence: bundleSequence as number }),
      ...(isListOfText(refusedAuthorities) && { refusedAuthorities }),
    };
  }
  throw new SdkError(
    code,
    'could not read svid: found fields missing or of another type, expected spiffeId, chain, authorities, renewAfterMs',
  );
}

/**
 * Believes an identity once it holds: the chain verifies, it is of the trust domain, the key is its key.
 *
 * @throws {SdkError} of the given code, with the `SpiffeError` as cause where there is one
 */
export function checkIdentity(
  unchecked: UncheckedIdentity,
  {
    keyPem,
    trustDomain,
    now,
    code,
  }: {
    readonly keyPem: string;
    readonly trustDomain: string;
    readonly now: () => number;
    readonly code: SdkErrorCode;
  },
): IdentityDocument {
  const chain = unchecked.chain.map((each) => Buffer.from(each, 'base64'));
  const authorities = unchecked.authorities.map((each) => Buffer.from(each, 'base64'));
  try {
    const bundles = new Map([[trustDomain, authorities]]);
    const peer = verifyX509Svid(chain, { bundles, now });
    if (peer.spiffeId.uri !== unchecked.spiffeId) {
      throw new SdkError(
        code,
        `could not accept svid: found '${peer.spiffeId.uri}', expected '${unchecked.spiffeId}'`,
      );
    }
    const publicKey = createPublicKey(createPrivateKey(keyPem));
    if (!chain[0] || !new X509Certificate(chain[0]).publicKey.equals(publicKey)) {
      throw new SdkError(
        code,
        'could not accept svid: found another key, expected the one asked for',
      );
    }
    return Object.freeze({
      spiffeId: peer.spiffeId.uri,
      chain,
      keyPem,
      authorities,
      ...(unchecked.bundleSequence !== undefined && { bundleSequence: unchecked.bundleSequence }),
      ...(unchecked.refusedAuthorities && { refusedAuthorities: unchecked.refusedAuthorities }),
      notAfterMs: peer.notAfterMs,
      renewAfterMs: Math.min(unchecked.renewAfterMs, peer.notAfterMs),
      ...(unchecked.joinedBy !== undefined && { joinedBy: unchecked.joinedBy }),
    });
  } catch (cause) {
    if (cause instanceof SdkError) throw cause;
    throw new SdkError(
      code,
      `could not accept svid: found ${cause instanceof Error ? cause.message : 'a broken one'}, expected a valid one`,
      { cause },
    );
  }
}

function isListOfText(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= 64 &&
    value.every((each) => typeof each === 'string' && each.length <= 22_000)
  );
}
