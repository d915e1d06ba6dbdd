import { type Fact, parseFact } from '@countersign/model';
import type { Repository } from '@countersign/policy';

/** The facts that a repository alone gives: subjects and entities. */
export function repositoryFacts(repository: Repository): readonly Fact[] {
  const { registrations, entities } = repository;
  return [
    ...registrations.map(
      ({ subject, owner, enabled, attributes, parents, certificates, spiffeIds }) =>
        parseFact({
          kind: 'subject',
          id: subject.id,
          owner,
          enabled,
          attributes,
          parents,
          certificates,
          ...(spiffeIds && { spiffeIds }),
        }),
    ),
    ...entities.map(({ uid, attributes, parents }) =>
      parseFact({ kind: 'entity', uid, attributes, parents }),
    ),
  ];
}
