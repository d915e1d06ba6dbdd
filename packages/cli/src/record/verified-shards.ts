import {
  logOfShard,
  type RecordCarry,
  type ShardChainProblem,
  verifyShardChain,
} from '@countersign/audit';
import { copyName, type FoundLog, nameOfCopied } from './find-logs.ts';
import { type LogVerdict, NO_EVENTS } from './log-verdict.ts';
import type { VerifiedLog } from './verify-logs.ts';

/** Shards that were verified, held against each other: a point's own apart from the authority's copies. */
export class VerifiedShards {
  readonly #groups = new Map<string, VerifiedLog[]>();

  /** What the shard before this one left unfinished, where it is at hand. */
  before(log: FoundLog): { readonly carry?: RecordCarry } {
    const carry = this.#groups.get(groupOf(log))?.at(-1)?.carry;
    return carry === undefined ? {} : { carry };
  }

  add(log: FoundLog, verified: VerifiedLog): void {
    const group = this.#groups.get(groupOf(log)) ?? [];
    this.#groups.set(groupOf(log), [...group, verified]);
  }

  verdicts(): LogVerdict[] {
    return [...this.#groups.values()].flat().map(({ verdict }) => verdict);
  }

  /** With what is wrong between shards, which is told of the one at fault. */
  chained(): LogVerdict[] {
    return [...this.#groups].flatMap(([group, verified]) => {
      const problems = verifyShardChain(verified.map(({ ends }) => ends));
      const told = verified.map(({ verdict, ends }) =>
        withProblems(
          verdict,
          problems.filter(({ origin }) => origin === ends.origin),
        ),
      );
      const known = new Set(verified.map(({ ends }) => ends.origin));
      const missing = problems.filter(({ origin }) => !known.has(origin));
      const isCopy = nameOfCopied(group) !== group;
      const late = missing.filter(({ code }) => isCopy && code === 'shard-unreached');
      return [
        ...told.slice(0, -1),
        ...told.slice(-1).map((last) => ({ ...last, notes: [...last.notes, ...late.map(textOf)] })),
        ...missing
          .filter((problem) => !late.includes(problem))
          .map((problem) => missingShard(problem, group)),
      ];
    });
  }
}

/** `edge`, or `edge (collected)` for the copies. */
function groupOf({ name }: FoundLog): string {
  const own = nameOfCopied(name);
  const log = logOfShard(own);
  return own === name ? log : copyName(log);
}

/** What a copy lacks may be on its way, from a point that has been away since: that is no fault of anybody's. */
function withProblems(verdict: LogVerdict, found: readonly ShardChainProblem[]): LogVerdict {
  const isCopy = nameOfCopied(verdict.name) !== verdict.name;
  const notes = found.filter(({ code }) => isCopy && code === 'shard-short');
  const problems = found.filter((problem) => !notes.includes(problem));
  return {
    ...verdict,
    ok: verdict.ok && problems.length === 0,
    problems: [...verdict.problems, ...problems.map(textOf)],
    notes: [...verdict.notes, ...notes.map(textOf)],
  };
}

function textOf({ code, detail }: ShardChainProblem): string {
  return `${code}: ${detail}`;
}

function missingShard(problem: ShardChainProblem, group: string): LogVerdict {
  const own = problem.origin.slice(problem.origin.indexOf('/') + 1);
  const name = nameOfCopied(group) === group ? own : copyName(own);
  const none = { size: 0, checkpoints: 0, events: NO_EVENTS, unfinished: 0, notes: [] };
  const problems = [textOf(problem)];
  return { name, folder: '', ok: false, keyFrom: 'the log itself', ...none, problems };
}
