import { X509Certificate } from 'node:crypto';
import { type Bundle, encodeBundle, foreignAuthority, SpiffeError } from '@countersign/spiffe';

/** Of X.509 authorities in one bundle together: what a feed carries to every point, many times what anybody has. */
const AUTHORITIES_BYTES_MAX = 128 * 1024;

/**
 * Whether a partner's bundle may take the place of the one that is held, and whether it says anything new.
 *
 * @param options.held the last one that was taken
 * @param options.own our authorities: a partner's bundle has none of them
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE_INVALID` when its sequence goes back, when it holds an authority of ours or one
 *   that calls itself by another name than the partner's, and above 128 KiB of authorities
 * @see SPIFFE Trust Domain and Bundle §4.1.1; X509-SVID §2
 */
export function admitBundle(
  bundle: Bundle,
  options: {
    readonly held: Bundle | undefined;
    readonly own: readonly Uint8Array[];
  },
): 'new' | 'same' {
  const { held, own } = options;
  const bytes = bundle.x509Authorities.reduce((sum, der) => sum + der.length, 0);
  if (bytes > AUTHORITIES_BYTES_MAX) {
    throw refused(`authorities of ${bytes} bytes`, `at most ${AUTHORITIES_BYTES_MAX}`);
  }
  const ownKeys = new Set(own.map(keyOf));
  if (bundle.x509Authorities.some((der) => ownKeys.has(keyOf(der)))) {
    throw refused('an authority of ours', "the partner's own");
  }
  // Ours, another partner's or anybody's: what somebody else's endpoint served is no word of the partner's.
  const foreign = foreignAuthority(bundle);
  if (foreign !== undefined) {
    throw refused(
      `an authority that is called '${foreign.slice(0, 255)}'`,
      `authorities of '${bundle.trustDomain}'`,
    );
  }
  if (held === undefined) return 'new';
  // One that suddenly says no sequence goes back, too: whoever replays an old document could cut it off.
  if (bundle.sequence < held.sequence) {
    throw refused(`sequence ${bundle.sequence}`, `${held.sequence} or more`);
  }
  // Of the same sequence, what it says now counts: a partner that forgot to count can still take an authority away.
  return encodeBundle(bundle) === encodeBundle(held) ? 'same' : 'new';
}

function keyOf(der: Uint8Array): string {
  const { publicKey } = new X509Certificate(der);
  return publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
}

function refused(found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_BUNDLE_INVALID',
    `could not take bundle: found ${found}, expected ${expected}`,
  );
}
