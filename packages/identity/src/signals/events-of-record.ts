import type { Event } from '@countersign/model';
import { EVENT_TYPES, type EventTypeName } from './event-types.ts';
import type { SecurityEvent } from './security-event-token.ts';
import type { SubjectIdentifier } from './subject-identifier.ts';

/**
 * What an entry of the authority's log tells receivers; most tell nothing. Of several, which have one `txn`, the first has the
 * entry's id for `jti`, so that the same entry makes the same tokens whenever it is read.
 */
export function securityEventsOf(
  event: Event,
  { issuer }: { readonly issuer: string },
): SecurityEvent[] {
  return toldBy(event).map((told, index) => securityEventOf(told, { event, issuer, index }));
}

function securityEventOf(
  told: Told,
  {
    event,
    issuer,
    index,
  }: { readonly event: Event; readonly issuer: string; readonly index: number },
): SecurityEvent {
  const { type, subject, session, claims } = told;
  const reason = told.reason ?? WORDS[type];
  return {
    jti: index === 0 ? event.id : `${event.id}.${index}`,
    atMs: event.at,
    txn: event.id,
    subject: told.isDevice
      ? deviceOf({ issuer, subject })
      : subjectOf({ issuer, subject, session }),
    type: EVENT_TYPES[type],
    claims: {
      event_timestamp: Math.floor(event.at / 1000),
      // Interoperability Profile 1.0 §3: never empty.
      ...(reason !== undefined && { reason_admin: { en: reason } }),
      ...claims,
    },
  };
}

interface Told {
  readonly type: EventTypeName;
  readonly subject: string | undefined;
  /** The subject is a device. */
  readonly isDevice?: true;
  readonly session?: string | undefined;
  readonly reason?: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Where the record has no reason of its own. */
const WORDS: Partial<Record<EventTypeName, string>> = {
  'session-established': 'a session began',
  'credential-change': "a person's authenticator was changed",
  'account-enabled': 'access was given back',
};

function toldBy(event: Event): readonly Told[] {
  const told = event.kind === 'signal' ? ofSignal(event) : ofAdministration(event);
  if (told === undefined) return [];
  return event.kind === 'administration' && event.action === 'person-disabled'
    ? [told, allSessionsOf(told)]
    : [told];
}

/** A leaver's sessions are over too, and not every receiver minds accounts; without a session it is about all of the user's (CAEP §3.1). */
function allSessionsOf(told: Told): Told {
  return { ...told, type: 'session-revoked' };
}

function ofSignal(event: Extract<Event, { kind: 'signal' }>): Told | undefined {
  if (event.type === 'device-compliance-change') return ofCompliance(event);
  // A session is revoked by the deed, which is an event of its own.
  if (event.type !== 'risk-level-change' || event.level === undefined) return undefined;
  return {
    type: 'risk-level-change',
    subject: event.subject,
    session: event.session,
    reason: event.reason,
    claims: {
      ...{ principal: 'USER', current_level: event.level, initiating_entity: 'policy' },
      ...(event.feature !== undefined && { risk_reason: event.feature }),
    },
  };
}

/** CAEP 1.0 §3.5. What no source here said is told to nobody: a signal of another that is passed on has no status of ours. */
function ofCompliance(event: Extract<Event, { kind: 'signal' }>): Told | undefined {
  const { compliance, subject, reason } = event;
  if (compliance === undefined) return undefined;
  const previous = compliance === 'compliant' ? 'not-compliant' : 'compliant';
  return {
    ...{ type: 'device-compliance-change', subject, isDevice: true, reason },
    claims: {
      ...{ previous_status: previous, current_status: compliance, initiating_entity: 'system' },
    },
  };
}

function ofAdministration(event: Event): Told | undefined {
  if (event.kind !== 'administration') return undefined;
  const { action, by, target, detail = {} } = event;
  const reason = textOf(detail['reason']);
  const initiating = { initiating_entity: initiatorOf(by) };
  switch (action) {
    case 'session-revoked':
      return {
        ...{ type: 'session-revoked', session: target, reason, claims: initiating },
        subject: textOf(detail['subject']),
      };
    case 'session-narrowed': {
      // That it is read-only is said by no claim of its tokens.
      const { scopes: scope } = detail;
      if (typeof scope !== 'string') return undefined;
      return {
        ...{ type: 'token-claims-change', session: target, reason },
        subject: textOf(detail['subject']),
        claims: { claims: { scope }, ...initiating },
      };
    }
    case 'session-started':
      return { type: 'session-established', subject: by, session: target, claims: {} };
    case 'subject-revoked':
    case 'person-disabled':
    case 'registration-suspended':
      return { type: 'account-disabled', subject: target, reason, claims: initiating };
    case 'subject-reinstated':
    case 'person-enabled':
    case 'registration-resumed':
      return { type: 'account-enabled', subject: target, reason, claims: initiating };
    case 'person-deleted':
      return { type: 'account-purged', subject: target, reason, claims: initiating };
    case 'person-changed': {
      const claims = changedClaims(detail);
      if (claims === undefined) return undefined;
      return {
        ...{ type: 'token-claims-change', subject: target, reason },
        claims: { claims, ...initiating },
      };
    }
    case 'credential-registered':
    case 'credential-withdrawn':
      return {
        ...{ type: 'credential-change', subject: target, reason },
        claims: {
          credential_type: 'fido2-roaming',
          change_type: action === 'credential-registered' ? 'create' : 'revoke',
          ...initiating,
        },
      };
    default:
      return undefined;
  }
}

/** CAEP §3.2: the claims that a token would say otherwise now, with their new values; null for one that is gone. */
function changedClaims(
  detail: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | undefined {
  const { attributes, groups } = detail;
  const claims = {
    ...Object.fromEntries(
      Array.isArray(attributes) ? attributes.map(({ name, to }) => [name, to]) : [],
    ),
    ...(Array.isArray(groups) && { groups }),
  };
  return Object.keys(claims).length > 0 ? claims : undefined;
}

/** CAEP §2: admin, user, policy or system. */
function initiatorOf(by: string): 'admin' | 'user' | 'policy' | 'system' {
  if (by.startsWith('local:')) return 'admin';
  if (by.startsWith('playbook:') || by.startsWith('system:')) return 'policy';
  return by.startsWith('spiffe://') ? 'user' : 'system';
}

/** A session alone is complex; without one the subject is simple, which every receiver takes. */
function subjectOf({
  issuer,
  subject,
  session,
}: {
  readonly issuer: string;
  readonly subject: string | undefined;
  readonly session: string | undefined;
}): SubjectIdentifier {
  const user =
    subject === undefined ? undefined : ({ format: 'iss_sub', iss: issuer, sub: subject } as const);
  if (session === undefined && user) return user;
  return {
    format: 'complex',
    ...(user && { user }),
    ...(session !== undefined && { session: { format: 'opaque', id: session } as const }),
  };
}

/** OpenID Shared Signals Framework 1.0 §3.3: a device stands in a complex subject. */
function deviceOf({
  issuer,
  subject = '',
}: {
  readonly issuer: string;
  readonly subject: string | undefined;
}): SubjectIdentifier {
  return { format: 'complex', device: { format: 'iss_sub', iss: issuer, sub: subject } };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
