import { CedarError, type CedarErrorCode } from './cedar-error.ts';
import type { CedarEngine, CedarProblem, PolicySet, PolicySource } from './engine.ts';
import { LIMITS } from './limits.ts';
import { loadPolicySet } from './load-policy-set.ts';
import { checkPolicyTexts, checkSchemaText } from './text/check-text.ts';
import { splitPolicies } from './text/split-policies.ts';
import {
  type ParsedPolicy,
  type ParseStep,
  SCHEMA_STEP,
  VALIDATION_STEP,
} from './wasm/parse-job.ts';
import { restartableWorker } from './wasm/restartable-worker.ts';
import { setStore } from './wasm/set-store.ts';

/** Choices of a {@link createCedarEngine}. */
export interface CedarEngineOptions {
  /**
   * How long parsing one policy, the schema, or validating all of them may take before the worker is
   * replaced and the text refused; 10 s unless said otherwise.
   */
  readonly timeoutMs?: number;
}

interface Checked {
  readonly parsed: readonly ParsedPolicy[];
  readonly problems: readonly CedarProblem[];
}

/**
 * Makes an engine that parses in a worker thread and decides on the calling one. Nothing is started
 * before the first call that needs it.
 */
export function createCedarEngine(options: CedarEngineOptions = {}): CedarEngine {
  const worker = restartableWorker(options.timeoutMs ?? 10_000);
  const store = setStore();
  const alive = new Set<PolicySet>();
  let isClosed = false;

  async function check(policies: readonly PolicySource[], schema: string): Promise<Checked> {
    if (isClosed) throw closed();
    const schemaProblems = checkSchemaText(schema);
    const problems = [...schemaProblems, ...checkPolicyTexts(policies)];
    // A schema or a set that is refused as a whole is not parsed at all.
    if (problems.some((problem) => problem.policy === undefined)) return { parsed: [], problems };
    const faulty = new Set(problems.map((problem) => problem.policy));
    let rest = policies.filter((policy) => !faulty.has(policy.id));

    let oneByOne = false;
    for (let deaths = 0; deaths < LIMITS.workerDeaths; deaths += 1) {
      const outcome = await worker.run({ policies: rest, schema, oneByOne });
      if (outcome.kind === 'parsed') {
        return { parsed: outcome.policies, problems: [...problems, ...outcome.problems] };
      }
      if (outcome.step === VALIDATION_STEP) {
        // Together they do not say who; apart they do.
        oneByOne = true;
        continue;
      }
      const culprit = policyAt(outcome.step, rest);
      problems.push(deadly(outcome.message, culprit?.id));
      if (!culprit) return { parsed: [], problems };
      rest = rest.filter((policy) => policy !== culprit);
    }
    problems.push(deadly(`gave up after ${LIMITS.workerDeaths} deaths`));
    return { parsed: [], problems };
  }

  return {
    async split(text) {
      return splitPolicies(text);
    },
    async validate(policies, schema) {
      return (await check(policies, schema)).problems;
    },
    async load(policies, schema) {
      const { parsed, problems } = await check(policies, schema);
      const worst = problems.find((problem) => problem.severity === 'error');
      if (worst) throw refusal(worst, problems);
      if (isClosed) throw closed();
      const set = loadPolicySet(policies, schema, { parsed, store });
      const held: PolicySet = {
        ...set,
        dispose() {
          alive.delete(held);
          set.dispose();
        },
      };
      alive.add(held);
      return held;
    },
    async close() {
      isClosed = true;
      for (const set of alive) set.dispose();
      await worker.close();
    },
  };
}

/** Whose fault a death was: parsed policies count from 0, validated ones on from the last parsed. */
function policyAt(step: ParseStep, policies: readonly PolicySource[]): PolicySource | undefined {
  return step === SCHEMA_STEP ? undefined : policies[step % policies.length];
}

function deadly(message: string, policy?: string): CedarProblem {
  return {
    code: 'ERR_CEDAR_TOO_DEEP',
    severity: 'error',
    message: `parsing ended the worker (${message})`,
    help: 'write it with fewer nested expressions and shorter chains',
    ...(policy !== undefined && { policy }),
  };
}

function refusal(worst: CedarProblem, problems: readonly CedarProblem[]): CedarError {
  const what = worst.policy === undefined ? 'schema or policies' : `policy '${worst.policy}'`;
  const more = problems.filter((problem) => problem.severity === 'error').length - 1;
  const code: CedarErrorCode = worst.code;
  return new CedarError(
    code,
    `cannot load ${what}: ${worst.message}${more > 0 ? ` (and ${more} more)` : ''}`,
    { problems },
  );
}

function closed(): CedarError {
  return new CedarError('ERR_CEDAR_CLOSED', 'cannot load policies: found the engine closed');
}
