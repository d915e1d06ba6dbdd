import type { Refusal } from '../refusal.ts';
import type { HrImport, HrImported } from './hr/import-feed.ts';
import type { Orphan } from './orphans.ts';
import type { Employment, Person } from './person.ts';
import type { ScimGroups } from './scim/scim-groups.ts';
import type { ScimUsers } from './scim/scim-users.ts';

/** One person, as a list shows it. */
export interface PersonSummary {
  readonly spiffeId: string;
  readonly userName: string;
  readonly displayName?: string;
  readonly source: string;
  readonly enabled: boolean;
  readonly holdReason?: string;
}

/** One person with all that is known of it. */
export interface PersonDetail extends Omit<Person, 'createdHash'> {
  readonly employments: readonly Omit<Employment, 'personId'>[];
  readonly groups: readonly {
    readonly id: string;
    readonly displayName: string;
    readonly source: string;
    readonly isDirect: boolean;
  }[];
  /** Subjects that the bank registered, and the person answers for. */
  readonly owns: readonly string[];
  /** Ids of sessions that have not ended and are not revoked. */
  readonly sessions: readonly string[];
  /** Ids of authenticators. */
  readonly credentials: readonly string[];
  /** What enforcement points are told of the person. */
  readonly fact?: unknown;
}

/** What became of disabling or enabling a person, or of resuming a registration. */
export type PersonResult = Refusal | { readonly isGranted: true; readonly spiffeId: string };

/** The bank's people: joiners, movers, leavers. */
export interface People {
  /** `/Users` and `/Groups` of SCIM. */
  readonly users: ScimUsers;
  readonly groups: ScimGroups;
  /** In the order in which they were made, at most `limit` (1,000 if not said, at most 10,000), from behind `after`. */
  list(options?: {
    readonly isEnabled?: boolean;
    readonly after?: number;
    readonly limit?: number;
  }): Promise<{ readonly people: readonly PersonSummary[]; readonly next?: number }>;
  /** By SPIFFE ID, `human/<id>`, user name or SCIM id. */
  show(name: string): Promise<PersonDetail | undefined>;
  /**
   * SPIFFE IDs of the people of a SCIM client that a name of theirs outside names: by `externalId`, or else by user name; by an address
   * that is the user name, or else one of mail. Several when several have the address.
   */
  named(
    name: { readonly externalId: string } | { readonly email: string },
    client: string,
  ): Promise<readonly string[]>;
  /** Keeps a person out, whatever its source says; all that leaving takes is taken. */
  disable(
    name: string,
    options: { readonly reason: string; readonly by: string },
  ): Promise<PersonResult>;
  /** Takes back what {@link People.disable} did; who is inactive or not employed stays out. */
  enable(
    name: string,
    options: { readonly reason: string; readonly by: string },
  ): Promise<PersonResult>;
  /** Lets a registration go on that was suspended when its owner left. */
  resume(
    subject: string,
    options: { readonly reason: string; readonly by: string },
  ): Promise<PersonResult>;
  orphans(): Promise<readonly Orphan[]>;
  /**
   * Imports an HR feed, or tells what it would do.
   *
   * @throws {IdentityError} `ERR_IDENTITY_HR_FEED`
   */
  importHr(feed: HrImport): Promise<HrImported>;
}
