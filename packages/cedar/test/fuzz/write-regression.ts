import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { policyText } from './generate/make-policies.ts';
import { namesOf } from './generate/make-requests.ts';
import type { World } from './generate/make-world.ts';
import { withExactNumbers } from './oracle.ts';
import type { Outcome } from './outcome.ts';

/**
 * Writes a world as a test of the official format: `NAME.json` with `.cedar`, `.entities.json` and, if there is
 * a schema, `.cedarschema` beside it. Policies are renamed by their places, as the format wants.
 *
 * @param folder what the paths in the test are relative to; the files go into `regressions` below it
 * @param expected what the official engine answers; a request that it refuses is left out
 */
export function writeRegression(
  world: World,
  { folder, name, expected }: { folder: string; name: string; expected: readonly Outcome[] },
): string {
  const places = new Map(world.policies.map(({ id }, place) => [id, `policy${place}`]));
  const place = (id: string) => places.get(id) ?? id;
  const at = (end: string) => `regressions/${name}${end}`;
  const test = {
    policies: at('.cedar'),
    entities: at('.entities.json'),
    ...(world.schema !== undefined && { schema: at('.cedarschema') }),
    ...(world.links.length > 0 && {
      templateLinks: world.links.map(({ id, template, values }) => ({
        templateId: place(template),
        newId: id,
        values,
      })),
    }),
    requests: world.requests.flatMap((request, index) => {
      const outcome = expected[index];
      if (outcome?.kind !== 'answer') return [];
      return {
        description: `request ${index}`,
        ...namesOf(request),
        context: withExactNumbers(request.context),
        validateRequest: request.validateRequest,
        decision: outcome.decision,
        reason: outcome.reasons.map(place).sort(),
        errors: outcome.errors.map(({ policy }) => place(policy)).sort(),
      };
    }),
  };
  mkdirSync(join(folder, 'regressions'), { recursive: true });
  const write = (end: string, text: string) => writeFileSync(join(folder, at(end)), `${text}\n`);
  write('.cedar', world.policies.map(policyText).join('\n'));
  write('.entities.json', JSON.stringify(withExactNumbers(world.entities as never), undefined, 1));
  if (world.schema !== undefined) write('.cedarschema', world.schema);
  write('.json', JSON.stringify(test, undefined, 1));
  return join(folder, at('.json'));
}
