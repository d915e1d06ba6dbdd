import { X509Certificate } from 'node:crypto';
import { type Bundle, certificateUris, encodeBundle, SpiffeError } from '@countersign/spiffe';

/** Of X.509 authorities in one bundle together: what a feed carries to every point, many times what anybody has. */
const AUTHORITIES_BYTES_MAX = 128 * 1024;

/**
 * Whether a partner's bundle may take the place of the one that is held, and whether it says anything new.
 *
 * @param options.held the last one that was taken
 * @param options.own our trust domain and its authorities: a partner's bundle has nothing of them
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE_INVALID` when its sequence goes back, when it holds an authority of ours or one
 *   that calls itself by our name, and above 128 KiB of authorities
 * @see SPIFFE Trust Domain and Bundle §4.1.1
 */
export function admitBundle(
  bundle: Bundle,
  options: {
    readonly held: Bundle | undefined;
    readonly own: { readonly trustDomain: string; readonly authorities: readonly Uint8Array[] };
  },
): 'new' | 'same' {
  const { held, own } = options;
  const bytes = bundle.x509Authorities.reduce((sum, der) => sum + der.length, 0);
  if (bytes > AUTHORITIES_BYTES_MAX) {
    throw refused(`authorities of ${bytes} bytes`, `at most ${AUTHORITIES_BYTES_MAX}`);
  }
  const ownKeys = new Set(own.authorities.map(keyOf));
  for (const der of bundle.x509Authorities) {
    if (ownKeys.has(keyOf(der))) throw refused('an authority of ours', "the partner's own");
    const names = certificateUris(der);
    if (names.some((name) => isNameOf(name, own.trustDomain))) {
      throw refused(
        `an authority that is called 'spiffe://${own.trustDomain}'`,
        "a partner's name",
      );
    }
  }
  if (held === undefined) return 'new';
  // One that suddenly says no sequence goes back, too: whoever replays an old document could cut it off.
  if (bundle.sequence < held.sequence) {
    throw refused(`sequence ${bundle.sequence}`, `${held.sequence} or more`);
  }
  // Of the same sequence, what it says now counts: a partner that forgot to count can still take an authority away.
  return encodeBundle(bundle) === encodeBundle(held) ? 'same' : 'new';
}

function isNameOf(uri: string, trustDomain: string): boolean {
  const name = uri.toLowerCase();
  return name === `spiffe://${trustDomain}` || name.startsWith(`spiffe://${trustDomain}/`);
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
