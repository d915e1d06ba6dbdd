import type { CedarEngine } from '@countersign/cedar';
import type { PolicyBundle } from '@countersign/policy';
import type { FactMessage } from '@countersign/state';
import { checkBundle, checkFacts, type Standing } from './check-message.ts';
import { createDecisionPoint } from './create-decision-point.ts';
import { DecisionError } from './decision-error.ts';
import { type Refusal, readLine } from './feed-line.ts';
import type { Replica, ReplicaChange, ReplicaOptions } from './replica.ts';
import { type Marks, NO_MARKS, openReplicaFolder, type ReplicaFolder } from './replica-folder.ts';

/** Beats come every second; this often one is kept. */
const BEAT_KEPT_EVERY_MS = 5000;
/** Changes and bytes kept after a snapshot before the authority is asked for another. */
const CHANGES_MAX = 5000;
const FACT_BYTES_COMPACT = 64 * 1024 * 1024;
/** Lines that may wait to be taken; a follower sends one at a time. */
const WAITING_MAX = 64;

type Acceptance = { readonly taken: true } | ({ readonly taken: false } & Refusal);

/**
 * Opens a replica. What its folder holds is verified again, line by line, as if it came over the
 * network; facts that do not verify to the end are not used at all.
 *
 * An authority whose fact log was restored from a backup says sequences that this replica has passed:
 * they are refused until its folder is removed by hand.
 *
 * @throws {DecisionError} `ERR_DECISION_DISK` when the folder cannot be read; its `accept` throws it
 *   too when a line was applied and could not be kept, and `ERR_DECISION_CLOSED`,
 *   `ERR_DECISION_OVERLOADED` beyond 64 lines waiting
 */
