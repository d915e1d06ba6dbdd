import { type Limits, limitsText } from '@countersign/identity';
import type { Command } from '../command-line/command.ts';
import { EXIT, UsageError } from '../command-line/command.ts';
import { authorityOf, print, reasonOf, shared } from './options.ts';

/** `countersign session list` */
export const sessionListCommand: Command = {
  name: 'session list',
  summary: 'list sessions: whose, since when, revoked or not',
  description:
    'Sessions of clients and of people that have not ended yet; of people also how they signed in.',
  options: { data: shared.data, json: shared.json },
  async run(args, io) {
    const client = authorityOf(args, io);
    const clients = await client.call<readonly SessionRow[]>('GET', '/v1/sessions');
    const people = await client.call<readonly SessionRow[]>('GET', '/v1/person-sessions');
    const sessions = [...people, ...clients].toSorted((a, b) => b.startedAtMs - a.startedAtMs);
    const rows = sessions.map((session) =>
      [
        session.id,
        session.revokedAtMs ? 'revoked' : session.narrowed ? 'narrowed' : 'active ',
        session.subject,
        new Date(session.startedAtMs).toISOString(),
        ...(session.acr ? [session.acr, session.place, session.ip] : []),
        ...(session.providers ? [`by ${session.providers.join(', ')}`] : []),
        ...(session.narrowed ? [`narrowed to ${limitsText(session.narrowed)}`] : []),
      ].join('  '),
    );
    print(io, args, sessions, rows.join('\n') || 'no sessions');
    return EXIT.ok;
  },
};

/** `countersign session end` */
export const sessionEndCommand: Command = {
  name: 'session end',
  summary: 'end a session at once, open streams included',
  operands: '<session>',
  operandsMax: 1,
  description:
    "The same as 'revoke session': its tokens are refused at every enforcement point, and a person has to sign in again.",
  options: {
    data: shared.data,
    json: shared.json,
    reason: { type: 'string', value: 'TEXT', help: 'why; kept in the record (needed)' },
  },
  examples: ["countersign session end 3fG5… --reason 'laptop stolen'"],
  async run(args, io) {
    const [value] = args.operands;
    if (!value) throw new UsageError('found no session, expected one');
    const reason = reasonOf(args);
    const body = { target: 'session', value, reason };
    const answer = await authorityOf(args, io).call('POST', '/v1/revocations', body);
    print(io, args, answer, `ended session ${value}`);
    return EXIT.ok;
  },
};

/** `countersign session narrow` */
export const sessionNarrowCommand: Command = {
  name: 'session narrow',
  summary: 'take from a running session a part of what it is good for',
  operands: '<session>',
  operandsMax: 1,
  description:
    "From the next moment on every enforcement point holds its tokens to what is left, those that are out included: other requests are\nanswered 403, and streams that need more are cut. It lasts as long as the session; narrowing it again leaves what both leave.\n--read-only counts for every operation; --scopes for those whose API description asks for scopes, and in policies. A client that\nmakes a new DPoP key gets no wider session by it; a person who signs in anew does: 'revoke subject' is for that.",
  options: {
    data: shared.data,
    json: shared.json,
    scopes: {
      type: 'string',
      value: 'SCOPES',
      help: "what is left of its scopes, apart by spaces; '' for none",
    },
    'read-only': { type: 'boolean', help: 'nothing that may change state, and no WebSockets' },
    reason: { type: 'string', value: 'TEXT', help: 'why; kept in the record (needed)' },
  },
  examples: [
    "countersign session narrow 3fG5… --read-only --reason 'odd hour, being looked at'",
    "countersign session narrow 3fG5… --scopes 'accounts' --reason 'no payments'",
  ],
  async run(args, io) {
    const [session] = args.operands;
    const [text, readOnly] = [args.text('scopes'), args.flag('read-only')];
    if (!session) throw new UsageError('found no session, expected one');
    if (text === undefined && !readOnly) {
      throw new UsageError('found nothing to narrow to, expected --scopes or --read-only');
    }
    const reason = reasonOf(args);
    const scopes = text?.split(' ').filter((each) => each !== '');
    const body = { session, ...(scopes && { scopes }), readOnly, reason };
    const answer = await authorityOf(args, io).call<Limits>('POST', '/v1/narrowings', body);
    print(io, args, answer, `narrowed session ${session} to ${limitsText(answer)}`);
    return EXIT.ok;
  },
};

/** `countersign session widen` */
export const sessionWidenCommand: Command = {
  name: 'session widen',
  summary: 'give a session back all that was taken by narrowing it',
  operands: '<session>',
  operandsMax: 1,
  description:
    "What is out of its tokens is good again for all that they say. A client's tokens that were issued meanwhile have the scopes that\nwere left; the next one has all.",
  options: { data: shared.data, json: shared.json },
  async run(args, io) {
    const [session] = args.operands;
    if (!session) throw new UsageError('found no session, expected one');
    await authorityOf(args, io).call('DELETE', `/v1/narrowings/${encodeURIComponent(session)}`);
    print(io, args, { widened: true, session }, `widened session ${session}`);
    return EXIT.ok;
  },
};

interface SessionRow {
  readonly narrowed?: Limits;
  readonly acr?: string;
  readonly providers?: readonly string[];
  readonly place?: string;
  readonly ip?: string;
  readonly id: string;
  readonly subject: string;
  readonly startedAtMs: number;
  readonly revokedAtMs?: number | null;
}
