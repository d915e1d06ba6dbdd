// The program of the worker thread. It may be killed by what it parses, and is then replaced.
import { parentPort } from 'node:worker_threads';
import type { PolicySet as WasmPolicySet } from '@cedar-policy/cedar-wasm/nodejs';
import type { CedarProblem, PolicySource } from '../engine.ts';
import { entityLiterals } from './entity-literals.ts';
import { instantiateCedarWasm } from './instance.ts';
import { hasNestedLookUps } from './nested-look-ups.ts';
import {
  type ParsedPolicy,
  type ParseJob,
  type ParseReply,
  type ParseStep,
  SCHEMA_STEP,
  VALIDATION_STEP,
} from './parse-job.ts';
import { toProblem } from './problems.ts';

const cedar = instantiateCedarWasm();

parentPort?.on('message', (job: ParseJob) => {
  try {
    reply({ kind: 'parsed', ...parse(job) });
  } catch (error) {
    // Whatever wasm threw (out of bounds, stack exhausted), the instance is poisoned from here on.
    reply({ kind: 'died', message: error instanceof Error ? error.message : String(error) });
  }
});
reply({ kind: 'ready' });

function parse(job: ParseJob): { policies: ParsedPolicy[]; problems: CedarProblem[] } {
  const at = (step: ParseStep) => Atomics.store(job.progress, 0, step);
  at(SCHEMA_STEP);
  const problems = parseSchema(job.schema);
  const isSchemaGood = problems.length === 0;

  const policies: ParsedPolicy[] = [];
  const good: { readonly source: PolicySource; readonly index: number }[] = [];
  for (const [index, source] of job.policies.entries()) {
    at(index);
    const parsed = parsePolicy(source);
    if (Array.isArray(parsed)) {
      problems.push(...parsed);
    } else {
      policies.push(parsed);
      good.push({ source, index });
    }
  }
  if (!isSchemaGood) return { policies, problems };

  if (job.oneByOne) {
    for (const { source, index } of good) {
      at(job.policies.length + index);
      problems.push(...validate([source], job.schema));
    }
  } else {
    at(VALIDATION_STEP);
    const sources = good.map(({ source }) => source);
    problems.push(...validate(sources, job.schema));
  }
  return { policies, problems };
}

function parseSchema(schema: string): CedarProblem[] {
  const answer = cedar.checkParseSchema(schema);
  if (answer.type === 'success') return [];
  return answer.errors.map((error) =>
    toProblem(error, { code: 'ERR_CEDAR_SCHEMA_INVALID', text: schema }),
  );
}

function parsePolicy({ id, text }: PolicySource): ParsedPolicy | CedarProblem[] {
  const answer = cedar.policyToJson(text);
  if (answer.type === 'failure') {
    return answer.errors.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_POLICY_INVALID', text, policy: id }),
    );
  }
  return {
    id,
    effect: answer.json.effect,
    annotations: readAnnotations(answer.json.annotations ?? {}),
    entityLiterals: entityLiterals(answer.json),
    hasNestedLookUps: hasNestedLookUps(answer.json),
  };
}

/** An annotation without a value is `null` in Cedar's JSON, whatever its types say. */
function readAnnotations(annotations: { readonly [name: string]: string | null }) {
  return Object.entries(annotations).map(([name, value]) => [name, value ?? ''] as const);
}

function validate(sources: readonly PolicySource[], schema: string): CedarProblem[] {
  const policies: WasmPolicySet = {
    staticPolicies: Object.fromEntries(sources.map(({ id, text }) => [id, text])),
  };
  const answer = cedar.validate({ schema, policies });
  if (answer.type === 'failure') {
    return answer.errors.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_POLICY_INVALID', text: '' }),
    );
  }
  const texts = new Map(sources.map(({ id, text }) => [id, text]));
  const from =
    (severity: 'error' | 'warning') =>
    ({ policyId, error }: (typeof answer.validationErrors)[number]) =>
      toProblem(error, {
        code: 'ERR_CEDAR_POLICY_INVALID',
        text: texts.get(policyId) ?? '',
        policy: policyId,
        severity,
      });
  return [
    ...answer.validationErrors.map(from('error')),
    ...answer.validationWarnings.map(from('warning')),
    ...answer.otherWarnings.map((error) =>
      toProblem(error, { code: 'ERR_CEDAR_SCHEMA_INVALID', text: schema, severity: 'warning' }),
    ),
  ];
}

function reply(message: ParseReply): void {
  parentPort?.postMessage(message);
}
