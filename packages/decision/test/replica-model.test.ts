import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { openReplica, type Replica } from '@countersign/decision';
import { type Fact, factKey } from '@countersign/model';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { ANCHORS, beat, change, snapshot } from './authority.ts';
import { NOON, subjectFact } from './bank.ts';

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

/** A word of an authority that may be out of order, late or early, relative to what is held. */
const word = fc.record({
  kind: fc.constantFrom('snapshot', 'change', 'change', 'beat'),
  /** Beyond the sequence that would be next in order. */
  ahead: fc.constantFrom(0, 0, 0, 0, 1, -1),
  laterMs: fc.constantFrom(0, 1, 5, 5, -1),
  who: fc.constantFrom('human/a', 'human/b', 'human/c'),
  isRemoval: fc.boolean(),
  isRestart: fc.constantFrom(false, false, false, true),
});
type Word = typeof word extends fc.Arbitrary<infer T> ? T : never;

interface Model {
  readonly facts: Map<string, Fact>;
  sequence: number;
  asOfMs: number;
}

/** What a replica must do with a word, written down a second time and as plainly as can be. */
function apply(model: Model, each: Word): { outcome: string; line: Promise<string> } {
  const sequence = Math.max(0, model.sequence + (each.kind === 'change' ? 1 : 0) + each.ahead);
  const atMs = Math.max(NOON, model.asOfMs) + each.laterMs;
  const fact = subjectFact(each.who, { owner: `by ${sequence} at ${atMs}` });
  const edit = each.isRemoval ? { removes: [factKey(fact)] } : { puts: [fact] };
  const line =
    each.kind === 'change'
      ? change(sequence, edit, { atMs })
      : each.kind === 'beat'
        ? beat(sequence, { atMs })
        : snapshot(sequence, [fact], { atMs });
  const isOlder = each.kind === 'change' ? sequence <= model.sequence : sequence < model.sequence;
  const isGap =
    each.kind === 'change'
      ? sequence > model.sequence + 1
      : each.kind === 'beat' && sequence > model.sequence;
  const outcome = isOlder
    ? 'sequence-older'
    : isGap
      ? 'sequence-gap'
      : atMs < model.asOfMs
        ? 'time-older'
        : 'taken';
  if (outcome === 'taken') {
    model.sequence = sequence;
    model.asOfMs = atMs;
    if (each.kind === 'snapshot') model.facts.clear();
    if (each.kind === 'change' && each.isRemoval) model.facts.delete(factKey(fact));
    else if (each.kind !== 'beat') model.facts.set(factKey(fact), fact);
  }
  return { outcome, line };
}

function held({ point: { facts } }: Replica) {
  return {
    sequence: facts.sequence,
    facts: [...facts.byKind('subject')].sort((one, other) => (one.id < other.id ? -1 : 1)),
  };
}

test('whatever the feed says, a replica holds what the model holds, and after a restart too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 16 }), async (words) => {
      const folder = await mkdtemp(join(tmpdir(), 'countersign-replica-'));
      // Every beat is kept: the clock moves on by more than five seconds each time it is asked.
      let now = NOON;
      const refusals: string[] = [];
      const open = () =>
        openReplica({
          anchors: ANCHORS,
          engine,
          folder,
          now: () => (now += 6000),
          onRefusal: (code) => refusals.push(code),
        });
      let replica = await open();
      const model: Model = { facts: new Map(), sequence: 0, asOfMs: 0 };
      for (const each of words) {
        if (each.isRestart) {
          await replica.close();
          refusals.length = 0;
          replica = await open();
          expect(refusals).toEqual([]);
        }
        const { outcome, line } = apply(model, each);
        const result = await replica.accept(await line);
        expect(result.taken ? 'taken' : result.refusal).toBe(outcome);
        const facts = [...model.facts.values()].sort((one, other) =>
          factKey(one) < factKey(other) ? -1 : 1,
        );
        expect(held(replica)).toEqual({ sequence: model.sequence, facts });
        expect(replica.point.facts.asOfMs).toBe(model.asOfMs);
      }
      await replica.close();
      await rm(folder, { recursive: true });
    }),
    { numRuns: 60 },
  );
});