export async function openReplica(
  options: ReplicaOptions & { readonly engine: CedarEngine },
): Promise<Replica> {
  const { anchors, now, onRefusal } = options;
  const point = createDecisionPoint({ engine: options.engine });
  const { facts } = point;
  const folder = options.folder === undefined ? undefined : await openReplicaFolder(options.folder);
  const listeners = new Set<(change: ReplicaChange) => void>();

  // Owned by the chain of lines: only the line that is being taken changes it.
  let marks: Marks = NO_MARKS;
  let changesKept = 0;
  let beatKeptAtMs = 0;
  /** True when the facts' file is behind memory, or too long: only a snapshot mends either. */
  let wantsSnapshot = false;
  let isClosed = false;
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  if (folder) await reopen(folder);

  async function reopen(from: ReplicaFolder): Promise<void> {
    const kept = await from.read();
    marks = kept.marks;
    const refusal = kept.facts.map(reopenFacts).find((each) => each !== undefined);
    const refused = refusal ?? rolledBack();
    if (refused) {
      facts.replace([], { sequence: 0, asOfMs: 0 });
      wantsSnapshot = true;
      report(refused);
    } else {
      changesKept = kept.facts.length;
      if (kept.beat !== undefined) reopenBeat(kept.beat);
    }
    if (kept.policy !== undefined) await reopenPolicy(kept.policy);
  }

  function reopenFacts(line: string): Refusal | undefined {
    const read = readLine(line, anchors);
    if ('refusal' in read) return read;
    if (read.kind !== 'facts')
      return { refusal: 'malformed', detail: 'found a bundle among facts' };
    const refusal = checkFacts(read.message, standing(NO_MARKS));
    if (!refusal) applyFacts(read.message);
    return refusal;
  }

  /** Older files put in the place of these verify as well as these; the marks tell. */
  function rolledBack(): Refusal | undefined {
    if (facts.sequence >= marks.factSequence) return undefined;
    const detail = `found facts ${facts.sequence} on disk, expected ${marks.factSequence} or later`;
    return { refusal: 'sequence-older', detail };
  }

  function reopenBeat(line: string): void {
    const read = readLine(line, anchors);
    if ('refusal' in read) {
      report(read);
    } else if (read.kind === 'facts' && read.message.kind === 'beat') {
      const { message } = read;
      // A beat from before the last change says nothing new.
      if (message.sequence !== facts.sequence || message.atMs < facts.asOfMs) return;
      const refusal = checkFacts(message, standing(NO_MARKS));
      if (refusal) report(refusal);
      else applyFacts(message);
    }
  }

  async function reopenPolicy(line: string): Promise<void> {
    const read = readLine(line, anchors);
    if ('refusal' in read) return report(read);
    if (read.kind !== 'policy') {
      return report({ refusal: 'malformed', detail: 'found facts in the place of a bundle' });
    }
    const refusal =
      checkBundle(read.bundle, marks, standing(marks)) ?? (await install(read.bundle));
    if (refusal) report(refusal);
    else raiseMarks();
  }

  async function take(line: string): Promise<Acceptance> {
    if (isClosed) throw closed();
    const read = readLine(line, anchors);
    if ('refusal' in read) return refuse(read);
    return read.kind === 'facts' ? takeFacts(read.message, line) : takeBundle(read.bundle, line);
  }

  async function takeFacts(message: FactMessage, line: string): Promise<Acceptance> {
    const refusal = checkFacts(message, standing(marks));
    if (refusal) return refuse(refusal);
    if (message.kind === 'beat' && folder && wantsSnapshot) {
      // Not the authority's fault, so no alarm: a follower answers it by asking for a snapshot.
      const detail = 'the facts on disk are to be replaced, expected a snapshot';
      return { taken: false, refusal: 'sequence-gap', detail };
    }
    // In memory first: a revocation is in force even when the disk is full.
    applyFacts(message);
    raiseMarks();
    if (message.kind !== 'beat') announceFacts(message);
    if (folder) await keepFacts(message, line, folder);
    return { taken: true };
  }

  async function takeBundle(bundle: PolicyBundle, line: string): Promise<Acceptance> {
    const refusal = checkBundle(bundle, marks, standing(marks));
    if (refusal) return refuse(refusal);
    if (point.bundle?.sequence === bundle.sequence) return { taken: true };
    const invalid = await install(bundle);
    if (invalid) return refuse(invalid);
    if (isClosed) throw closed();
    raiseMarks();
    announce({ kind: 'bundle', bundle });
    if (folder) {
      await folder.replacePolicy(line);
      await folder.replaceMarks(marks);
    }
    return { taken: true };
  }

  function standing(floor: Marks): Standing {
    return {
      trustDomain: anchors.trustDomain,
      nowMs: now(),
      factSequence: facts.sequence,
      factSequenceMin: floor.factSequence,
      asOfMsMin: Math.max(facts.asOfMs, floor.asOfMs),
    };
  }

  function applyFacts(message: FactMessage): void {
    if (message.kind === 'snapshot') {
      facts.replace(message.facts, { sequence: message.sequence, asOfMs: message.atMs });
    } else if (message.kind === 'change') facts.apply(message);
    else facts.vouch(message.atMs);
  }

  async function install(bundle: PolicyBundle): Promise<Refusal | undefined> {
    try {
      await point.install(bundle);
      return undefined;
    } catch (error) {
      if (!(error instanceof DecisionError)) throw error;
      return { refusal: 'policy-invalid', detail: error.message };
    }
  }

  async function keepFacts(message: FactMessage, line: string, to: ReplicaFolder): Promise<void> {
    if (message.kind === 'beat') {
      const elapsedMs = now() - beatKeptAtMs;
      // A clock that was set back must not silence the beats.
      if (elapsedMs >= 0 && elapsedMs < BEAT_KEPT_EVERY_MS) return;
      await to.replaceBeat(line);
      await to.replaceMarks(marks);
      beatKeptAtMs = now();
      return;
    }
    if (message.kind === 'snapshot') {
      wantsSnapshot = true;
      await to.replaceFacts(line);
      await to.replaceMarks(marks);
      wantsSnapshot = false;
      changesKept = 0;
      return;
    }
    // INVARIANT: the file is a snapshot and every change after it; behind a gap nothing is appended.
    if (wantsSnapshot) return;
    wantsSnapshot = true;
    await to.appendChange(line);
    changesKept += 1;
    wantsSnapshot = changesKept >= CHANGES_MAX || to.factBytes >= FACT_BYTES_COMPACT;
  }

  function raiseMarks(): void {
    marks = {
      factSequence: Math.max(marks.factSequence, facts.sequence),
      asOfMs: Math.max(marks.asOfMs, facts.asOfMs),
      bundleSequence: point.bundle?.sequence ?? marks.bundleSequence,
      bundleVersion: point.bundle?.version ?? marks.bundleVersion,
    };
  }

  function announceFacts(message: Exclude<FactMessage, { kind: 'beat' }>): void {
    if (message.kind === 'snapshot') {
      announce({ kind: 'facts', change: 'snapshot' });
    } else {
      const { sequence, atMs, puts, removes } = message;
      announce({ kind: 'facts', change: { sequence, atMs, puts, removes } });
    }
  }

  function announce(change: ReplicaChange): void {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        // Its bug must neither keep the others from hearing nor the line from being kept.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  function refuse(refusal: Refusal): Acceptance {
    report(refusal);
    return { taken: false, ...refusal };
  }

  function report({ refusal, detail }: Refusal): void {
    onRefusal?.(refusal, detail);
  }

  return {
    point,
    accept(line) {
      if (waiting === WAITING_MAX) {
        const message = `cannot take line: found ${waiting} waiting, expected fewer`;
        return Promise.reject(new DecisionError('ERR_DECISION_OVERLOADED', message));
      }
      waiting += 1;
      const taking = last
        .then(() => take(line))
        .finally(() => {
          waiting -= 1;
        });
      last = taking.catch(() => undefined);
      return taking;
    },
    cursor: () => ({
      // 0 asks for a snapshot.
      factSequence: wantsSnapshot ? 0 : facts.sequence,
      bundleSequence: point.bundle?.sequence ?? 0,
    }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await last;
      point.release();
      await folder?.close();
    },
  };
}

function closed(): DecisionError {
  return new DecisionError('ERR_DECISION_CLOSED', 'cannot take line: found the replica closed');
}
