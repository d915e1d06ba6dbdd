import type { Bundle } from '../bundle/bundle.ts';
import type { JwtSvid } from '../jwt/jwt-issuer.ts';
import type { SpiffeId } from '../spiffe-id.ts';

/** An X.509-SVID with its key, as it is handed to the workload. */
export interface WorkloadX509Svid {
  readonly spiffeId: SpiffeId;
  /** DER, leaf first, without the root. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8 DER, not encrypted. */
  readonly privateKey: Uint8Array;
  /** What it is for, when a workload has several: `internal`; at most 1,024 bytes, each once. */
  readonly hint?: string;
}

/** A JWT-SVID as it is handed to the workload. */
export interface WorkloadJwtSvid extends Pick<JwtSvid, 'spiffeId' | 'token'> {
  readonly hint?: string;
}

/** The bundles that a workload may use. */
export interface WorkloadBundles {
  /** Of the trust domain that the server stands in. */
  readonly own: Bundle;
  readonly federated: readonly Bundle[];
}

/** What is told of a change. */
export interface WorkloadChange {
  /** Something was taken away from this caller: told at once, however long pushes are delayed otherwise. */
  readonly isUrgent: boolean;
}

/**
 * Who gets what. A server asks anew for each answer, and again after each change, so a source decides on every push
 * whether the caller still is who it was.
 *
 * A caller that is entitled to nothing gets an empty list or undefined. What is thrown as
 * `ERR_SPIFFE_WORKLOAD_DENIED`, `ERR_SPIFFE_WORKLOAD_UNAVAILABLE` or `ERR_SPIFFE_WORKLOAD_EXHAUSTED` is told to the caller;
 * anything else is an internal error to it.
 */
export interface WorkloadSource<Caller> {
  /** The first one is the default identity. */
  x509Svids(caller: Caller): Promise<readonly WorkloadX509Svid[]>;
  /**
   * Tokens for these audiences: of one identity, or of each that the caller has.
   *
   * @param request.spiffeId an ID that the caller is not entitled to has no token
   */
  jwtSvids(
    caller: Caller,
    request: { readonly audiences: readonly string[]; readonly spiffeId?: SpiffeId },
  ): Promise<readonly WorkloadJwtSvid[]>;
  bundles(caller: Caller): Promise<WorkloadBundles | undefined>;
  /**
   * Calls back whenever any of the answers for this caller may have changed: a rotation, a bundle, an entry.
   *
   * @returns how to end it
   */
  onChange(caller: Caller, listener: (change?: WorkloadChange) => void): () => void;
}
