import { keepText } from '@countersign/model';
import type { AppliedRetention, ShownPlan } from '../authority/record/retention.ts';
import { type Arguments, EXIT, type Io } from '../command-line/command.ts';
import { authorityOf, print } from '../commands/options.ts';
import { printable } from './printable.ts';

/** Shows what retention asks for, or does it. */
export async function runRetention(args: Arguments, io: Io): Promise<number> {
  const client = authorityOf(args, io);
  const path = '/v1/record/retention';
  if (!args.flag('apply')) {
    const plan = await client.call<ShownPlan>('GET', path);
    print(io, args, plan, planLines(plan).join('\n'));
    return plan.shards.some(({ state }) => state === 'unsound') ? EXIT.negative : EXIT.ok;
  }
  const applied = await client.call<AppliedRetention>('POST', path);
  const { plan, removed, left, destroyed } = applied;
  print(
    io,
    args,
    applied,
    [
      ...(removed.length > 0 ? removed.map((name) => `removed  ${name}`) : ['nothing was removed']),
      ...destroyed.map((name) => `removed  keys ${name}`),
      ...left.map(({ name, detail }) => `LEFT     ${name}: ${printable(detail)}`),
      ...planLines(plan),
    ].join('\n'),
  );
  const isUnsound = plan.shards.some(({ state }) => state === 'unsound');
  return left.length > 0 || isUnsound ? EXIT.negative : EXIT.ok;
}

function planLines({ shards, keys, years, holds, removed, classes }: ShownPlan): readonly string[] {
  return [
    ...classes.map(
      ({ name, keep, basis }) => `class    ${name}: ${keepText(keep)} (${printable(basis)})`,
    ),
    ...shards.flatMap(shardLines),
    ...keys.map(
      ({ period, class: which, keptUntilMs }) =>
        `keys     ${period}/${which}: ${keptUntilMs === undefined ? 'nothing is left of that quarter' : `their time was over on ${day(keptUntilMs)}`}`,
    ),
    ...years.map((year) => `keys     pseudonyms/${year}: nothing is left of that year`),
    ...holds.map(({ id, reason }) => `hold     ${id}: ${printable(reason)}`),
    ...removed.map(
      ({ name, size, removedAtMs }) =>
        `gone     ${name}: ${size} entries, ${removedAtMs === undefined ? 'not finished' : `removed on ${day(removedAtMs)}`}`,
    ),
  ];
}

function shardLines(shard: ShownPlan['shards'][number]): readonly string[] {
  const { name, state, keptUntilMs, classes, holds, detail } = shard;
  const until =
    keptUntilMs === undefined
      ? ''
      : `: until ${day(keptUntilMs)}${classes === undefined ? ' at least' : ''}`;
  return [
    `${state.padEnd(8)} ${name}${until}${holds.length > 0 ? `, under ${holds.join(', ')}` : ''}${detail ? `: ${printable(detail)}` : ''}`,
    ...(classes ?? []).map(
      ({ class: which, count, keep, basis, keptUntilMs: until, isUnknown }) =>
        `           ${count} ${which}: ${keepText(keep)}, until ${day(until)} (${isUnknown ? 'no such class any more; as the longest: ' : ''}${printable(basis)})`,
    ),
  ];
}

function day(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}
