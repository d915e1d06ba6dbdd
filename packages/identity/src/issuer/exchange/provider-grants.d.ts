/**
 * What `oidc-provider` checks in its own grants, and gives to no grant that is registered with it: proofs (with nonces and
 * memory for replays), certificates, resources. Not part of its promise, hence the exact version in package.json.
 */
declare module 'oidc-provider/lib/helpers/grants.js' {
  import type { X509Certificate } from 'node:crypto';
  import type { KoaContextWithOIDC, Provider, ResourceServerInstance } from 'oidc-provider';

  export interface CheckedProof {
    /** RFC 7638. */
    readonly thumbprint: string;
    readonly jti: string;
    readonly iat: number;
  }
  /** The DPoP proof of the request, verified (RFC 9449 §4.3 but for replay); undefined when there is none. */
  export function validateDpop(
    provider: Provider,
    ctx: KoaContextWithOIDC,
  ): Promise<CheckedProof | undefined>;
  /** Remembers the proof; throws when it came before. */
  export function checkDpopReplay(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: CheckedProof | undefined,
    clientId: string,
  ): Promise<void>;
  /** Throws when the client's tokens are bound to DPoP keys and no proof came. */
  export function checkDpopRequired(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: CheckedProof | undefined,
  ): void;
  /** The certificate of the connection, when the client's tokens are bound to it; throws when there is none. */
  export function checkMtlsCert(
    provider: Provider,
    ctx: KoaContextWithOIDC,
  ): X509Certificate | string | undefined;
  /** What `resource` names, by `getResourceServerInfo`. */
  export function resolveRequestedResources(
    provider: Provider,
    ctx: KoaContextWithOIDC,
  ): Promise<readonly ResourceServerInstance[]>;
}
