import type { Invite, Passkey } from '@countersign/identity';
import {
  type Arguments,
  type Command,
  EXIT,
  type OptionSpec,
  UsageError,
} from '../command-line/command.ts';
import { wholeNumber } from '../command-line/words.ts';
import { printable } from '../record/printable.ts';
import { subjectUri, trustDomainOf } from '../subject-uri.ts';
import { authorityOf, print, shared } from './options.ts';

/** A one-time code for a passkey, as the authority answers it. */
export interface MadeInvite {
  readonly code: string;
  readonly invite: Invite;
  readonly enrolUrl: string;
}

/** How long such a code is good. */
export const inviteTtl: OptionSpec = {
  type: 'string',
  value: 'SECONDS',
  help: 'how long it is good, up to a day (default 3600)',
};

/** What {@link inviteTtl} says, or its default. */
export function inviteTtlOf(args: Arguments): number {
  return wholeNumber(args, 'ttl', { min: 60, max: 86_400 }) ?? 3600;
}

/** The code, where it is typed, until when it is good, and what it waits for. */
export function inviteText({ code, invite, enrolUrl }: MadeInvite): string {
  const until = new Date(invite.expiresAtMs).toISOString();
  const next =
    invite.purpose === 'recovery'
      ? `\nrecovery ${invite.id}: good when an approver has approved it at ${enrolUrl.replace(/enrol$/, 'account')}`
      : '';
  return `${code}\nto be typed at ${enrolUrl} until ${until}${next}`;
}

/** `countersign passkey invite` */
export const passkeyInviteCommand: Command = {
  name: 'passkey invite',
  summary: 'make a one-time code with which a person registers a passkey',
  operands: '<person>',
  operandsMax: 1,
  description:
    'The person is a SPIFFE ID or its path, such as human/alice. The code is printed once; the person types it at /enrol of the\nissuer. Five wrong tries end it. For a person who has, or had, passkeys, and for an approver or administrator when another approver has one,\nit is a recovery: good only after one of authority.login.recoveryApprovers approved it at /account, and what the person had before ends with it.\nGive it to the person whom you see or whose number you know: whoever has the code becomes that person.',
  options: { data: shared.data, json: shared.json, ttl: inviteTtl },
  examples: ['countersign passkey invite human/alice'],
  async run(args, io) {
    const [person] = args.operands;
    if (!person) throw new UsageError('found no person, expected one');
    const ttlSeconds = inviteTtlOf(args);
    const client = authorityOf(args, io);
    const subject = subjectUri(person, await trustDomainOf(client));
    const made = await client.call<MadeInvite>('POST', '/v1/passkey-invites', {
      ...{ subject, ttlSeconds },
    });
    print(io, args, made, inviteText(made));
    return EXIT.ok;
  },
};

/** `countersign passkey list` */
export const passkeyListCommand: Command = {
  name: 'passkey list',
  summary: 'list the passkeys that people sign in with, and recoveries that wait',
  description:
    "Each with its person, the level that it reaches, its model (AAGUID), and whether it still counts. 'credential withdraw' takes one out of use.",
  options: { data: shared.data, json: shared.json },
  async run(args, io) {
    const client = authorityOf(args, io);
    const passkeys = await client.call<readonly Passkey[]>('GET', '/v1/passkeys');
    const recoveries = await client.call<readonly Invite[]>('GET', '/v1/passkey-recoveries');
    const lines = passkeys.map((each) =>
      [
        printable(each.credentialId),
        printable(each.subject),
        each.acr.padEnd(4),
        each.aaguid,
        each.isSynced ? 'synced' : 'device',
        each.disabledReason ?? 'in use',
        printable(each.label),
      ].join('  '),
    );
    const waiting = recoveries.map(
      ({ id, subject, madeBy }) => `recovery ${id} of ${printable(subject)}, by ${madeBy}, waits`,
    );
    const text = [...lines, ...waiting].join('\n') || 'no passkeys';
    print(io, args, { passkeys, recoveries }, text);
    return EXIT.ok;
  },
};
