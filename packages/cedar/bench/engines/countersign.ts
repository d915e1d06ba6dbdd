import {
  type CedarAnswer,
  type CedarEntity,
  type CedarRequest,
  createCedarEngine,
  createEntityStore,
  layer,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { OURS } from '../report.ts';
import type { Workload } from '../workloads/workload.ts';
import type { Engine } from './engine.ts';
import { inProcess } from './in-process.ts';

/** Ours: each world is a store of its own; what comes with a request lies over an empty one. */
export async function countersign(workload: Workload): Promise<Engine> {
  const engine = createCedarEngine({ startThread: startNodeThread });
  const set = await engine.load(workload.policies, workload.schema);
  await engine.close();
  const nothing = createEntityStore();
  const questions = workload.worlds.flatMap((world) => {
    const store = createEntityStore();
    store.putAll(world.entities.map(set.parseEntity));
    return world.questions.map(({ request, entities }) => ({
      store,
      parsed: set.parseRequest(request),
      request,
      entities,
      text: JSON.stringify({ request, entities }),
    }));
  });
  const at = (index: number) => {
    const question = questions[index];
    if (question === undefined) throw new Error(`could not decide: found no question ${index}`);
    return question;
  };
  const withEntities = (request: CedarRequest, entities: readonly CedarEntity[]): CedarAnswer =>
    set.authorize(request, layer(nothing, entities.map(set.parseEntity)));
  const parsed = (index: number) => {
    const question = at(index);
    return set.authorize(question.parsed, question.store);
  };
  return inProcess({
    name: OURS,
    count: questions.length,
    modes: {
      parsed,
      context(index) {
        const question = at(index);
        return set.authorize(question.request, question.store);
      },
      objects(index) {
        const question = at(index);
        return withEntities(question.request, question.entities);
      },
      text(index) {
        const { request, entities } = JSON.parse(at(index).text) as {
          request: CedarRequest;
          entities: CedarEntity[];
        };
        return withEntities(request, entities);
      },
    },
    answer(index) {
      const { decision, reasons, errors } = parsed(index);
      return { decision, reasons, errors: errors.length };
    },
  });
}
