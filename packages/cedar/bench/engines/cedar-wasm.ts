import {
  preparsePolicySet,
  preparseSchema,
  type StatefulAuthorizationCall,
  statefulIsAuthorized,
} from '@cedar-policy/cedar-wasm/nodejs';
import type { Workload } from '../workloads/workload.ts';
import type { Engine } from './engine.ts';
import { inProcess } from './in-process.ts';

/**
 * The official engine as WebAssembly. Policies and schema are parsed beforehand; it keeps no entities, so that there
 * is no mode in which they are resident.
 */
export function cedarWasm(workload: Workload): Engine {
  // The instance never frees a name but replaces what it stood for.
  good(preparseSchema('bench', workload.schema));
  good(
    preparsePolicySet('bench', {
      staticPolicies: Object.fromEntries(workload.policies.map(({ id, text }) => [id, text])),
    }),
  );
  const calls = workload.worlds
    .flatMap((world) => world.questions)
    .map(({ request, entities }) => {
      const call = {
        ...request,
        entities,
        preparsedSchemaName: 'bench',
        preparsedPolicySetId: 'bench',
        validateRequest: true,
      };
      // Its types know no readonly.
      return call as unknown as StatefulAuthorizationCall;
    });
  const decide = (index: number) => statefulIsAuthorized(calls[index] as StatefulAuthorizationCall);
  return inProcess({
    name: 'cedar-wasm',
    count: calls.length,
    modes: { objects: decide },
    answer(index) {
      const answer = decide(index);
      if (answer.type === 'failure') {
        throw new Error(`could not decide question ${index}: ${answer.errors[0]?.message}`);
      }
      const { decision, diagnostics } = answer.response;
      return {
        decision,
        reasons: diagnostics.reason.toSorted(),
        errors: diagnostics.errors.length,
      };
    },
  });
}

function good(answer: { type: string; errors?: readonly { message: string }[] }): void {
  if (answer.type === 'success') return;
  throw new Error(`could not load into cedar-wasm: ${answer.errors?.[0]?.message}`);
}
