import { createMongoAbility, type MongoAbility, subject } from '@casl/ability';
import { caslRules, caslSubject } from '../translations/casl.ts';
import { type PlainQuestion, plainQuestions } from '../translations/plain.ts';
import type { Workload } from '../workloads/workload.ts';
import type { Answer, Engine } from './engine.ts';
import { inProcess } from './in-process.ts';

/**
 * CASL's `can`: rules and what they are asked about are resident. It has no hierarchy and no types, so that each
 * entity comes with the list of its ancestors, and comparisons of two attributes are worked out beforehand. On the
 * bank set all policies are rules of one ability; in the paper's workloads each principal has an ability of its own.
 */
export function casl(workload: Workload): Engine {
  const isShared = workload.name.startsWith('bank-');
  const asked = workload.worlds.flatMap((world) => {
    const abilities = new Map<string, MongoAbility>();
    const abilityOf = ({ principal }: PlainQuestion): MongoAbility => {
      const key = isShared ? '' : principal.uid;
      const known = abilities.get(key);
      if (known !== undefined) return known;
      const ability = createMongoAbility([...caslRules(workload, principal)]);
      abilities.set(key, ability);
      return ability;
    };
    return plainQuestions(world).map((question) => ({
      ability: abilityOf(question),
      action: question.action.slice('Action:'.length),
      about: subject(question.resource.type, { ...caslSubject(question) }),
    }));
  });
  const decide = (index: number): boolean => {
    const question = asked[index];
    if (question === undefined) throw new Error(`could not decide: found no question ${index}`);
    return question.ability.can(question.action, question.about);
  };
  return inProcess({
    name: 'casl',
    count: asked.length,
    modes: { parsed: decide },
    answer: (index): Answer => ({ decision: decide(index) ? 'allow' : 'deny' }),
  });
}
