import type { OrganisationReport } from '@countersign/identity';
import { type Arguments, type Command, EXIT, UsageError } from '../command-line/command.ts';
import type { CutReport, ProbeReport } from '../partner/cut-partner.ts';
import { shortName } from '../record/event-line.ts';
import { printable } from '../record/printable.ts';
import { authorityOf, print, reasonOf, shared } from './options.ts';

/** `countersign partner list` */
export const partnerListCommand: Command = {
  name: 'partner list',
  summary: 'list the organisations that the bank works with: contract, sponsor, end, subjects',
  description:
    'Asks the authority that runs on this data folder. An organisation is active, cut-off (until it is restored, or since all of its\nsubjects are refused) or ended (its contract is over).',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign partner list', 'countersign partner list --json'],
  async run(args, io) {
    const found = await authorityOf(args, io).call<readonly OrganisationReport[]>(
      'GET',
      '/v1/partners',
    );
    print(io, args, found, found.flatMap(linesOf).join('\n') || 'no organisation has subjects');
    return EXIT.ok;
  },
};

/** `countersign partner cut` */
export const partnerCutCommand: Command = {
  name: 'partner cut',
  summary: 'cut a partner off everywhere at once, and prove it at every edge',
  operands: 'ORGANISATION',
  operandsMax: 1,
  description:
    'All subjects of the organisation are revoked in one change: the next request is refused, open streams are cut, no token is issued.\nEach edge listener where its clients would get in is asked with a token of theirs before and after, by a request that reaches no\nresource: that it is refused afterwards, and after how long, is what this prints. Exit code 1 when that was not seen everywhere.',
  options: {
    data: shared.data,
    reason: { type: 'string', value: 'WHY', help: 'why; it stands in the record' },
    'no-probe': { type: 'boolean', help: 'do not ask the points' },
    json: shared.json,
  },
  examples: ["countersign partner cut ledgerly --reason 'breach reported on 2 March'"],
  async run(args, io) {
    const reason = reasonOf(args);
    const isProbed = !args.flag('no-probe');
    const path = `/v1/partners/${encodeURIComponent(nameOf(args))}/cut`;
    const report = await authorityOf(args, io).call<CutReport>('POST', path, { reason, isProbed });
    const { organisation, revoked, milliseconds, probes, unprobed } = report;
    const lines = [
      `${organisation} is cut off: ${revoked.length} ${revoked.length === 1 ? 'subject' : 'subjects'} revoked within ${milliseconds} ms${revoked.length === 0 ? ' (they were before)' : ''}`,
      ...probes.map(probeLine),
      ...unprobed.map(({ name, why }) => `not asked   ${shortName(name)}: ${why}`),
    ];
    print(io, args, report, lines.map(printable).join('\n'));
    const isProven = probes.every(({ outcome }) => outcome === 'refused' || outcome === 'was-out');
    if (isProbed && probes.length === 0) {
      io.err('no listener was asked: that it is cut off was proved nowhere\n');
      return EXIT.negative;
    }
    return isProven ? EXIT.ok : EXIT.negative;
  },
};

/** `countersign partner restore` */
export const partnerRestoreCommand: Command = {
  name: 'partner restore',
  summary: 'let a partner in again that was cut off',
  operands: 'ORGANISATION',
  operandsMax: 1,
  description:
    'Takes back what cutting it off revoked; a subject that was revoked by itself stays so.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign partner restore ledgerly'],
  async run(args, io) {
    const name = nameOf(args);
    const path = `/v1/partners/${encodeURIComponent(name)}/restore`;
    const answer = await authorityOf(args, io).call<{ readonly reinstated: readonly string[] }>(
      'POST',
      path,
    );
    const names = answer.reinstated.map(shortName).join(', ');
    print(io, args, answer, `${name}: reinstated ${names || 'nobody: none was revoked'}`);
    return EXIT.ok;
  },
};

function nameOf(args: Arguments): string {
  const [name] = args.operands;
  if (!name) throw new UsageError("found no ORGANISATION, expected one of 'partner list'");
  return name;
}

function probeLine({
  listener,
  subject,
  outcome,
  milliseconds,
  before,
  after,
  detail,
}: ProbeReport): string {
  const who = `${listener}: ${shortName(subject)}`;
  switch (outcome) {
    case 'refused':
      return `refused     ${who}: after ${milliseconds} ms, ${after?.status} ${after?.problem}; before ${before?.status} ${before?.problem}`;
    case 'was-out':
      return `was out     ${who}: ${before?.status} ${before?.problem} already before`;
    case 'still-in':
      return `STILL IN    ${who}: ${after?.status} ${after?.problem} after 10 s`;
    default:
      return `NOT REACHED ${who}: ${detail}`;
  }
}

function linesOf(organisation: OrganisationReport): string[] {
  const { name, legalName, sponsor, contract, untilMs, state, subjects } = organisation;
  // `until` is the first moment after the contract's last day.
  const until = new Date(untilMs - 1).toISOString().slice(0, 10);
  return [
    printable(
      `${name.padEnd(20)}  ${state.padEnd(7)}  ${legalName}, ${contract}, until ${until}, ${sponsor}`,
    ),
    ...subjects.map(
      ({ subject, refusal }) =>
        `  ${shortName(subject.id)}${refusal === undefined ? '' : `: gets nothing: ${refusal}`}`,
    ),
  ];
}
