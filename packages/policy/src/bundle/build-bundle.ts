import { createHash } from 'node:crypto';
import type { Clock } from '@countersign/model';
import type { PolicyBundle } from '../bundle.ts';
import type { Repository } from '../repository.ts';
import { canonicalJson } from './canonical-json.ts';

/**
 * The bundle of a repository: what a decision point loads.
 *
 * @param options `sequence` must be higher than that of every bundle published before
 * @returns a bundle whose version depends on its content alone: the same whatever order the files were
 *   read in, whatever the sequence and the time
 */
export function buildBundle(
  repository: Pick<Repository, 'config' | 'surfaces' | 'policies' | 'schema'>,
  options: { readonly trustDomain: string; readonly sequence: number; readonly now: Clock },
): PolicyBundle {
  const { record } = repository.config;
  const content: BundleContent = {
    trustDomain: options.trustDomain,
    surfaces: repository.surfaces.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    points: repository.config.points.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    record: { shard: record.shard, localKeep: record.localKeep },
    policies: repository.policies
      .map(({ id, text, file }) => ({ id, text, file }))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    schema: repository.schema,
  };
  return {
    ...content,
    sequence: options.sequence,
    version: bundleVersion(content),
    createdAtMs: options.now(),
  };
}

/** What the version of a bundle is made over. */
export type BundleContent = Omit<PolicyBundle, 'sequence' | 'version' | 'createdAtMs'>;

/** SHA-256 (base64url) over the canonical JSON of the content. */
export function bundleVersion({
  trustDomain,
  surfaces,
  points,
  record,
  policies,
  schema,
}: BundleContent): string {
  const canonical = canonicalJson({
    ...{ trustDomain, surfaces, points, policies, schema },
    ...(record && { record }),
  });
  return createHash('sha256').update(canonical).digest('base64url');
}
