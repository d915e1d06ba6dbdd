import { hash } from 'node:crypto';
import { type FoundCheckpoint, revealByOpenings } from '@countersign/audit';
import { type EvidenceEntry, formatEvidence } from '@countersign/ledger';
import { decodeEvent, type Event, encodeEvent, ModelError } from '@countersign/model';

/** Where an event stands. */
export interface EventPlace {
  readonly log: string;
  readonly index: number;
}

/** Where evidence is taken from: a data folder, or what an authority publishes. */
export interface EvidenceSource {
  /** Proves an entry of a log, under a checkpoint that was kept or the last. */
  prove(
    log: string,
    entry: { readonly index: number; readonly role: string; readonly checkpoint?: string },
  ): Promise<EvidenceEntry>;
  /** A log's key in C2SP's form. */
  verifierKey(log: string): string;
  /** Where the outcome of a decision stands: in the log of that decision, or in its next shard. */
  outcomeOf(log: string, decision: Event): Promise<EventPlace | undefined>;
  /** Where the authority's log tells whose a certificate is, if it did before `event`. */
  credentialOf(thumbprint: string, event: Event): Promise<EventPlace | undefined>;
  /**
   * The first cosigned checkpoint of a log that covers an entry, and the cosigned one of the log of checkpoints that it stands
   * in; nothing without witnesses, or before they came as far.
   */
  enteredOf(
    log: string,
    index: number,
  ): Promise<(FoundCheckpoint & { readonly cosigned: string }) | undefined>;
  /** Where the authority's log told last, until `event`, of an authenticator that fits. */
  authenticatorOf(
    event: Event,
    fits: (told: Event) => Promise<boolean>,
  ): Promise<EventPlace | undefined>;
}

/** An evidence file, and what is in it. */
export interface GatheredEvidence {
  readonly text: string;
  /** Of its entries; the first is `subject`. */
  readonly roles: readonly string[];
}

/** What evidence is wanted of. */
export interface EvidenceRequest {
  readonly log: string;
  readonly index: number;
  /** A signed note that covers the entry; without it, the last. */
  readonly checkpoint?: string;
  /** RFC 3161 responses over the checkpoint, DER. */
  readonly timestamps?: readonly Uint8Array[];
  /** Gives what opens the sealed parts of an entry; without it they stay closed. */
  readonly open?: (entry: Uint8Array) => Promise<readonly Uint8Array[]>;
}

/**
 * Gathers what proves an event: the entry; for a decision its outcome, and the authority's event about the certificate that
 * signed it, and about the person's authenticator that approved it.
 */
export async function gatherEvidence(
  source: EvidenceSource,
  { log, index, checkpoint, timestamps = [], open }: EvidenceRequest,
): Promise<GatheredEvidence> {
  const opened = async (proven: EvidenceEntry): Promise<EvidenceEntry> => {
    if (!open || eventOf(proven.entry)?.sealed === undefined) return proven;
    return { ...proven, openings: await open(proven.entry) };
  };
  const entries: EvidenceEntry[] = [];
  const entered = new Map<string, FoundCheckpoint & { readonly cosigned: string }>();
  const logs = new Set<string>();
  /** Proves an entry under a checkpoint that witnesses cosigned, if there is one, or else under the last. */
  const prove = async (place: EventPlace, role: string, kept = ''): Promise<EvidenceEntry> => {
    const cosigned = kept === '' ? await source.enteredOf(place.log, place.index) : undefined;
    const note = kept || cosigned?.note;
    if (cosigned) entered.set(cosigned.note, cosigned);
    logs.add(place.log);
    const asked = { index: place.index, role, ...(note !== undefined && { checkpoint: note }) };
    return await opened(await source.prove(place.log, asked));
  };
  const add = async (place: EventPlace | undefined, role: string): Promise<void> => {
    if (place !== undefined) entries.push(await prove(place, role));
  };
  const subject = await prove({ log, index }, 'subject', checkpoint);
  entries.push({ ...subject, timestamps });
  const sealed = eventOf(subject.entry);
  const event = sealed && revealByOpenings(sealed, subject.openings ?? []).event;
  if (event?.kind === 'decision') {
    await add(await source.outcomeOf(log, event), 'outcome');
    const { credentialId } = event.assertion ?? {};
    if (credentialId !== undefined) {
      // What was said last of it before the event: that it was withdrawn is told, too. It is a person's, so it is sealed.
      const fits = async (told: Event): Promise<boolean> => {
        const openings = told.sealed && open ? await open(encodeEvent(told)) : [];
        const { event: plain } = revealByOpenings(told, openings);
        return plain.kind === 'administration' && plain.detail?.['credentialId'] === credentialId;
      };
      await add(await source.authenticatorOf(event, fits), 'authenticator');
    }
    const { certificate } = event.signature ?? {};
    if (certificate !== undefined) {
      const thumbprint = hash('sha256', Buffer.from(certificate, 'base64'), 'base64url');
      await add(await source.credentialOf(thumbprint, event), 'credential');
    }
  }
  let number = 0;
  for (const { index: at, cosigned } of entered.values()) {
    number += 1;
    const role = number === 1 ? 'entered' : `entered-${number}`;
    const asked = { index: at, role, checkpoint: cosigned };
    entries.push(await source.prove(CHECKPOINTS, asked));
    logs.add(CHECKPOINTS);
  }
  const verifierKeys = [...new Set([...logs].map((each) => source.verifierKey(each)))];
  return {
    text: formatEvidence({ entries, verifierKeys }),
    roles: entries.map(({ role }) => role),
  };
}

/** What the log of checkpoints is called beside the others. */
export const CHECKPOINTS = 'checkpoints';

/** Whether an event tells that the certificate of a thumbprint is somebody's. */
export function isCredential(event: Event, thumbprint: string, before: Event): boolean {
  return (
    event.kind === 'administration' &&
    (event.action === 'svid-issued' || event.action === 'certificate-registered') &&
    event.at <= before.at &&
    event.detail?.['thumbprint'] === thumbprint
  );
}

/** Whether an event registers or withdraws an authenticator, not after another. */
export function isAuthenticator(event: Event, before: Event): boolean {
  return (
    event.kind === 'administration' &&
    AUTHENTICATOR_ACTIONS.includes(event.action) &&
    event.at <= before.at
  );
}

/** The actions of such events. */
export const AUTHENTICATOR_ACTIONS: readonly string[] = [
  'credential-registered',
  'credential-withdrawn',
];

/** Whether an event is the outcome of a decision in the same log, or in another shard of it. */
export function isOutcome(event: Event, decision: Event): boolean {
  const isLater = event.origin !== decision.origin || event.seq > decision.seq;
  return event.kind === 'outcome' && event.id === decision.id && isLater;
}

/** What an entry says; nothing for what is no event. */
export function eventOf(bytes: Uint8Array): Event | undefined {
  try {
    return decodeEvent(bytes);
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}
