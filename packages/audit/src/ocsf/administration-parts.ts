import type { AdministrationEvent } from '@countersign/model';
import type { OcsfParts } from './ocsf-event.ts';
import { userOf } from './who-and-where.ts';

/** What somebody changed: by action, the class that fits; Entity Management for all others. */
export function administrationParts(event: AdministrationEvent): OcsfParts {
  const { action } = event;
  const make = ACTIONS.get(action) ?? otherAction;
  const { attributes, ...parts } = make(event);
  return {
    severity: 'Informational',
    message: event.target === undefined ? action : `${action}: ${event.target}`,
    code: action,
    ...parts,
    attributes: {
      actor: doerOf(event.by),
      status_id: 1,
      status: 'Success',
      status_code: action,
      ...attributes,
    },
  };
}

type Parts = Pick<OcsfParts, 'class' | 'activity' | 'attributes'> & Partial<OcsfParts>;

const ACTIONS: ReadonlyMap<string, (event: AdministrationEvent) => Parts> = new Map(
  Object.entries<(event: AdministrationEvent) => Parts>({
    'authority-started': () => lifecycle('Start'),
    'authority-stopped': () => lifecycle('Stop'),
    'issuer-started': () => lifecycle('Start', 'Countersign issuer'),
    'issuer-stopped': () => lifecycle('Stop', 'Countersign issuer'),
    'session-started': ({ by, target }) => ({
      class: 'authentication',
      activity: 'Logon',
      attributes: {
        user: userOf(by),
        service: { name: 'issuer' },
        ...(target !== undefined && { session: { uid: target } }),
      },
    }),
    'token-issued': ({ target, by, detail }) => ({
      class: 'authorizeSession',
      activity: 'Assign Privileges',
      attributes: {
        user: userOf(target ?? by),
        privileges: wordsOf(detail?.['scope']),
        ...(typeof detail?.['session'] === 'string' && { session: { uid: detail['session'] } }),
      },
    }),
    // OCSF 1.9 replaces Account Change by User Management; in 1.8 it is what there is.
    'subject-revoked': ({ target, by }) => account('Disable', target ?? by),
    'subject-reinstated': ({ target, by }) => account('Enable', target ?? by),
    'person-created': ({ target, by }) => account('Create', target ?? by),
    'person-disabled': ({ target, by }) => account('Disable', target ?? by),
    'person-enabled': ({ target, by }) => account('Enable', target ?? by),
    'person-deleted': ({ target, by }) => account('Delete', target ?? by),
    'record-read': ({ target }) => reading(target),
    'people-read': ({ target }) => reading(target),
    'record-read-refused': (event) => {
      const refused = reading(event.target);
      const status = { status_id: 2, status: 'Failure' };
      return { ...refused, severity: 'Low', attributes: { ...refused.attributes, ...status } };
    },
    'bundle-published': ({ target }) => ({
      class: 'entityManagement',
      activity: 'Update',
      attributes: {
        entity: {
          ...{ name: 'policy bundle', type_id: 5, type: 'Policy' },
          ...(target !== undefined && { uid: target, policy: { uid: target, version: target } }),
        },
      },
    }),
  }),
);

/** What the last word of an action says was done to its target. */
const ENDINGS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    created: 'Create',
    invited: 'Create',
    issued: 'Create',
    started: 'Create',
    applied: 'Update',
    published: 'Update',
    put: 'Update',
    changed: 'Update',
    narrowed: 'Update',
    widened: 'Update',
    removed: 'Delete',
    deleted: 'Delete',
    destroyed: 'Delete',
    revoked: 'Deactivate',
    reinstated: 'Activate',
  }),
);

function otherAction({ action, target }: AdministrationEvent): Parts {
  const [what, ending] = split(action);
  return {
    class: 'entityManagement',
    activity: ENDINGS.get(ending) ?? (action || 'Unknown'),
    attributes: {
      entity: {
        name: target ?? (what || action || 'unknown'),
        ...{ type_id: 99, type: what || 'unknown' },
        ...(target !== undefined && { uid: target }),
      },
    },
  };
}

/** `join-token-created` is `join-token` and `created`. */
function split(action: string): readonly [string, string] {
  const at = action.lastIndexOf('-');
  return at < 0 ? [action, ''] : [action.slice(0, at), action.slice(at + 1)];
}

function lifecycle(activity: string, name = 'Countersign authority'): Parts {
  return {
    class: 'applicationLifecycle',
    activity,
    attributes: { app: { name, vendor_name: 'Countersign' } },
  };
}

function account(activity: string, subject: string): Parts {
  return { class: 'accountChange', activity, attributes: { user: userOf(subject) } };
}

/** Somebody read the record, or one of its logs. */
function reading(log: string | undefined): Parts {
  return {
    class: 'entityManagement',
    activity: 'Read',
    attributes: {
      entity: {
        ...{ name: log ?? 'record', type_id: 99, type: 'record' },
        ...(log !== undefined && { uid: log }),
      },
    },
  };
}

/** Scopes, or what says that the token has none: `privileges` must be there. */
function wordsOf(scope: unknown): readonly string[] {
  const words = typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [];
  return words.length > 0 ? words : ['none'];
}

/** `system` and its parts are the product itself; the rest is a person or a subject. */
function doerOf(by: string): Record<string, unknown> {
  return by === 'system' || by.startsWith('system:')
    ? { app_name: `countersign ${by}` }
    : { user: userOf(by) };
}
