import type { Clock, Fact } from '@countersign/model';
import { type FactLog, StateError } from '@countersign/state';
import type { Kysely } from 'kysely';
import type { Recorder } from '../new-event.ts';
import type { IdentityTables } from '../tables.ts';

/** Facts in one change: others may append in between, and no change grows with what a node asked for. */
const PIECE_FACTS = 500;
/** Of certificates of one node; about 1 MiB. Facts are shared: what a node asked for must not keep others from being revoked. */
const CERTIFICATES_MAX = 4000;
const REASON = 'handed out by a node that was revoked';
const FOREVER_MS = 8_640_000_000_000_000;
/** As of other revocations of certificates: for clocks that differ. */
const SKEW_MS = 60_000;

/** How many live SVIDs of one workload a node has for the usual lifetime: two, and room for restarts. */
const LIVE_MAX = 16;
/** How long the SVIDs beyond that live. */
const BEYOND_SECONDS = 300;

/**
 * For how long a node's next SVID for a workload may be issued.
 *
 * A node that rotates has two alive, one more for each restart. One that asked for more gets them for five minutes each: nobody is
 * refused for a node that starts again and again, and what has to be revoked with a node stays little.
 */
export async function handedOutSeconds(
  tables: Kysely<IdentityTables>,
  {
    node,
    spiffeId,
    ttlSeconds,
    nowMs,
  }: {
    readonly node: string;
    readonly spiffeId: string;
    readonly ttlSeconds: number;
    readonly nowMs: number;
  },
): Promise<number> {
  const live = await tables
    .selectFrom('svid')
    .select('thumbprint')
    .where('node', '=', node)
    .where('spiffe_id', '=', spiffeId)
    .where('not_after_ms', '>', nowMs)
    .limit(LIVE_MAX)
    .execute();
  return live.length < LIVE_MAX ? ttlSeconds : Math.min(ttlSeconds, BEYOND_SECONDS);
}

/** What became of the SVIDs of a node that was revoked. */
export interface Ended {
  readonly certificates: number;
  /** Workloads that were revoked wholly, since there were too many SVIDs to name each. */
  readonly subjects: readonly string[];
}

interface Live {
  readonly thumbprint: string;
  readonly spiffeId: string;
  readonly endMs: number;
}

/** SVIDs that nodes got for their workloads; whoever had the node had their keys. The callers run these one at a time. */
export class HandedOut {
  readonly #options: HandedOutOptions;

  constructor(options: HandedOutOptions) {
    this.#options = options;
  }

  /**
   * Revokes what is alive of a node that is revoked itself already. They stay revoked when it is reinstated; the workloads get
   * others. Where there are too many, or facts have no room, whole workloads are revoked, with an alarm: those with the
   * most SVIDs, since no node that is well has many of one.
   */
  async revoke(node: string, { by }: { readonly by: string }): Promise<Ended> {
    const { factLog, isRevoked, record } = this.#options;
    const { named, beyond } = withinBudget(await this.#alive(node));
    const told: string[] = [];
    let certificates = 0;
    for (let at = 0; at < named.length; at += PIECE_FACTS) {
      const piece = named.slice(at, at + PIECE_FACTS);
      if (await this.#put(piece.map((live) => this.#certificate(live)))) {
        certificates += piece.length;
        continue;
      }
      beyond.push(...named.slice(at));
      told.push('facts have no room');
      break;
    }
    const subjects = [...new Set(beyond.map(({ spiffeId }) => spiffeId))].filter(
      (id) => factLog.get(`subject ${id}`) !== undefined && !isRevoked('subject', id),
    );
    if (beyond.length === 0) return { certificates, subjects };
    const done: string[] = [];
    for (let at = 0; at < subjects.length; at += PIECE_FACTS) {
      const piece = subjects.slice(at, at + PIECE_FACTS);
      if (!(await this.#put(piece.map((value) => this.#subject(value))))) {
        told.push(`${subjects.length - at} workloads could not be revoked`);
        break;
      }
      done.push(...piece);
    }
    for (const target of done) {
      const detail = { reason: REASON, untilMs: FOREVER_MS };
      await record({ kind: 'administration', action: 'subject-revoked', by, target, detail });
    }
    const why = [
      `${node} holds ${beyond.length} SVIDs beyond those that were revoked each`,
      `${done.length} workloads were revoked: ${done.slice(0, 5).join(' ')}`,
      ...told,
    ];
    const detail = why.join('; ').slice(0, 1000);
    await record({ kind: 'alarm', alarm: 'handed-out-workloads-revoked', detail });
    return { certificates, subjects: done };
  }

  /** Does what an end of this process in between left undone. */
  async complete(): Promise<void> {
    const { tables, now, isRevoked } = this.#options;
    const nodes = await tables()
      .selectFrom('svid')
      .select('node')
      .distinct()
      .where('node', 'is not', null)
      .where('not_after_ms', '>', now())
      .execute();
    for (const { node } of nodes) {
      if (node !== null && isRevoked('subject', node)) await this.revoke(node, { by: 'system' });
    }
  }

  async #alive(node: string): Promise<readonly Live[]> {
    const { tables, now, isRevoked } = this.#options;
    const rows = await tables()
      .selectFrom('svid')
      .select(['thumbprint', 'spiffe_id', 'not_after_ms'])
      .where('node', '=', node)
      .where('not_after_ms', '>', now())
      .execute();
    return rows
      .map(({ thumbprint, spiffe_id: spiffeId, not_after_ms: endMs }) => ({
        ...{ thumbprint, spiffeId, endMs },
      }))
      .filter(
        ({ thumbprint, spiffeId }) =>
          !isRevoked('certificate', thumbprint) && !isRevoked('subject', spiffeId),
      );
  }

  /** Whether there was room. */
  async #put(puts: readonly Fact[]): Promise<boolean> {
    try {
      await this.#options.factLog.append({ puts });
      return true;
    } catch (error) {
      if (error instanceof StateError && error.code === 'ERR_STATE_FACTS_TOO_LARGE') return false;
      throw error;
    }
  }

  #certificate({ thumbprint, endMs }: Live): Fact {
    const atMs = this.#options.now();
    return {
      ...{ kind: 'revocation', target: 'certificate', value: thumbprint, reason: REASON, atMs },
      untilMs: endMs + SKEW_MS,
    };
  }

  #subject(value: string): Fact {
    const atMs = this.#options.now();
    return {
      ...{ kind: 'revocation', target: 'subject', value, reason: REASON, atMs },
      untilMs: FOREVER_MS,
    };
  }
}

/** Workloads with few SVIDs first: what one of them asked for costs no other. */
function withinBudget(alive: readonly Live[]): { readonly named: Live[]; readonly beyond: Live[] } {
  const byWorkload = [...Map.groupBy(alive, ({ spiffeId }) => spiffeId).values()].sort(
    (a, b) => a.length - b.length,
  );
  const named: Live[] = [];
  const beyond: Live[] = [];
  for (const group of byWorkload) {
    const isRoom = named.length + group.length <= CERTIFICATES_MAX;
    (isRoom ? named : beyond).push(...group);
  }
  return { named, beyond };
}

interface HandedOutOptions {
  readonly factLog: FactLog;
  readonly tables: () => Kysely<IdentityTables>;
  readonly record: Recorder;
  readonly now: Clock;
  readonly isRevoked: (target: 'certificate' | 'subject', value: string) => boolean;
}
