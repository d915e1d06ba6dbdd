import type { PolicyBundle } from '@countersign/policy';
import { type Database, openBundleStore } from '@countersign/state';
import { personalKinds } from '../point/personal-types.ts';

/** What persons are called by beside `human` and `customer`, by the bundle that was published last. */
export async function personalKindsKept(database: Database): Promise<readonly string[]> {
  const current = (await openBundleStore(database)).current();
  if (current === undefined) return [];
  // Only what to look for: nothing is granted by it, so its signature is not asked for.
  const payload = Buffer.from(current.jws.split('.')[1] ?? '', 'base64url').toString();
  return personalKinds(JSON.parse(payload) as PolicyBundle);
}
