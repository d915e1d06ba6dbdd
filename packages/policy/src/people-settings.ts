import type { EntityUid } from '@countersign/model';
import type { HostPort } from './repository.ts';

/** What of a person policies may be told, by the names of SCIM where it has one. */
export type PersonAttribute =
  | 'costCenter'
  | 'department'
  | 'division'
  | 'employeeNumber'
  | 'entitlements'
  | 'manager'
  | 'organization'
  | 'roles'
  | 'title'
  | 'userName'
  | 'userType';

/** How the directory of people is kept; every default filled in. */
export interface PeopleSettings {
  readonly personId: 'opaque' | 'userName' | 'externalId' | 'employeeNumber';
  /** Attributes of the Cedar entity by their names there. */
  readonly attributes: Readonly<Record<string, PersonAttribute>>;
  readonly groups: readonly {
    readonly source: string;
    readonly displayName: string;
    readonly parent: EntityUid;
  }[];
  readonly ownedOnLeave: 'suspend' | 'manager';
  readonly hr: {
    readonly feed: string;
    readonly createsPeople: boolean;
    readonly absentLeaves: boolean;
    readonly leaversMaxPercent: number;
    readonly timeZone: string;
  };
  readonly scim?: ScimSettings;
}

/** The SCIM server and who may bring people by it. */
export interface ScimSettings {
  readonly address: HostPort;
  /** An https origin. */
  readonly url: string;
  /** Absolute paths; absent: the authority's own SVID is shown. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly clients: readonly {
    readonly name: string;
    readonly owner: string;
    /** A subject's name, without the trust domain. */
    readonly subject?: string;
    readonly tokens: readonly { readonly sha256: string; readonly notAfterMs: number }[];
    readonly requestsPerSecond: number;
  }[];
}
