import type { Signals, SourceReport, StreamReport } from '@countersign/identity';
import { type Command, EXIT, UsageError } from '../command-line/command.ts';
import { oneOf } from '../command-line/words.ts';
import { printable } from '../record/printable.ts';
import { authorityOf, print, shared } from './options.ts';

type Status = Awaited<ReturnType<Signals['status']>>;

/** `countersign signals list` */
export const signalsListCommand: Command = {
  name: 'signals list',
  summary: 'list who is told of changes of trust, and who tells of them',
  description:
    'Asks the authority that runs on this data folder: each stream with what waits in it, and each transmitter that is listened to.\nExit code 1 when something does not get through.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign signals list', 'countersign signals list --json'],
  async run(args, io) {
    const found = await authorityOf(args, io).call<Status>('GET', '/v1/signals');
    const lines = [
      ...found.streams.map(streamLine),
      ...found.sources.map(sourceLine),
      ...(found.trouble
        ? [`TROUBLE  the log is not read: ${printable(found.trouble.detail)}`]
        : []),
    ];
    print(io, args, found, lines.join('\n') || 'no stream, and no transmitter');
    const isBad =
      found.trouble !== undefined ||
      [...found.streams, ...found.sources].some(({ trouble }) => trouble !== undefined);
    return isBad ? EXIT.negative : EXIT.ok;
  },
};

/** `countersign signals set` */
export const signalsSetCommand: Command = {
  name: 'signals set',
  summary: 'enable, pause or disable a stream of signals',
  operands: 'STREAM STATUS',
  operandsMax: 2,
  description:
    'STATUS is enabled, paused (what happens waits) or disabled (what waits is dropped). The receiver is told, and the record.',
  options: {
    data: shared.data,
    reason: { type: 'string', value: 'WHY', help: 'why; the receiver is told, too' },
    json: shared.json,
  },
  examples: ["countersign signals set 4fzq8n paused --reason 'maintenance at the receiver'"],
  async run(args, io) {
    const [id, word] = args.operands;
    if (!id || !word) throw new UsageError('found too few words, expected STREAM and STATUS');
    const status = oneOf('STATUS', word, ['enabled', 'paused', 'disabled'] as const);
    const reason = args.text('reason');
    const path = `/v1/signals/streams/${encodeURIComponent(id)}/status`;
    const answer = await authorityOf(args, io).call<object>('POST', path, {
      ...{ status, ...(reason !== undefined && { reason }) },
    });
    print(io, args, answer, `${id} is ${status}`);
    return EXIT.ok;
  },
};

/** `countersign signals verify` */
export const signalsVerifyCommand: Command = {
  name: 'signals verify',
  summary: 'send a verification event down a stream',
  operands: 'STREAM',
  operandsMax: 1,
  description:
    "The receiver gets an event that says nothing but that the stream works; 'signals list' tells whether it was taken.",
  options: { data: shared.data, json: shared.json },
  examples: ['countersign signals verify 4fzq8n'],
  async run(args, io) {
    const [id] = args.operands;
    if (!id) throw new UsageError('found no STREAM, expected the id of one');
    const path = `/v1/signals/streams/${encodeURIComponent(id)}/verify`;
    const answer = await authorityOf(args, io).call<object>('POST', path);
    print(io, args, answer, `${id}: the verification is on its way`);
    return EXIT.ok;
  },
};

function streamLine(stream: StreamReport): string {
  const { id, client, method, endpoint, status, reason, waiting, oldestWaitingMs, trouble } =
    stream;
  const waits =
    waiting === 0
      ? 'nothing waits'
      : `${waiting} ${waiting === 1 ? 'waits' : 'wait'}, the oldest for ${Math.round((oldestWaitingMs ?? 0) / 1000)} s`;
  return printable(
    [
      `to ${client}  ${id}  ${method}${endpoint === undefined ? '' : ` ${endpoint}`}  ${status}${reason === undefined ? '' : ` (${reason})`}: ${waits}`,
      ...(trouble ? [`not taken ${trouble.attempts} times: ${trouble.detail}`] : []),
    ].join('; '),
  );
}

function sourceLine({ name, method, issuer, trouble }: SourceReport): string {
  return printable(
    `from ${name}  ${method}  ${issuer}${trouble ? `; not reached ${trouble.attempts} times: ${trouble.detail}` : ''}`,
  );
}
