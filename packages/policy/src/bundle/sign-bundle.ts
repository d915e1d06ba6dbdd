import { type StatementSigner, signStatement } from '@countersign/state';
import type { PolicyBundle } from '../bundle.ts';

/** The `typ` of a signed bundle: it never passes as signed facts. */
export const BUNDLE_TYPE = 'countersign-policy+jwt';

/**
 * Signs a bundle with the policy key: a JWS in compact form, EdDSA.
 *
 * @throws {StateError} `ERR_STATE_STATEMENT_SIZE` when it is too long for the feed
 */
export function signBundle(bundle: PolicyBundle, signer: StatementSigner): Promise<string> {
  return signStatement(bundle, { type: BUNDLE_TYPE, signer });
}
