import type { CedarEngine } from '@countersign/cedar';
import type { AccessRequest, Fact } from '@countersign/model';
import type { PolicyBundle } from '@countersign/policy';
import { cedarContext } from './cedar-context.ts';
import type { DecisionPoint } from './decision-point.ts';
import { evaluate } from './evaluate.ts';
import { createFactStore, type FactStore } from './fact-store.ts';
import { type LoadedBundle, loadBundle } from './load-bundle.ts';

type CedarContext = ReturnType<typeof cedarContext>;

/** A decision point whose knowledge is put in by hand; a replica does it from the feed. */
export interface LocalDecisionPoint extends DecisionPoint {
  readonly facts: FactStore;
  /**
   * Loads a bundle and puts it in force; the one before decides until then, and goes on when this
   * one fails. Bundles installed at the same time come into force in the order of the calls.
   *
   * @throws {DecisionError} `ERR_DECISION_BUNDLE_INVALID`
   * @throws {CedarError} when the engine is closed or overloaded
   */
  install(bundle: PolicyBundle): Promise<void>;
  /** Releases the bundle: every decision after is `policy-missing`. */
  release(): void;
}

/**
 * Makes a decision point without facts and policies: it denies everything.
 *
 * Decisions take their time from the request, so that the same request can be decided again.
 */
export function createDecisionPoint({
  engine,
  facts = createFactStore(),
}: {
  readonly engine: CedarEngine;
  readonly facts?: FactStore;
}): LocalDecisionPoint {
  let loaded: LoadedBundle | undefined;
  let isReleased = false;
  // The record keeps the context that was decided on; it asks right after, with the same request.
  let lastContext:
    | { request: AccessRequest; risk: string; device: Fact | undefined; context: CedarContext }
    | undefined;
  let last: Promise<unknown> = Promise.resolve();

  async function swap(bundle: PolicyBundle): Promise<void> {
    const next = await loadBundle(bundle, engine);
    if (!isReleased) loaded = next;
  }

  function contextOf(request: AccessRequest): CedarContext {
    const risk = facts.risk(request.subject.id);
    const device = request.device && facts.device(request.device.subject.id);
    const known = lastContext;
    if (known?.request === request && known.risk === risk && known.device === device) {
      return known.context;
    }
    const context = cedarContext(request, risk, device);
    lastContext = { request, risk, device, context };
    return context;
  }

  return {
    facts,
    get bundle() {
      return loaded?.bundle;
    },
    install(bundle) {
      const installing = last.then(() => swap(bundle));
      last = installing.catch(() => undefined);
      return installing;
    },
    decide(request) {
      return evaluate({ ...request, context: () => contextOf(request) }, { loaded, facts });
    },
    cedarContext: contextOf,
    release() {
      isReleased = true;
      loaded = undefined;
    },
  };
}
