import { createPolicySet } from './authorize/create-policy-set.ts';
import { CedarError } from './cedar-error.ts';
import type {
  CedarEngine,
  CedarProblem,
  LoadOptions,
  PolicySource,
  SchemaSource,
} from './engine.ts';
import { LIMITS } from './limits.ts';
import { type CheckedPolicies, checkPolicies } from './load/check-policies.ts';
import { resolveSchema } from './schema/resolve-schema.ts';
import { splitPolicies } from './text/split-policies.ts';
import type { StartParseThread } from './wasm/parse-thread.ts';
import { restartableThread } from './wasm/restartable-thread.ts';

/** What a {@link createCedarEngine} needs. */
export interface CedarEngineOptions {
  /** Starts the thread that parses: `startNodeThread` of `@countersign/cedar/node`. */
  readonly startThread: StartParseThread;
  /**
   * How long parsing one policy, resolving the schema, or validating one policy may take before the thread is
   * replaced and the text refused; 10 s unless said otherwise.
   */
  readonly timeoutMs?: number;
}

/**
 * Makes an engine that parses in a thread and decides on the calling one. Nothing is started before the first
 * call that needs it.
 */
export function createCedarEngine({
  startThread,
  timeoutMs = 10_000,
}: CedarEngineOptions): CedarEngine {
  const thread = restartableThread(startThread, timeoutMs);
  let isClosed = false;
  let calls = 0;

  async function check(
    policies: readonly PolicySource[],
    schema: SchemaSource,
    options: LoadOptions,
  ): Promise<CheckedPolicies> {
    if (isClosed) throw closed();
    if (calls === LIMITS.waitingCalls) {
      const message = `cannot parse: found ${calls} calls waiting, expected fewer`;
      throw new CedarError('ERR_CEDAR_OVERLOADED', message);
    }
    calls += 1;
    try {
      return await checkPolicies({ ...options, policies, schema }, thread);
    } finally {
      calls -= 1;
    }
  }

  return {
    async split(text, { ids = 'annotation' } = {}) {
      return splitPolicies(text, { ids });
    },
    async validate(policies, schema, options = {}) {
      return (await check(policies, schema, options)).problems;
    },
    async load(policies, schema, options = {}) {
      const checked = await check(policies, schema, options);
      const { problems } = checked;
      const worst = problems.find((problem) => problem.severity === 'error');
      if (worst) throw refusal(worst, problems);
      if (isClosed) throw closed();
      const resolved =
        checked.resolvedSchema === undefined ? undefined : resolveSchema(checked.resolvedSchema);
      return createPolicySet(
        { policies: checked.policies, schema: resolved },
        { isIndexed: options.isIndexed !== false },
      );
    },
    async close() {
      isClosed = true;
      await thread.close();
    },
  };
}

function refusal(worst: CedarProblem, problems: readonly CedarProblem[]): CedarError {
  const what = worst.policy === undefined ? 'schema or policies' : `policy '${worst.policy}'`;
  const more = problems.filter((problem) => problem.severity === 'error').length - 1;
  return new CedarError(
    worst.code,
    `cannot load ${what}: ${worst.message}${more > 0 ? ` (and ${more} more)` : ''}`,
    { problems },
  );
}

function closed(): CedarError {
  return new CedarError('ERR_CEDAR_CLOSED', 'cannot load policies: found the engine closed');
}
