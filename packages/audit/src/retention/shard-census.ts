import { type LogDisk, type NoteVerifier, type TreeHead, verifyLog } from '@countersign/ledger';
import { EVIDENCE_CLASS } from '@countersign/model';
import { AuditError } from '../audit-error.ts';
import { closingOf, eventIn } from '../shards/shard-events.ts';

/** Events of one class in a shard. */
export interface ClassCount {
  readonly class: string;
  readonly count: number;
  /** By their own times: ms since the epoch. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** What stands in a closed shard. */
export interface ShardCensus {
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** In the order of names. */
  readonly classes: readonly ClassCount[];
  /** Whether its last event says that it goes on elsewhere. */
  readonly isClosed: boolean;
}

/**
 * Reads a shard whole and counts its events by class. An event that names none, and an entry that is no event, count as
 * `evidence`. Every entry is proven: about 30 µs each.
 *
 * @param options `atLeast`: trees that it must hold
 * @throws {AuditError} `ERR_AUDIT_SHARD_UNSOUND` for a shard with a fault: nobody may remove what does not verify
 */
export async function takeCensus(
  disk: LogDisk,
  options: { readonly verifiers: readonly NoteVerifier[]; readonly atLeast?: readonly TreeHead[] },
): Promise<ShardCensus> {
  const classes = new Map<string, { count: number; fromMs: number; toMs: number }>();
  let isClosed = false;
  let at = 0;
  const { origin, size, root, problems } = await verifyLog(disk, {
    ...options,
    problemsMax: 100,
    onEntry({ bytes }) {
      const event = eventIn(bytes);
      at = event?.at ?? at;
      isClosed = event !== undefined && closingOf(event) !== undefined;
      const name = event?.retention ?? EVIDENCE_CLASS;
      const found = classes.get(name) ?? { count: 0, fromMs: at, toMs: at };
      classes.set(name, {
        count: found.count + 1,
        fromMs: Math.min(found.fromMs, at),
        toMs: Math.max(found.toMs, at),
      });
    },
  });
  const problem = problems.find(({ code }) => code !== 'torn');
  if (problem) {
    const { code, detail, file, offset } = problem;
    throw new AuditError(
      'ERR_AUDIT_SHARD_UNSOUND',
      `could not count a shard: found ${code} in '${file}' at byte ${offset}: ${detail}`,
    );
  }
  const counts = [...classes].map(([name, count]) => ({ class: name, ...count }));
  return {
    ...{ origin, size, root, isClosed },
    classes: counts.toSorted((a, b) => (a.class < b.class ? -1 : 1)),
  };
}
