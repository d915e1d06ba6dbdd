import { ACR_VALUES, type Acr } from '@countersign/model';
import type { IdentityProvider } from '../idp/identity-provider.ts';

/** How people sign in: what the bank's repository says of it, every default filled in. */
export interface LoginSettings {
  /** The domain that passkeys are for: the issuer's host or a suffix of it (WebAuthn Level 3 §5.1.2). */
  readonly rpId: string;
  /** What people read when they are asked for a passkey. */
  readonly name: string;
  /** Further origins below `rpId` where the same passkeys approve transactions; none signs in there. */
  readonly approvalOrigins: readonly string[];
  /** How long a session lives, from signing in, whatever happens in it; 300 to 43,200. */
  readonly sessionTtlSeconds: number;
  /** How long a session lives when nothing is asked under it; 600 to 43,200. See {@link idleSeconds}. */
  readonly sessionIdleSeconds: number;
  /** SPIFFE IDs of those who register hardware keys only. */
  readonly administrators: readonly string[];
  /** SPIFFE IDs of those who may approve another person's recovery. */
  readonly recoveryApprovers: readonly string[];
  readonly hardwareKeys: HardwareKeys;
  readonly exceptions: readonly TierException[];
  /** Where people may sign in elsewhere; none if not said. */
  readonly identityProviders?: readonly IdentityProvider[];
  /** The provider that people are sent to without being asked. */
  readonly straightTo?: string;
}

/** Which authenticators count as hardware; empty: none does, and nobody reaches `phrh`. */
export interface HardwareKeys {
  /** DER of the makers' attestation roots, as the bank has them from the makers. */
  readonly roots: readonly Uint8Array[];
  /** Models, lower case with hyphens. */
  readonly aaguids: readonly string[];
}

/** Something that a person may do although the tier says otherwise, for a time, and why. */
export interface TierException {
  /** SPIFFE ID. */
  readonly person: string;
  /** `single-key`: one hardware key is enough for `phrh`. `unattested-key`: an administrator registers another passkey. */
  readonly allows: 'single-key' | 'unattested-key';
  readonly reason: string;
  readonly owner: string;
  /** Milliseconds since the epoch. */
  readonly expiresMs: number;
}

/** NIST SP 800-63B-4 §2.3.3: fifteen minutes at AAL3, which `phrh` is for. */
const IDLE_SECONDS_MAX_HARDWARE = 900;

/**
 * How long a session of a level lives when nothing is asked under it. More than an access token lives, or one would be good
 * when its session is over.
 */
export function idleSeconds({ sessionIdleSeconds }: LoginSettings, acr: Acr): number {
  return acr === 'phrh'
    ? Math.min(sessionIdleSeconds, IDLE_SECONDS_MAX_HARDWARE)
    : sessionIdleSeconds;
}

/** The exception in force for a person, if there is one. */
export function exceptionFor(
  settings: LoginSettings,
  { person, allows, nowMs }: Pick<TierException, 'person' | 'allows'> & { readonly nowMs: number },
): TierException | undefined {
  return settings.exceptions.find(
    (each) => each.person === person && each.allows === allows && each.expiresMs > nowMs,
  );
}

/** Whether one level is enough where another is asked for: `phrh` contains `phr` (OpenID EAP ACR Values 1.0 §2), and both `idp`. */
export function satisfies(acr: string | undefined, asked: Acr): boolean {
  const levels: readonly (string | undefined)[] = ACR_VALUES;
  return levels.indexOf(acr) >= levels.indexOf(asked);
}
