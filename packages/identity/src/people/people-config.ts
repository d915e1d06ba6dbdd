import type { EntityUid } from '@countersign/model';

/** What of a person policies may be told, by the names of SCIM where it has one. */
export const DIRECTORY_ATTRIBUTES = [
  'costCenter',
  'department',
  'division',
  'employeeNumber',
  'entitlements',
  'manager',
  'organization',
  'roles',
  'title',
  'userName',
  'userType',
] as const;
/** One of {@link DIRECTORY_ATTRIBUTES}. `roles` and `entitlements` are sets of text, `manager` is an entity, the others text. */
export type DirectoryAttribute = (typeof DIRECTORY_ATTRIBUTES)[number];

/** What a person's SPIFFE ID is made of. */
export const PERSON_ID_SOURCES = ['opaque', 'userName', 'externalId', 'employeeNumber'] as const;

/** How the directory is kept; everything is decided by the bank's configuration. */
export interface PeopleConfig {
  /** `opaque` is random; another one is taken once, when the person is made, and never changed after that. */
  readonly personId: (typeof PERSON_ID_SOURCES)[number];
  /** Attributes of the person's Cedar entity by their names there; nothing else of a person spreads. */
  readonly attributes: Readonly<Record<string, DirectoryAttribute>>;
  /** Groups that give a person a parent. `source` may supply it and nobody else: a name alone would be anybody's to take. */
  readonly groups: readonly {
    readonly source: string;
    readonly displayName: string;
    readonly parent: EntityUid;
  }[];
  /** What becomes of the registrations that a leaver owned. */
  readonly ownedOnLeave: 'suspend' | 'manager';
  readonly hr: HrConfig;
}

/** The HR feed. */
export interface HrConfig {
  /** Its name: people that it makes have the source `hr:<feed>`. */
  readonly feed: string;
  /** Whether it makes people whom no SCIM client has made. */
  readonly createsPeople: boolean;
  /** Whether somebody who is missing in a feed has left. */
  readonly absentLeaves: boolean;
  /** A feed that would end the employment of more than so many of a hundred is refused; up to 3 people it is not. */
  readonly leaversMaxPercent: number;
  /** IANA name: where a day begins. */
  readonly timeZone: string;
}

/** Nothing of a person spreads but whether it is enabled; owned registrations are suspended. */
export const DEFAULT_PEOPLE: PeopleConfig = {
  personId: 'opaque',
  attributes: {},
  groups: [],
  ownedOnLeave: 'suspend',
  hr: {
    feed: 'hr',
    createsPeople: false,
    absentLeaves: false,
    leaversMaxPercent: 5,
    timeZone: 'UTC',
  },
};
