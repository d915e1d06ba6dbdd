import type { AlarmEvent, SignalEvent } from '@countersign/model';
import type { OcsfParts } from './ocsf-event.ts';
import { userOf } from './who-and-where.ts';

const LEVELS: ReadonlyMap<string, Level> = new Map([
  ['LOW', { severity: 'Informational', risk_level_id: 1, risk_level: 'Low' }],
  ['MEDIUM', { severity: 'Medium', risk_level_id: 2, risk_level: 'Medium' }],
  ['HIGH', { severity: 'High', risk_level_id: 3, risk_level: 'High' }],
]);

interface Level {
  readonly severity: OcsfParts['severity'];
  readonly risk_level_id?: number;
  readonly risk_level?: string;
}

/** `analytic.type_id` */
const ANALYTIC_RULE = 1;
const ANALYTIC_BEHAVIORAL = 2;

/** Alarms that say that somebody changes the record; every other is High, so that new ones are seen. */
const SEVERITIES: ReadonlyMap<string, OcsfParts['severity']> = new Map(
  Object.entries<OcsfParts['severity']>({
    'log-fork': 'Critical',
    'log-rollback': 'Critical',
    'log-foreign': 'Critical',
    'log-key-changed': 'Critical',
    'facts-stale': 'Medium',
    'export-lag': 'Medium',
  }),
);

/** A change of trust, as Detection Finding; each has an id of its own, so each is created. */
export function signalParts(event: SignalEvent): OcsfParts {
  const { type, reason, subject, session, level, feature, score } = event;
  const known = level === undefined ? undefined : LEVELS.get(level);
  const { severity, ...risk }: Level = known ?? { severity: 'Medium' };
  return {
    class: 'detectionFinding',
    activity: 'Create',
    severity,
    message: reason,
    code: type,
    attributes: {
      finding_info: {
        uid: event.id,
        title: type,
        desc: reason,
        types: [type],
        created_time: event.at,
        analytic: {
          name: feature ?? 'signal',
          ...{ type_id: ANALYTIC_BEHAVIORAL, type: 'Behavioral' },
        },
      },
      evidences: [
        {
          user: userOf(subject),
          ...(session !== undefined && {
            actor: { user: userOf(subject), session: { uid: session } },
          }),
        },
      ],
      ...risk,
      // An integer in OCSF; ours has a fraction.
      risk_score: score === undefined ? undefined : Math.round(score),
      is_alert: severity !== 'Informational',
    },
    unmapped: {
      ...(score !== undefined && !Number.isInteger(score) && { score }),
      ...(level !== undefined && known === undefined && { level }),
    },
  };
}

/** Something wrong with the product itself, as Detection Finding. */
export function alarmParts(event: AlarmEvent): OcsfParts {
  const { alarm, detail, surface } = event;
  return {
    class: 'detectionFinding',
    activity: 'Create',
    severity: SEVERITIES.get(alarm) ?? 'High',
    message: `${alarm}: ${detail}`,
    code: alarm,
    attributes: {
      finding_info: {
        uid: event.id,
        title: alarm,
        desc: detail,
        types: ['alarm'],
        created_time: event.at,
        analytic: { name: alarm || 'alarm', type_id: ANALYTIC_RULE, type: 'Rule' },
      },
      evidences: surface === undefined ? undefined : [{ dst_endpoint: { svc_name: surface } }],
      is_alert: true,
    },
  };
}
