import {
  type CedarUid,
  type EntityStore,
  EntityUid,
  printUid,
  QUERY_LIMITS,
} from '@countersign/cedar';
import { type Arguments, EXIT, type Io, UsageError } from '../command-line/command.ts';
import { wholeNumber } from '../command-line/words.ts';
import { printable } from '../record/printable.ts';
import { loadEntities } from './entities-file.ts';
import { findWho, type WhoQuestion } from './find-who.ts';
import { loadPolicies, withEngine } from './open-policies.ts';
import { exactJson } from './print-answer.ts';
import { readQuestion } from './question.ts';

const LIMIT_DEFAULT = 100;

/** Lists who may, on what one may, or what one may do; to find nobody is a negative answer. */
export async function runWho(args: Arguments, io: Io): Promise<number> {
  const question = await whoQuestion(args, io);
  const limit = wholeNumber(args, 'limit', { min: 1, max: QUERY_LIMITS.hits }) ?? LIMIT_DEFAULT;
  const isAll = args.flag('all');
  return await withEngine(async (engine) => {
    const { set } = await loadPolicies(args, io, { engine, what: 'look' });
    const entities = await loadEntities(args, io, set.schema);
    const hits: CedarUid[] = [];
    let examined = 0;
    let cursor = args.text('cursor');
    do {
      const page = findWho(question, {
        set,
        entities,
        cursor,
        limit: isAll ? QUERY_LIMITS.hits : limit,
        type: args.text('type'),
        strict: args.flag('strict'),
        stop: io.stop,
      });
      hits.push(...page.hits);
      examined += page.examined;
      cursor = page.cursor;
      if (!args.flag('json')) io.out(page.hits.map((uid) => `${named(uid)}\n`).join(''));
    } while (isAll && cursor !== undefined);
    if (args.flag('json')) {
      io.out(`${exactJson({ sought: question.sought, hits, cursor, examined })}\n`);
    } else {
      if (hits.length === 0) {
        io.err(`no ${question.sought} of ${examined} looked at\n`);
        io.err(
          unknownAmong(question, entities)
            .map((uid) => `no entity ${named(uid)}\n`)
            .join(''),
        );
      }
      if (cursor !== undefined) io.err(`more with --cursor '${cursor}'\n`);
    }
    return hits.length > 0 ? EXIT.ok : EXIT.negative;
  });
}

async function whoQuestion(args: Arguments, io: Io): Promise<WhoQuestion> {
  const { principal, action, resource, context } = await readQuestion(args, io);
  if (principal && action && resource) {
    throw new UsageError(
      'found --principal, --action and --resource, expected two of them; cedar authorize asks about three',
    );
  }
  if (principal && resource) {
    if (args.text('type') !== undefined) {
      throw new UsageError('found --type where actions are looked for, expected none');
    }
    return { sought: 'action', known: { principal, resource, context } };
  }
  if (action && resource) return { sought: 'principal', known: { action, resource, context } };
  if (principal && action) return { sought: 'resource', known: { principal, action, context } };
  throw new UsageError('found less than two of --principal, --action and --resource, expected two');
}

/** Whom the question names and the entities do not hold: most often mistyped. */
function unknownAmong({ known }: WhoQuestion, entities: EntityStore): readonly CedarUid[] {
  const named = [
    ...('principal' in known ? [known.principal] : []),
    ...('resource' in known ? [known.resource] : []),
  ];
  return named.filter(({ type, id }) => entities.find(new EntityUid(type, id)) === undefined);
}

function named({ type, id }: CedarUid): string {
  return printable(printUid(new EntityUid(type, id)));
}
