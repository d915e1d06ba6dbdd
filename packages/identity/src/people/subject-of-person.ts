import type { EntityUid, Fact } from '@countersign/model';
import { employmentsOf, groupsOf, personsById, personsByNumber, type Tables } from './directory.ts';
import type { DirectoryAttribute, PeopleConfig } from './people-config.ts';
import { type Employment, employmentAt, enterpriseOf, isEnabled, type Person } from './person.ts';

/** What enforcement points are told of a person. */
export type SubjectFact = Extract<Fact, { kind: 'subject' }>;

/** A person with what follows of it now. */
export interface Standing {
  readonly person: Person;
  readonly isEnabled: boolean;
  readonly employments: readonly Employment[];
  readonly manager?: Person;
  readonly fact: SubjectFact;
}

/** What follows of the rows for these persons now: by those that `tables` sees, so inside of a transaction by its own. */
export async function standingsOf(
  tables: Tables,
  persons: readonly Person[],
  { config, nowMs }: { readonly config: PeopleConfig; readonly nowMs: number },
): Promise<Standing[]> {
  const ids = persons.map(({ id }) => id);
  const employments = await employmentsOf(tables, ids);
  const groups = config.groups.length === 0 ? new Map() : await groupsOf(tables, ids);
  const managerOf = await managersOf(tables, persons, { employments, nowMs });
  return persons.map((person): Standing => {
    const own = employments.get(person.id) ?? [];
    const enabled = isEnabled(person, own, nowMs);
    const manager = managerOf(person);
    const employment = employmentAt(own, nowMs);
    const parents = config.groups.flatMap(({ source, displayName, parent }) =>
      (groups.get(person.id) ?? []).some(
        (group: { source: string; display_name: string }) =>
          group.source === source && group.display_name === displayName,
      )
        ? [parent]
        : [],
    );
    return {
      person,
      isEnabled: enabled,
      employments: own,
      ...(manager && { manager }),
      fact: {
        kind: 'subject',
        id: person.spiffeId,
        enabled,
        owner: ownerOf(person, employment, manager),
        // Of somebody who may do nothing, nothing needs to be known everywhere.
        attributes: enabled ? attributesOf(person, { employment, manager, config }) : {},
        parents: enabled ? distinct(parents) : [],
        certificates: [],
      },
    };
  });
}

/** Who answers for a person: the manager, or else the department, or else whoever brought the person here. */
function ownerOf(
  person: Person,
  employment: Employment | undefined,
  manager: Person | undefined,
): string {
  const department = employment ? employment.department : enterpriseOf(person)['department'];
  return manager?.spiffeId ?? (department as string | undefined) ?? person.source;
}

function attributesOf(
  person: Person,
  {
    employment,
    manager,
    config,
  }: {
    readonly employment: Employment | undefined;
    readonly manager: Person | undefined;
    readonly config: PeopleConfig;
  },
): SubjectFact['attributes'] {
  const mapped = Object.entries(config.attributes).flatMap(([name, from]) => {
    const value = attributeOf(from, { person, employment, manager });
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(mapped) as SubjectFact['attributes'];
}

function attributeOf(
  name: DirectoryAttribute,
  {
    person,
    employment,
    manager,
  }: {
    readonly person: Person;
    readonly employment: Employment | undefined;
    readonly manager: Person | undefined;
  },
): unknown {
  const enterprise = enterpriseOf(person);
  switch (name) {
    // Where HR knows the person, HR's word counts, also when it is none: a department that was left is not to be had from elsewhere.
    case 'department':
      return employment ? employment.department : enterprise['department'];
    case 'costCenter':
      return employment ? employment.costCentre : enterprise['costCenter'];
    case 'employeeNumber':
      return employment ? employment.employeeNumber : enterprise['employeeNumber'];
    case 'title':
      return employment ? employment.title : person.resource['title'];
    case 'division':
    case 'organization':
      return enterprise[name];
    case 'manager':
      return manager && { __entity: { type: 'Human', id: manager.spiffeId } };
    case 'userName':
      return person.userName;
    case 'userType':
      return person.resource['userType'];
    case 'roles':
    case 'entitlements':
      return valuesOf(person.resource[name]);
  }
}

/** A set of text, each once and in order, so that the same rights are the same fact. */
function valuesOf(list: unknown): readonly string[] {
  const values = (Array.isArray(list) ? list : []).flatMap((each: { value?: unknown }) =>
    typeof each.value === 'string' && each.value !== '' ? [each.value] : [],
  );
  return [...new Set(values)].sort();
}

function distinct(parents: readonly EntityUid[]): EntityUid[] {
  const seen = new Map(parents.map(({ type, id }) => [`${type} ${id}`, { type, id }]));
  return [...seen.values()].sort((a, b) => (`${a.type} ${a.id}` < `${b.type} ${b.id}` ? -1 : 1));
}

/** Whom each of these persons reports to: by the employment in force, or else by SCIM's `manager`, within the same source. */
async function managersOf(
  tables: Tables,
  persons: readonly Person[],
  {
    employments,
    nowMs,
  }: {
    readonly employments: ReadonlyMap<string, readonly Employment[]>;
    readonly nowMs: number;
  },
): Promise<(person: Person) => Person | undefined> {
  const current = new Map(
    persons.flatMap((person) => {
      const employment = employmentAt(employments.get(person.id) ?? [], nowMs);
      return employment ? [[person.id, employment] as const] : [];
    }),
  );
  const byFeed = new Map<string, ReadonlyMap<string, string>>();
  for (const feed of new Set([...current.values()].map((each) => each.feed))) {
    const numbers = [...current.values()].flatMap((each) =>
      each.feed === feed && each.managerNumber !== undefined ? [each.managerNumber] : [],
    );
    byFeed.set(feed, await personsByNumber(tables, feed, numbers));
  }
  const idOf = (person: Person): string | undefined => {
    const employment = current.get(person.id);
    if (employment) {
      return byFeed.get(employment.feed)?.get(employment.managerNumber ?? '');
    }
    const manager = enterpriseOf(person)['manager'] as { value?: string } | undefined;
    return manager?.value;
  };
  const found = await personsById(
    tables,
    persons.flatMap((person) => idOf(person) ?? []),
  );
  const byId = new Map(found.map((each) => [each.id, each]));
  return (person) => {
    const manager = byId.get(idOf(person) ?? '');
    if (!manager || manager.id === person.id || manager.deletedAtMs !== undefined) return undefined;
    // A client names managers by ids; those of another source are not its to name.
    return current.has(person.id) || manager.source === person.source ? manager : undefined;
  };
}
