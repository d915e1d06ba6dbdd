/** Event types of the OpenID Continuous Access Evaluation Profile 1.0 §3, by their short names. */
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
/** Of the OpenID RISC Profile 1.0 §2. */
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
/** Of the OpenID Shared Signals Framework 1.0 §8.1.4, §8.1.5: about a stream itself. */
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

/** What a stream may carry. */
export const EVENT_TYPES = {
  'session-revoked': `${CAEP}session-revoked`,
  'token-claims-change': `${CAEP}token-claims-change`,
  'credential-change': `${CAEP}credential-change`,
  'assurance-level-change': `${CAEP}assurance-level-change`,
  'device-compliance-change': `${CAEP}device-compliance-change`,
  'session-established': `${CAEP}session-established`,
  'session-presented': `${CAEP}session-presented`,
  'risk-level-change': `${CAEP}risk-level-change`,
  'account-credential-change-required': `${RISC}account-credential-change-required`,
  'account-purged': `${RISC}account-purged`,
  'account-disabled': `${RISC}account-disabled`,
  'account-enabled': `${RISC}account-enabled`,
  'identifier-changed': `${RISC}identifier-changed`,
  'identifier-recycled': `${RISC}identifier-recycled`,
  'credential-compromise': `${RISC}credential-compromise`,
  'sessions-revoked': `${RISC}sessions-revoked`,
} as const;

/** Short name of an event type. */
export type EventTypeName = keyof typeof EVENT_TYPES;

/** What this transmitter sends of these. */
export const TRANSMITTED: readonly EventTypeName[] = [
  'session-revoked',
  'session-established',
  'token-claims-change',
  'credential-change',
  'risk-level-change',
  'account-disabled',
  'account-enabled',
  'account-purged',
];

export const VERIFICATION = `${SSF}verification`;
export const STREAM_UPDATED = `${SSF}stream-updated`;

const NAMES = new Map<string, EventTypeName>(
  Object.entries(EVENT_TYPES).map(([name, uri]) => [uri, name as EventTypeName]),
);

/** The short name of an event type's URI; nothing for one that is not known here. */
export function eventTypeName(uri: string): EventTypeName | undefined {
  return NAMES.get(uri);
}
