import type { JwtAuthority } from '../jwt/jwt-key.ts';
import type { CaSigner } from './ca-signer.ts';

/**
 * Whoever signs the certificates of a trust domain's own X.509 authorities: a root on disk, Vault, another SPIRE, an HSM.
 *
 * The trust domain's authority makes the key and keeps it; an upstream sees its public half only. What an upstream throws
 * when it cannot answer is a {@link SpiffeError} `ERR_SPIFFE_UPSTREAM_UNAVAILABLE` (asked again later) or
 * `ERR_SPIFFE_UPSTREAM_REFUSED` (asked again no sooner than the next rotation is due, and told to the operator).
 */
export interface UpstreamAuthority {
  /** Its kind and where it is, for people: `disk /etc/pki/root.pem`. No secret, at most 200 characters. */
  readonly name: string;
  /**
   * Has an authority certificate signed for a key of ours.
   *
   * Called once for each authority that is prepared; a call that fails or whose answer is lost is made again with another
   * key, so an upstream need not remember.
   */
  mintX509Authority(request: UpstreamRequest): Promise<UpstreamMinted>;
  /**
   * Calls back with all roots of the upstream, at once and after each change, until the returned function is called.
   *
   * Roots that leave the list leave the bundle of the trust domain; an upstream that is away says nothing, it does not
   * call back with an empty list. Absent when an upstream has no news to give: the roots of the last mint stand.
   *
   * @param onError each time news could not be had; the following goes on
   */
  readonly followRoots?: (options: {
    readonly onRoots: (x509Roots: readonly Uint8Array[]) => void;
    readonly onError: (error: unknown) => void;
  }) => () => void;
  /**
   * Makes a key that JWT-SVIDs are signed with known to all that share the upstream's trust domain.
   *
   * @returns all JWT authorities of the upstream, ours among them. Absent when an upstream knows of no JWT-SVIDs.
   */
  readonly publishJwtAuthority?: (
    authority: UpstreamJwtAuthority,
  ) => Promise<readonly JwtAuthority[]>;
  /** Ends connections and timers. Idempotent. */
  close(): Promise<void>;
}

/** What an upstream is asked to sign. */
export interface UpstreamRequest {
  /** In canonical form. The certificate carries the one URI SAN `spiffe://<trustDomain>` and `CA:TRUE` with `keyCertSign`. */
  readonly trustDomain: string;
  /**
   * The key that is to be certified. It signs what proves possession of it (a PKCS#10 request) where the upstream's
   * protocol asks for that; P-256.
   */
  readonly signer: CaSigner;
  /** What we would like, in seconds, at least 60. An upstream may give less; the end of the certificate counts. */
  readonly ttlSeconds: number;
  /** Aborted when the caller waits no longer. */
  readonly signal?: AbortSignal;
}

/** A certificate for a key of ours. */
export interface UpstreamMinted {
  /** DER: ours first, then what leads to the root, which is not among them. 1 to 7. */
  readonly chain: readonly Uint8Array[];
  /** DER: all roots that the upstream has now. 1 to 32. */
  readonly x509Roots: readonly Uint8Array[];
}

/** A key for an upstream to make known. */
export interface UpstreamJwtAuthority extends JwtAuthority {
  /** When it signs nothing any more and what it signed has ended; ms since the epoch. */
  readonly notAfterMs: number;
}
