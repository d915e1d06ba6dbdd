import type { Event } from '@countersign/model';

/** The version of the Open Cybersecurity Schema Framework that events are written in. */
export const OCSF_VERSION = '1.8.0';

/** One event of OCSF: JSON, with the attributes that every class has. */
export interface OcsfEvent {
  readonly activity_id: number;
  readonly activity_name: string;
  readonly category_uid: number;
  readonly category_name: string;
  readonly class_uid: number;
  readonly class_name: string;
  readonly type_uid: number;
  readonly type_name: string;
  readonly severity_id: number;
  readonly severity: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly metadata: OcsfMetadata;
  readonly unmapped: Readonly<Record<string, unknown>>;
  readonly [attribute: string]: unknown;
}

/** Where the event comes from: what a SIEM removes duplicates by. */
export interface OcsfMetadata {
  readonly version: string;
  readonly product: Readonly<Record<string, string>>;
  /** `<origin>/<seq>`: unique, and the same each time this event is exported. */
  readonly uid: string;
  /** The index in its log, contiguous: a gap is an event that did not arrive. */
  readonly sequence: number;
  /** The log's origin. */
  readonly log_name: string;
  readonly [attribute: string]: unknown;
}

interface OcsfClass {
  readonly uid: number;
  readonly name: string;
  readonly category: string;
  /** Activities by name, as the schema numbers them. */
  readonly activities: Readonly<Record<string, number>>;
}

/** The classes that are written, with the activities that are used of them. */
const CLASSES = {
  accountChange: {
    uid: 3001,
    name: 'Account Change',
    category: 'Identity & Access Management',
    activities: { Create: 1, Enable: 2, Disable: 5, Delete: 6 },
  },
  authentication: {
    uid: 3002,
    name: 'Authentication',
    category: 'Identity & Access Management',
    activities: { Logon: 1, Logoff: 2 },
  },
  authorizeSession: {
    uid: 3003,
    name: 'Authorize Session',
    category: 'Identity & Access Management',
    activities: { 'Assign Privileges': 1 },
  },
  entityManagement: {
    uid: 3004,
    name: 'Entity Management',
    category: 'Identity & Access Management',
    activities: { Create: 1, Read: 2, Update: 3, Delete: 4, Activate: 10, Deactivate: 11 },
  },
  detectionFinding: {
    uid: 2004,
    name: 'Detection Finding',
    category: 'Findings',
    activities: { Create: 1 },
  },
  httpActivity: { uid: 4002, name: 'HTTP Activity', category: 'Network Activity', activities: {} },
  applicationLifecycle: {
    uid: 6002,
    name: 'Application Lifecycle',
    category: 'Application Activity',
    activities: { Start: 3, Stop: 4 },
  },
  apiActivity: {
    uid: 6003,
    name: 'API Activity',
    category: 'Application Activity',
    activities: { Create: 1, Read: 2, Update: 3, Delete: 4 },
  },
} as const satisfies Record<string, OcsfClass>;

/** The names of the classes that are written. */
export type OcsfClassName = keyof typeof CLASSES;

/** Severities as `severity_id` numbers them. */
export const SEVERITY = { Informational: 1, Low: 2, Medium: 3, High: 4, Critical: 5 } as const;

/** What a kind of event adds to the attributes that all have. */
export interface OcsfParts {
  readonly class: OcsfClassName;
  /**
   * A name of the class's activities; `Unknown` when the event does not tell; any other is `Other` under
   * its own name.
   */
  readonly activity: string;
  readonly severity: keyof typeof SEVERITY;
  readonly message: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Beside those that the field table sends there. */
  readonly unmapped?: Readonly<Record<string, unknown>>;
  /** What the event is of its kind: `policy-forbids`, `bundle-published`. */
  readonly code?: string;
}

/** In these two classes `actor` is of the profile `host`. */
const PROFILES: Partial<Record<OcsfClassName, readonly string[]>> = {
  httpActivity: ['host', 'security_control'],
  applicationLifecycle: ['host', 'security_control'],
};

const ACTIVITY_UNKNOWN = 0;
const ACTIVITY_OTHER = 99;

/** Puts an event of a class together; `undefined` attributes are left out. */
export function composeOcsf(
  event: Event,
  parts: OcsfParts,
  options: { readonly productVersion?: string },
): OcsfEvent {
  const { uid, name, category, activities }: OcsfClass = CLASSES[parts.class];
  const { activity, severity, message } = parts;
  const activityId = activity === 'Unknown' ? ACTIVITY_UNKNOWN : numberOf(activity, activities);
  return {
    activity_id: activityId,
    activity_name: activity,
    category_uid: Math.floor(uid / 1000),
    category_name: category,
    class_uid: uid,
    class_name: name,
    // OCSF, base event: class_uid * 100 + activity_id.
    type_uid: uid * 100 + activityId,
    type_name: `${name}: ${activityId === ACTIVITY_OTHER ? 'Other' : activity}`,
    severity_id: SEVERITY[severity],
    severity,
    time: event.at,
    message,
    ...withoutAbsent(parts.attributes),
    metadata: {
      version: OCSF_VERSION,
      product: {
        name: 'Countersign',
        vendor_name: 'Countersign',
        ...(options.productVersion !== undefined && { version: options.productVersion }),
      },
      profiles: PROFILES[parts.class] ?? ['security_control'],
      uid: `${event.origin}/${event.seq}`,
      sequence: event.seq,
      log_name: event.origin,
      log_version: String(event.v),
      correlation_uid: event.id,
      event_code: parts.code === undefined ? event.kind : `${event.kind}/${parts.code}`,
      // What never happened must not be counted by whoever reads only this.
      ...(event.replayed === true && { labels: ['replayed'] }),
    },
    unmapped: withoutAbsent(parts.unmapped ?? {}),
  };
}

/** The activity may be any word that a log holds, also one that every object inherits. */
function numberOf(activity: string, activities: OcsfClass['activities']): number {
  return Object.hasOwn(activities, activity)
    ? (activities[activity] ?? ACTIVITY_OTHER)
    : ACTIVITY_OTHER;
}

/** The entries that have a value. */
export function withoutAbsent(
  record: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
