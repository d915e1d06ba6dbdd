import type { EvidenceEntry } from '@countersign/ledger';
import { decodeEvent, type Event, ModelError } from '@countersign/model';
import { resourceValue } from '../find/event-terms.ts';
import { revealByOpenings } from '../privacy/reveal-event.ts';

/** What the entries of an evidence file tell happened: how far it is proven is for the checks to say. */
export interface EvidenceStory {
  readonly decision?: {
    readonly effect: string;
    readonly enforced: boolean;
    readonly reason: string;
    readonly evidence: string;
    readonly signatureFault?: string;
  };
  readonly outcome?: {
    readonly status: number;
    readonly forwarded: boolean;
    readonly failure?: string;
  };
  /** The same in words, one line: `POST /payments on Payments::Payment::7 by spiffe://…: permit (policy-permits), evidence E2; answered 201`. */
  readonly words: string;
}

/** Evidence of a request that was refused must not read like evidence of one that was served. */
export function evidenceStory(entries: readonly EvidenceEntry[]): EvidenceStory | undefined {
  const [subject, ...supports] = entries;
  const event = subject && eventOf(subject);
  if (!event) return undefined;
  if (event.kind !== 'decision') return { words: `an event of kind ${event.kind}` };
  const { effect, enforced, reason, evidence = 'E0', signatureFault } = event;
  const found = supports
    .filter(({ role }) => role === 'outcome')
    .map(eventOf)
    .find((each) => each?.id === event.id);
  const outcome = found?.kind === 'outcome' ? found : undefined;
  return {
    decision: { effect, enforced, reason, evidence, ...(signatureFault && { signatureFault }) },
    ...(outcome && {
      outcome: {
        status: outcome.status,
        forwarded: outcome.forwarded,
        ...(outcome.failure && { failure: outcome.failure }),
      },
    }),
    words: `${asked(event)}: ${decided(event, evidence)}; ${answered(outcome)}`,
  };
}

function asked(event: Event & { kind: 'decision' }): string {
  const { method, route, action, subject, caller, resource } = event;
  const what = route ?? action ?? 'a path that no operation has';
  // Whose account it was is what a file with opened names was asked for.
  const on = resource === undefined ? '' : ` on ${resourceValue(resource)}`;
  const by = caller !== undefined && caller !== subject ? ` through ${caller}` : '';
  return `${method ?? 'a request'} ${what}${on} by ${subject ?? 'nobody known'}${by}`;
}

function decided(
  { effect, enforced, reason }: Event & { kind: 'decision' },
  evidence: string,
): string {
  return `${effect} (${reason})${enforced ? '' : ', not enforced'}, evidence ${evidence}`;
}

function answered(outcome: (Event & { kind: 'outcome' }) | undefined): string {
  if (!outcome) return 'outcome unknown';
  const { status, forwarded, failure } = outcome;
  const answer = status === 0 ? 'not answered' : `answered ${status}`;
  const where = forwarded ? 'by the resource' : 'without asking the resource';
  return `${answer} ${where}${failure === undefined ? '' : `, ${failure}`}`;
}

function eventOf({ entry, openings = [] }: EvidenceEntry): Event | undefined {
  try {
    return revealByOpenings(decodeEvent(entry), openings).event;
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}
