import { explain } from '@countersign/cedar';
import { type Arguments, EXIT, type Io } from '../command-line/command.ts';
import { requireAnswer } from './answer-text.ts';
import { loadEntities } from './entities-file.ts';
import { explanationJson, explanationLines } from './explanation-text.ts';
import { loadPolicies, withEngine } from './open-policies.ts';
import { printAnswer } from './print-answer.ts';
import { readRequest } from './question.ts';
import { raisableAttributes } from './raise-option.ts';

/** Decides one request and tells how the answer came about; the exit code is the decision. */
export async function runExplain(args: Arguments, io: Io): Promise<number> {
  const request = await readRequest(args, io);
  const raise = raisableAttributes(args);
  return await withEngine(async (engine) => {
    const loaded = await loadPolicies(args, io, { engine, what: 'explain' });
    const { set } = loaded;
    const entities = await loadEntities(args, io, set.schema);
    const options = {
      strict: args.flag('strict'),
      validateRequest: !args.flag('no-request-validation'),
    };
    // Refuses what the schema does not admit: there would be nothing to explain.
    set.parseRequest(request, options);
    const explanation = explain(set, request, entities, { ...options, raise });
    requireAnswer(explanation);
    printAnswer(io, args, {
      json: explanationJson(explanation, loaded),
      lines: explanationLines(explanation, loaded, options),
    });
    return explanation.decision === 'allow' ? EXIT.ok : EXIT.negative;
  });
}
