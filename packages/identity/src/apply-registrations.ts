import type { Clock, Registration } from '@countersign/model';
import type { FactLog } from '@countersign/state';
import { certificateChanges, certificatesOf } from './certificate-changes.ts';
import type { Recorder } from './new-event.ts';
import type { CutOffs } from './partners/cut-offs.ts';
import type { Applied, RegisteredEntity, Registry } from './registry.ts';
import {
  NO_CHANGE,
  type RegistrationChange,
  type WrittenRegistrations,
} from './written-registrations.ts';

/** What the bank registers from now on, in one change of facts; every part of it is an event. */
export async function applyRegistrations(
  {
    registrations,
    entities,
    by = 'system',
    written = NO_CHANGE,
  }: {
    readonly registrations: readonly Registration[];
    readonly entities: readonly RegisteredEntity[];
    readonly by?: string;
    /** What this changes of the registrations that were made by API. */
    readonly written?: RegistrationChange;
  },
  room: {
    readonly factLog: FactLog;
    readonly registry: Registry;
    readonly cutOffs: CutOffs;
    readonly writtenRegistrations: WrittenRegistrations;
    /** What the people who answer for them make of registrations: suspended, or another's. */
    inForce(registrations: readonly Registration[]): Promise<readonly Registration[]>;
    tellChange(): void;
    readonly record: Recorder;
    readonly now: Clock;
  },
): Promise<Applied> {
  const { factLog, registry, cutOffs, record, now } = room;
  const before = certificatesOf(factLog.all());
  const owned = await room.inForce(registrations);
  const newcomers = await cutOffs.newcomers(registrations);
  const applied = await registry.apply(
    owned.map((each) => unlessEnded(each, now())),
    entities,
    {
      puts: newcomers.puts,
      async also(transaction) {
        await newcomers.also(transaction);
        await room.writtenRegistrations.change(transaction, written, { by, atMs: now() });
      },
    },
  );
  for (const { value: target, reason, untilMs } of newcomers.puts) {
    const detail = { reason, untilMs };
    await record({ kind: 'administration', action: 'subject-revoked', by, target, detail });
  }
  // Who may attest whom is in no fact.
  room.tellChange();
  // One event each: evidence of a request shows with it whose key signed.
  for (const change of certificateChanges(before, certificatesOf(factLog.all()))) {
    const { action, subject: target, detail } = change;
    await record({ kind: 'administration', action, by, target, detail });
  }
  const changes = [
    ...written.puts.map(({ id }) => ['identity-registered', id] as const),
    ...written.removes.map((id) => ['identity-unregistered', id] as const),
  ];
  for (const [action, id] of changes) {
    const target = `spiffe://${factLog.trustDomain}/${id}`;
    await record({ kind: 'administration', action, by, target });
  }
  await record({
    kind: 'administration',
    action: 'registrations-applied',
    by,
    detail: { ...applied },
  });
  return applied;
}

/** A registration that has ended is one that is disabled. */
function unlessEnded(registration: Registration, nowMs: number): Registration {
  const { expiresMs = Number.POSITIVE_INFINITY } = registration;
  return expiresMs > nowMs ? registration : { ...registration, enabled: false };
}
