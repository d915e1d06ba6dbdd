import type { Person, RecordKeyStore } from '@countersign/audit';
import type { RecordQuestions } from './record-questions.ts';

/**
 * Of these persons, those whom no event names by any pseudonym of theirs: most likely somebody was written otherwise than the
 * record has it. Events about nothing else than a removed shard held are not there to be asked.
 */
export async function unseenPersons(
  persons: readonly Person[],
  options: {
    readonly questions: Pick<RecordQuestions, 'catchUp' | 'index'>;
    readonly recordKeys: Pick<RecordKeyStore, 'pseudonymsOf'>;
  },
): Promise<readonly Person[]> {
  const { questions, recordKeys } = options;
  await questions.catchUp();
  const unseen: Person[] = [];
  for (const person of persons) {
    const names = recordKeys.pseudonymsOf(person);
    const values = [...names, ...names.map((name) => `${person.kind}/${name}`)];
    const fields = ['subject', 'actor', 'caller', 'target', 'resourceId'] as const;
    const page = { order: 'newest', limit: 1 } as const;
    const { count } = await questions.index.ask({ where: [{ fields, values }] }, page);
    if (count === 0) unseen.push(person);
  }
  return unseen;
}
