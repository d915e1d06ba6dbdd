import type { CedarEntity, CedarUid } from '@countersign/cedar';
import { CONNECTION_PROBABILITY, type PaperApplication } from './paper-workload.ts';
import { type Random, reference } from './workload.ts';

const REPOSITORY_ROLES = ['readers', 'triagers', 'writers', 'maintainers', 'admins'] as const;
const ORGANIZATION_ROLES = ['readers', 'writers', 'admins'] as const;

/**
 * Repositories of organizations. A role on one of them is an entity of its own; who holds the role is below it:
 * users, teams (in teams), organizations. Each stronger right contains the weaker ones, as a chain of actions.
 */
export const github: PaperApplication = {
  name: 'github',
  schema: `
    entity RepositoryRole;
    entity OrganizationRole;
    entity Organization in [OrganizationRole] = {
      readers: OrganizationRole, writers: OrganizationRole, admins: OrganizationRole
    };
    entity Team in [Team, RepositoryRole];
    entity User in [Organization, Team, OrganizationRole, RepositoryRole];
    entity Repository = {
      owner: Organization, readers: RepositoryRole, triagers: RepositoryRole, writers: RepositoryRole,
      maintainers: RepositoryRole, admins: RepositoryRole
    };
    action admin appliesTo { principal: User, resource: Repository };
    action maintain in [admin] appliesTo { principal: User, resource: Repository };
    action write in [maintain] appliesTo { principal: User, resource: Repository };
    action triage in [write] appliesTo { principal: User, resource: Repository };
    action read in [triage] appliesTo { principal: User, resource: Repository };
  `,
  policies: [
    grant('read', '== Action::"read"', 'resource.readers'),
    grant('triage', 'in Action::"triage"', 'resource.triagers'),
    grant('write', 'in Action::"write"', 'resource.writers'),
    grant('maintain', 'in Action::"maintain"', 'resource.maintainers'),
    grant('admin', 'in Action::"admin"', 'resource.admins'),
    grant('owner-read', '== Action::"read"', 'resource.owner.readers'),
    grant('owner-write', 'in Action::"write"', 'resource.owner.writers'),
    grant('owner-admin', 'in Action::"admin"', 'resource.owner.admins'),
  ],
  actions: Object.fromEntries(
    ['read', 'triage', 'write', 'maintain', 'admin'].map((action) => [
      action,
      { principal: 'User', resource: 'Repository' },
    ]),
  ),
  dereferenced: ['owner'],
  entities,
};

function grant(id: string, action: string, role: string) {
  return {
    id,
    text: `permit (principal, action ${action}, resource) when { principal in ${role} };`,
  };
}

function entities(size: number, random: Random): readonly CedarEntity[] {
  const numbers = Array.from({ length: size }, (_, index) => index);
  const some = (count: number) => random.some(count, CONNECTION_PROBABILITY);
  const repositoryRoles = () =>
    some(size).map((repository) => repositoryRole(repository, random.pick(REPOSITORY_ROLES)));
  const organizationRoles = () =>
    some(size).map((organization) =>
      organizationRole(organization, random.pick(ORGANIZATION_ROLES)),
    );
  return [
    ...numbers.flatMap((organization): CedarEntity[] => [
      {
        uid: uid('Organization', organization),
        attrs: references(ORGANIZATION_ROLES, (role) => organizationRole(organization, role)),
        parents: organizationRoles(),
      },
      ...ORGANIZATION_ROLES.map((role) => bare(organizationRole(organization, role))),
    ]),
    ...numbers.flatMap((repository): CedarEntity[] => [
      {
        uid: uid('Repository', repository),
        attrs: {
          owner: reference(uid('Organization', random.below(size))),
          ...references(REPOSITORY_ROLES, (role) => repositoryRole(repository, role)),
        },
        parents: [],
      },
      ...REPOSITORY_ROLES.map((role) => bare(repositoryRole(repository, role))),
    ]),
    // Only in teams of a lower number, so that there is no circle.
    ...numbers.map((team) =>
      bare(uid('Team', team), [
        ...some(team).map((outer) => uid('Team', outer)),
        ...repositoryRoles(),
      ]),
    ),
    ...numbers.map((user) =>
      bare(uid('User', user), [
        ...repositoryRoles(),
        ...some(size).map((team) => uid('Team', team)),
        ...some(size).map((organization) => uid('Organization', organization)),
        ...organizationRoles(),
      ]),
    ),
  ];
}

function references<Role extends string>(roles: readonly Role[], of: (role: Role) => CedarUid) {
  return Object.fromEntries(roles.map((role) => [role, reference(of(role))]));
}

function uid(type: string, index: number): CedarUid {
  return { type, id: `${type.toLowerCase()}-${index}` };
}

function repositoryRole(repository: number, role: string): CedarUid {
  return { type: 'RepositoryRole', id: `${repository}-${role}` };
}

function organizationRole(organization: number, role: string): CedarUid {
  return { type: 'OrganizationRole', id: `${organization}-${role}` };
}

function bare(itself: CedarUid, parents: readonly CedarUid[] = []): CedarEntity {
  return { uid: itself, attrs: {}, parents };
}
