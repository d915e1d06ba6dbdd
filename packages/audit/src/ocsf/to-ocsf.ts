import { leafHash } from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { administrationParts } from './administration-parts.ts';
import { authenticationParts } from './authentication-parts.ts';
import { decisionParts } from './decision-parts.ts';
import { closureParts, outcomeParts } from './exchange-parts.ts';
import { unmappedFields } from './field-use.ts';
import { alarmParts, signalParts } from './finding-parts.ts';
import { composeOcsf, type OcsfEvent, type OcsfParts } from './ocsf-event.ts';

/** What may be said beside the event. */
export interface ToOcsfOptions {
  /** The entry's bytes, as they stand in the log: then the leaf hash is told, which a proof begins with. */
  readonly entry?: Uint8Array;
  /** `metadata.product.version` */
  readonly productVersion?: string;
}

/**
 * Writes an event in OCSF 1.8.0; a pure function, so that the same event is the same bytes each time it is
 * exported. Decisions are API Activity (6003) with the profile `security_control`, outcomes and closures HTTP
 * Activity (4002), authentications Authentication (3002), signals and alarms Detection Finding (2004),
 * administration whatever fits its action, Entity Management (3004) else.
 *
 * `metadata.uid` is `<origin>/<seq>`, `metadata.sequence` the index in the log, `metadata.correlation_uid` the
 * id that decision, outcome and closure share. What OCSF has no word for stands under `unmapped` by the
 * names of the event contract; the Cedar context of a decision is left in the log.
 *
 * @see https://schema.ocsf.io/1.8.0/
 */
export function toOcsf(event: Event, options: ToOcsfOptions = {}): OcsfEvent {
  const parts = partsOf(event);
  const { entry } = options;
  return composeOcsf(
    event,
    {
      ...parts,
      unmapped: {
        ...unmappedFields(event),
        ...parts.unmapped,
        ...(entry !== undefined && { leafHash: Buffer.from(leafHash(entry)).toString('base64') }),
      },
    },
    options,
  );
}

function partsOf(event: Event): OcsfParts {
  switch (event.kind) {
    case 'authentication':
      return authenticationParts(event);
    case 'decision':
      return decisionParts(event);
    case 'outcome':
      return outcomeParts(event);
    case 'closure':
      return closureParts(event);
    case 'administration':
      return administrationParts(event);
    case 'signal':
      return signalParts(event);
    case 'alarm':
      return alarmParts(event);
    default:
      return assertNever(event);
  }
}

function assertNever(event: never): never {
  throw new TypeError(`found an event of kind '${(event as Event).kind}'`);
}
