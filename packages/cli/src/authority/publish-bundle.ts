import type { Clock } from '@countersign/model';
import { buildBundle, parseBundle, type Repository, signBundle } from '@countersign/policy';
import {
  type BundleStore,
  POLICY_TYPE,
  type StatementSigner,
  verifyStatement,
} from '@countersign/state';

/** What publishing came to. */
export interface Publication {
  /** False when the content is that of the bundle in force. */
  readonly published: boolean;
  readonly sequence: number;
  readonly version: string;
}

/**
 * Signs the repository's bundle and puts it in force, unless it is in force already; `again` does it
 * all the same, with the next sequence.
 */
export async function publishBundle(
  repository: Repository,
  options: {
    readonly bundles: BundleStore;
    readonly signer: StatementSigner;
    readonly now: Clock;
    readonly again?: boolean;
  },
): Promise<Publication> {
  const { bundles, signer, now, again = false } = options;
  const { trustDomain } = repository.config;
  const current = bundles.current();
  const sequence = (current?.sequence ?? 0) + 1;
  const bundle = buildBundle(repository, { trustDomain, sequence, now });
  if (!again && current?.version === bundle.version && isSignedBy(current.jws, signer)) {
    return { published: false, sequence: current.sequence, version: current.version };
  }
  const jws = await signBundle(bundle, signer);
  await bundles.put({ sequence, version: bundle.version, jws });
  return { published: true, sequence, version: bundle.version };
}

/** A bundle that the present key did not sign would be refused by every point: sign it anew. */
function isSignedBy(jws: string, signer: StatementSigner): boolean {
  try {
    parseBundle(verifyStatement(jws, { type: POLICY_TYPE, keys: [signer.publicJwk] }));
    return true;
  } catch {
    return false;
  }
}
