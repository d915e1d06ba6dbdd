import {
  type AttestedProcess,
  type Entry,
  isEntitled,
  type Selectors,
} from '@countersign/identity/attestation';
import {
  type Bundle,
  parseBundle,
  parseSpiffeId,
  SpiffeError,
  type WorkloadChange,
  type WorkloadSource,
  type WorkloadX509Svid,
} from '@countersign/spiffe';
import type { HeldJwtSvids } from './held-jwt-svids.ts';
import type { HeldSvids } from './held-svids.ts';
import { NodeBusy, NodeRefusal, type ToldState } from './node-authority.ts';

/** Who is at the other end of a workload's connection. */
export interface NodeCaller {
  /** The process, where the kernel tells of it. */
  readonly process?: AttestedProcess;
  readonly selectors: Selectors;
}

/** Who gets which identity on this node, by the entries that the authority told last. */
export interface NodeSource extends WorkloadSource<NodeCaller> {
  /** Takes a new state, and tells every open stream. */
  take(state: ToldState): void;
  /** Takes every identity away: the authority refuses this node. */
  forget(): void;
  /** Tells every open stream that something may have changed. */
  changed(): void;
  entries(): readonly Entry[];
}

/** Makes the source of a node's Workload API. Each answer looks again whether the process is who it was. */
export function createNodeSource(options: {
  readonly held: () => HeldSvids;
  readonly heldJwts: () => HeldJwtSvids;
  readonly trustDomain: string;
  readonly now: () => number;
}): NodeSource {
  const { held, heldJwts, trustDomain, now } = options;
  const listeners = new Map<(change?: WorkloadChange) => void, NodeCaller>();
  let told:
    | {
        readonly entries: readonly Entry[];
        readonly bundle: Bundle;
        readonly federated: ReadonlyMap<string, Bundle>;
      }
    | undefined;
  const changed = (): void => {
    for (const listener of listeners.keys()) listener();
  };
  /** As `changed`; whoever loses one of these identities is told without delay. */
  const changedWithout = (removed: readonly Entry[]): void => {
    for (const [listener, { selectors }] of listeners) {
      listener({ isUrgent: removed.some((entry) => isEntitled(entry.selectors, selectors)) });
    }
  };

  /** @throws {SpiffeError} `ERR_SPIFFE_WORKLOAD_UNAVAILABLE` before the authority told anything */
  async function entriesOf(caller: NodeCaller): Promise<readonly Entry[]> {
    if (!told) throw unavailable('the authority told nothing yet');
    if (caller.process && !(await isAlive(caller.process))) return [];
    return told.entries.filter(
      ({ selectors, expiresMs = Number.POSITIVE_INFINITY }) =>
        expiresMs > now() && isEntitled(selectors, caller.selectors),
    );
  }

  return {
    async x509Svids(caller) {
      const entries = await entriesOf(caller);
      const svids = await Promise.all(
        entries.map(async ({ spiffeId, hint }): Promise<WorkloadX509Svid | undefined> => {
          const svid = await refusedIsNone(() => held().get(spiffeId));
          return svid && { ...svid, ...(hint !== undefined && { hint }) };
        }),
      );
      return svids.filter((svid) => svid !== undefined);
    },
    async jwtSvids(caller, { audiences, spiffeId }) {
      const entries = (await entriesOf(caller)).filter(
        (entry) => spiffeId === undefined || entry.spiffeId === spiffeId.uri,
      );
      const tokens = await Promise.all(
        entries.map(async (entry) => {
          const token = await refusedIsNone(() => heldJwts().get(entry.spiffeId, audiences));
          if (token === undefined) return undefined;
          const { hint } = entry;
          return {
            spiffeId: parseSpiffeId(entry.spiffeId),
            token,
            ...(hint !== undefined && { hint }),
          };
        }),
      );
      return tokens.filter((token) => token !== undefined);
    },
    async bundles(caller) {
      const entries = await entriesOf(caller);
      if (entries.length === 0 || !told) return undefined;
      const wanted = new Set(entries.flatMap(({ federatesWith = [] }) => federatesWith));
      const { federated } = told;
      return {
        own: told.bundle,
        federated: [...wanted].sort().flatMap((name) => federated.get(name) ?? []),
      };
    },
    onChange(caller, listener) {
      listeners.set(listener, caller);
      return () => void listeners.delete(listener);
    },
    take({ entries, bundle, federated = {}, refusedAuthorities = [] }) {
      const before = told;
      told = {
        entries,
        bundle: parseBundle(bundle, { trustDomain }),
        federated: bundlesByName(federated, trustDomain),
      };
      const left = new Set(entries.map(({ spiffeId }) => spiffeId));
      held().retain(left);
      heldJwts().retain(left);
      heldJwts().retainTrusted(new Set(told.bundle.jwtAuthorities.map(({ keyId }) => keyId)));
      held().retainTrusted(told.bundle.x509Authorities, refusedAuthorities);
      // An authority that is trusted no more is taken away from everybody.
      if (before && hasLost(before.bundle, told.bundle)) {
        changedWithout(before.entries);
        return;
      }
      changedWithout((before?.entries ?? []).filter(({ spiffeId }) => !left.has(spiffeId)));
    },
    forget() {
      if (!told) return;
      const before = told.entries;
      told = { ...told, entries: [] };
      held().retain(new Set());
      heldJwts().retain(new Set());
      changedWithout(before);
    },
    changed,
    entries: () => told?.entries ?? [],
  };
}

/** Looks once for all who ask at the same time: after a change that is each stream of the process. */
function isAlive(process: AttestedProcess): Promise<boolean> {
  const known = looking.get(process);
  if (known) return known;
  const look = process.isAlive().finally(() => looking.delete(process));
  looking.set(process, look);
  return look;
}
const looking = new WeakMap<AttestedProcess, Promise<boolean>>();

/** Each apart, under the name that the authority gives it; none of them is ever ours. */
function bundlesByName(
  federated: Readonly<Record<string, string>>,
  own: string,
): ReadonlyMap<string, Bundle> {
  return new Map(
    Object.entries(federated)
      .filter(([name]) => name !== own)
      .map(([name, text]) => [name, parseBundle(text, { trustDomain: name })]),
  );
}

/** Whether an authority of the bundle before is in the next one no more. */
function hasLost(before: Bundle, next: Bundle): boolean {
  return before.x509Authorities.some(
    (known) => !next.x509Authorities.some((der) => Buffer.compare(known, der) === 0),
  );
}

/** What the authority refuses, the workload does not have; what it does not answer may come yet. */
async function refusedIsNone<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof NodeRefusal) return undefined;
    if (error instanceof NodeBusy) throw exhausted(error);
    throw unavailable((error as Error).message, error);
  }
}

function exhausted(cause: NodeBusy): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_EXHAUSTED',
    'could not serve workload: found it asked for too often, expected it again later',
    { cause },
  );
}

function unavailable(found: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_UNAVAILABLE',
    `could not serve workload: found ${found}, expected the authority`,
    cause === undefined ? undefined : { cause },
  );
}
