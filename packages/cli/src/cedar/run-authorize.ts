import { type Arguments, EXIT, type Io } from '../command-line/command.ts';
import { answerJson, answerLines, requireAnswer } from './answer-text.ts';
import { loadEntities } from './entities-file.ts';
import { loadPolicies, withEngine } from './open-policies.ts';
import { printAnswer } from './print-answer.ts';
import { readRequest } from './question.ts';

/** Decides one request and tells why; the exit code is the decision. */
export async function runAuthorize(args: Arguments, io: Io): Promise<number> {
  const asked = await readRequest(args, io);
  return await withEngine(async (engine) => {
    const loaded = await loadPolicies(args, io, { engine, what: 'authorize' });
    const entities = await loadEntities(args, io, loaded.set.schema);
    const options = {
      strict: args.flag('strict'),
      validateRequest: !args.flag('no-request-validation'),
    };
    // A question that the schema does not admit has no answer: it is told as such and not as a deny.
    const request = loaded.set.parseRequest(asked, options);
    const answer = loaded.set.authorize(request, entities, options);
    requireAnswer(answer);
    printAnswer(io, args, {
      json: answerJson(answer, loaded),
      lines: answerLines(answer, loaded, options),
    });
    return answer.decision === 'allow' ? EXIT.ok : EXIT.negative;
  });
}
