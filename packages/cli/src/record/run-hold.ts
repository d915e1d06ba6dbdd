import type { LegalHold } from '@countersign/audit';
import type { ShownPlan } from '../authority/record/retention.ts';
import { type Arguments, EXIT, type Io, UsageError } from '../command-line/command.ts';
import { authorityOf, print } from '../commands/options.ts';
import { momentOf } from '../find/moment.ts';
import { nameOfCopied } from './find-logs.ts';
import { printable } from './printable.ts';

const PATH = '/v1/record/holds';

/** Puts a hold. */
export async function runHoldAdd(args: Arguments, io: Io): Promise<number> {
  const [reason] = args.operands;
  if (!reason) throw new UsageError('found no REASON, expected the case that it is for');
  const moment = (name: string): number | undefined => {
    const text = args.text(name);
    return text === undefined ? undefined : momentOf(name, text, io.now());
  };
  const [fromMs, toMs] = [moment('from'), moment('to')];
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) {
    throw new UsageError('found --from not before --to, expected a time between them');
  }
  const log = args.text('log');
  const client = authorityOf(args, io);
  const hold = await client.call<LegalHold>('POST', PATH, {
    reason,
    ...(log !== undefined && { log: nameOfCopied(log) }),
    ...textOption('class', args),
    ...textOption('subject', args),
    ...(fromMs !== undefined && { fromMs }),
    ...(toMs !== undefined && { toMs }),
  });
  const { shards } = await client.call<ShownPlan>('GET', '/v1/record/retention');
  const held = shards.filter(({ holds }) => holds.includes(hold.id)).map(({ name }) => name);
  print(io, args, hold, `${hold.id} is in force, on ${held.join(', ') || 'nothing'}`);
  if (held.length === 0) {
    io.err(
      `no shard that is here has what ${hold.id} is on; look at --log, --class, --from and --to if one should\n`,
    );
  }
  return EXIT.ok;
}

/** Lists holds. */
export async function runHoldList(args: Arguments, io: Io): Promise<number> {
  const answer = await authorityOf(args, io).call<{ holds: LegalHold[] }>('GET', PATH);
  print(io, args, answer, answer.holds.map(holdLine).join('\n') || 'no hold is in force');
  return EXIT.ok;
}

/** Lifts a hold. */
export async function runHoldLift(args: Arguments, io: Io): Promise<number> {
  const [id] = args.operands;
  if (!id) throw new UsageError('found no ID, expected that of a hold: hold-1');
  const path = `${PATH}/${encodeURIComponent(id)}`;
  const hold = await authorityOf(args, io).call<LegalHold>('DELETE', path);
  print(io, args, hold, `${hold.id} is lifted`);
  return EXIT.ok;
}

function textOption(name: 'class' | 'subject', args: Arguments): Record<string, string> {
  const text = args.text(name);
  return text === undefined ? {} : { [name]: text };
}

function holdLine({ id, reason, by, sinceMs, scope }: LegalHold): string {
  const { class: which, log, fromMs, toMs, subject } = scope;
  const parts = [
    which !== undefined && `class ${which}`,
    log !== undefined && `log ${log}`,
    fromMs !== undefined && `from ${new Date(fromMs).toISOString()}`,
    toMs !== undefined && `to ${new Date(toMs).toISOString()}`,
  ].filter((part) => part !== false);
  const on = parts.length > 0 ? parts.join(', ') : 'everything';
  const about = subject === undefined ? '' : `, about ${subject}`;
  return printable(`${id}  ${new Date(sinceMs).toISOString()}  ${by}  on ${on}${about}: ${reason}`);
}
