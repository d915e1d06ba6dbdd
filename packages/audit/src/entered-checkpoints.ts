import {
  LedgerError,
  type LogReport,
  type NoteVerifier,
  nodeDisk,
  openCheckpoint,
  parseCheckpoint,
  type TreeHead,
  verifyLog,
} from '@countersign/ledger';

/** Trees of one log that are held in memory: about 16 MB. */
const HEADS_MAX = 65_536;

/** An entry of a log of checkpoints that is not what it should be. */
export interface EnteredProblem {
  readonly index: number;
  readonly detail: string;
}

/** What a log of checkpoints says of other logs. */
export interface EnteredCheckpoints {
  /** What its own verifier found. Only entries that are proven were read. */
  readonly log: LogReport;
  /**
   * By origin: trees that its log had when they were entered, and must have still (`atLeast` of `verifyLog`). At most
   * 65,536 of each, the largest and the last among them; of more, every second one is left out again and again.
   */
  readonly heads: ReadonlyMap<string, readonly TreeHead[]>;
  /** The first of each origin. */
  readonly problems: readonly EnteredProblem[];
}

/**
 * Reads a log of checkpoints and proves it: what the logs must hold that it tells of. Who rewrites such a log under its
 * own key, cuts it or takes it away is found by this, since the authority's key signed what was entered.
 *
 * @param folder the log of checkpoints
 * @param options `verifiersOf` gives the keys of another log by its origin, or nothing when that is not at hand: then
 *   nobody can tell whether its key signed what was entered
 */
export async function readEnteredCheckpoints(
  folder: string,
  options: {
    readonly verifiers: readonly NoteVerifier[];
    readonly verifiersOf: (origin: string) => readonly NoteVerifier[] | undefined;
    /** A tree that the log of checkpoints itself must hold. */
    readonly atLeast?: TreeHead;
  },
): Promise<EnteredCheckpoints> {
  const { verifiersOf, ...ownOptions } = options;
  const entered = new Map<string, Heads>();
  const problems = new Map<string, EnteredProblem>();
  const log = await verifyLog(nodeDisk(folder), {
    ...ownOptions,
    onEntry({ index, bytes }) {
      const note = Buffer.from(bytes).toString();
      const origin = note.slice(0, note.indexOf('\n'));
      const fault = (error: unknown): void => {
        if (!(error instanceof LedgerError)) throw error;
        if (!problems.has(origin)) problems.set(origin, { index, detail: error.message });
      };
      try {
        // A signature that does not verify is told, and the tree is held against the log all the same.
        const head = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1));
        const heads = entered.get(origin) ?? new Heads();
        entered.set(origin, heads);
        if (!heads.add(head)) return;
      } catch (error) {
        fault(error);
        return;
      }
      const verifiers = verifiersOf(origin);
      if (verifiers === undefined) return;
      try {
        openCheckpoint(note, verifiers);
      } catch (error) {
        fault(error);
      }
    },
  });
  const heads = new Map([...entered].map(([origin, each]) => [origin, each.all()]));
  return { log, heads, problems: [...problems.values()] };
}

/** The trees of one log, thinned out when they become too many. */
class Heads {
  #kept: TreeHead[] = [];
  #largest: TreeHead | undefined;
  #last: TreeHead | undefined;

  /** @returns false for one that was entered just before: after a restart each is entered again */
  add({ size, root }: TreeHead): boolean {
    const last = this.#last;
    if (last?.size === size && Buffer.compare(last.root, root) === 0) return false;
    const head = { size, root };
    this.#last = head;
    if (this.#largest === undefined || this.#largest.size <= size) this.#largest = head;
    this.#kept.push(head);
    // A rewriting shows in every tree from its place up to when it was done: in half of them as well.
    if (this.#kept.length > HEADS_MAX) this.#kept = this.#kept.filter((_, at) => at % 2 === 0);
    return true;
  }

  all(): readonly TreeHead[] {
    const ends = [this.#largest, this.#last].filter((head) => head !== undefined);
    return [...new Set([...this.#kept, ...ends])];
  }
}
