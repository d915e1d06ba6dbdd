import { type Fact, type FactChange, factKey } from '@countersign/model';
import { DecisionError } from './decision-error.ts';
import type { FactView } from './decision-point.ts';

/** Facts in memory, changed only as the authority says. */
export interface FactStore extends FactView {
  /**
   * Applies the next change.
   *
   * @throws {DecisionError} `ERR_DECISION_SEQUENCE` when it is another one; nothing is changed then
   */
  apply(change: FactChange): void;
  /** Puts all facts in the place of those that were. */
  replace(facts: Iterable<Fact>, at: { readonly sequence: number; readonly asOfMs: number }): void;
  /** The authority vouches for the facts as they are. */
  vouch(asOfMs: number): void;
}

/** Makes an empty store: sequence 0, never vouched for. */
export function createFactStore(): FactStore {
  let facts = new Map<string, Fact>();
  let kinds = new Map<Fact['kind'], Map<string, Fact>>();
  let subjects = new Map<string, Set<string>>();
  let devices = new Map<string, Set<string>>();
  let sequence = 0;
  let asOfMs = 0;

  function put(fact: Fact): void {
    const key = factKey(fact);
    remove(key);
    facts.set(key, fact);
    const ofKind = kinds.get(fact.kind) ?? new Map();
    kinds.set(fact.kind, ofKind.set(key, fact));
    for (const [index, thumbprint] of claimsOf(fact)) {
      const ids = index.get(thumbprint) ?? new Set();
      index.set(thumbprint, ids.add((fact as { id: string }).id));
    }
  }

  function remove(key: string): void {
    const fact = facts.get(key);
    if (!fact) return;
    facts.delete(key);
    kinds.get(fact.kind)?.delete(key);
    for (const [index, thumbprint] of claimsOf(fact)) {
      const ids = index.get(thumbprint);
      ids?.delete((fact as { id: string }).id);
      if (ids?.size === 0) index.delete(thumbprint);
    }
  }

  /** What a fact says is its subject's or its device's alone. */
  function claimsOf(fact: Fact): readonly (readonly [Map<string, Set<string>>, string])[] {
    if (fact.kind === 'subject') return credentialsOf(fact).map((each) => [subjects, each]);
    if (fact.kind !== 'device' || fact.keyThumbprint === undefined) return [];
    return [[devices, fact.keyThumbprint]];
  }

  function subjectOf(credential: string): string | undefined {
    return theOnly(subjects.get(credential));
  }

  const get = (key: string) => facts.get(key);
  const find = <K extends Fact['kind']>(kind: K, key: string) => {
    const fact = facts.get(key);
    return fact?.kind === kind ? (fact as Extract<Fact, { kind: K }>) : undefined;
  };

  return {
    get sequence() {
      return sequence;
    },
    get asOfMs() {
      return asOfMs;
    },
    get,
    subject: (id) => find('subject', `subject ${id}`),
    subjectOfCertificate: subjectOf,
    subjectOfSpiffeId: subjectOf,
    device: (id) => find('device', `device ${id}`),
    deviceOfKey: (thumbprint) => theOnly(devices.get(thumbprint)),
    risk: (subject) => find('risk', `risk ${subject}`)?.level ?? 'unknown',
    revocation(target: string, values: string | readonly string[], nowMs: number) {
      for (const value of typeof values === 'string' ? [values] : values) {
        const fact = find('revocation', `revocation ${target} ${value}`);
        if (fact && nowMs <= fact.untilMs) return fact;
      }
      return undefined;
    },
    narrowing(session, nowMs) {
      // Asked on every request, and there is seldom one at all.
      if (!kinds.get('narrowing')?.size) return undefined;
      const fact = find('narrowing', `narrowing ${session}`);
      return fact && nowMs <= fact.untilMs ? fact : undefined;
    },
    byKind<K extends Fact['kind']>(kind: K) {
      return (kinds.get(kind)?.values() ?? []) as Iterable<Extract<Fact, { kind: K }>>;
    },
    apply(change) {
      if (change.sequence !== sequence + 1) {
        throw new DecisionError(
          'ERR_DECISION_SEQUENCE',
          `cannot apply change: found sequence ${change.sequence}, expected ${sequence + 1}`,
        );
      }
      for (const key of change.removes) remove(key);
      for (const fact of change.puts) put(fact);
      sequence = change.sequence;
      asOfMs = change.atMs;
    },
    replace(all, at) {
      facts = new Map();
      kinds = new Map();
      subjects = new Map();
      devices = new Map();
      for (const fact of all) put(fact);
      sequence = at.sequence;
      asOfMs = at.asOfMs;
    },
    vouch(at) {
      asOfMs = at;
    },
  };
}

/** Two that claim one certificate, SPIFFE ID or key: neither is it. */
function theOnly(ids: ReadonlySet<string> | undefined): string | undefined {
  return ids?.size === 1 ? ids.values().next().value : undefined;
}

/** What maps to a subject; a thumbprint is base64url, so that it is never a SPIFFE ID. */
function credentialsOf(fact: Extract<Fact, { kind: 'subject' }>): readonly string[] {
  return fact.spiffeIds ? [...fact.certificates, ...fact.spiffeIds] : fact.certificates;
}
