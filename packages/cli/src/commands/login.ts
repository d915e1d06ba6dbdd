import type { ProviderLink } from '@countersign/identity';
import { type Command, EXIT, UsageError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { subjectUri, trustDomainOf } from '../subject-uri.ts';
import { authorityOf, print, reasonOf, shared } from './options.ts';

function lineOf({ subject, provider, sub, linkedAtMs, lastLoginAtMs }: ProviderLink): string {
  const at = (ms: number) => new Date(ms).toISOString();
  return [printable(subject), provider, printable(sub), at(linkedAtMs), at(lastLoginAtMs)].join(
    '  ',
  );
}

/** `countersign login links` */
export const loginLinksCommand: Command = {
  name: 'login links',
  summary: 'list whose account at an identity provider is whose: since when, and last used',
  operands: '[person]',
  operandsMax: 1,
  description:
    'An account is linked to a person at the first sign-in, and no other account of that provider is theirs from then on.\nThe person is a SPIFFE ID or its path, such as human/alice; without one all links are listed.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign login links human/alice'],
  async run(args, io) {
    const [person] = args.operands;
    const client = authorityOf(args, io);
    const query = person
      ? `?subject=${encodeURIComponent(subjectUri(person, await trustDomainOf(client)))}`
      : '';
    const links = await client.call<readonly ProviderLink[]>('GET', `/v1/login-links${query}`);
    print(io, args, links, links.map(lineOf).join('\n') || 'no accounts are linked');
    return EXIT.ok;
  },
};

/** `countersign login unlink` */
export const loginUnlinkCommand: Command = {
  name: 'login unlink',
  summary: "take a person's account at an identity provider from them, with its sessions",
  operands: '<person>',
  operandsMax: 1,
  description:
    'For a person who has another account there now, or an account that has become another person’s. Sessions that stand on it end at once.\nThe next account that signs in with the name of the person is linked: look first whose that is.',
  options: {
    data: shared.data,
    json: shared.json,
    provider: { type: 'string', value: 'NAME', help: 'at this identity provider only' },
    reason: { type: 'string', value: 'TEXT', help: 'why; kept in the record (needed)' },
  },
  examples: [
    "countersign login unlink human/alice --reason 'new account after the merger, CHG-77'",
  ],
  async run(args, io) {
    const [person] = args.operands;
    if (!person) throw new UsageError('found no person, expected one');
    const [reason, provider] = [reasonOf(args), args.text('provider')];
    const client = authorityOf(args, io);
    const subject = subjectUri(person, await trustDomainOf(client));
    const done = await client.call<{ links: readonly ProviderLink[]; sessions: number }>(
      'POST',
      '/v1/login-links/unlink',
      { subject, reason, ...(provider !== undefined && { provider }) },
    );
    const { links, sessions } = done;
    const what = links.map((each) => `unlinked ${each.provider} ${printable(each.sub)}`).join('\n');
    print(io, args, done, `${what}\nended ${sessions} sessions`);
    return EXIT.ok;
  },
};

/** `countersign login end` */
export const loginEndCommand: Command = {
  name: 'login end',
  summary: 'end all sessions that stand on an identity provider, open streams included',
  operands: '<provider>',
  operandsMax: 1,
  description:
    'For a provider that is not to be believed any more: first take it out of countersign.yaml and apply that, or people come by it again.\nSessions that a passkey stepped up stand on it, too. Who came by a passkey alone stays signed in.',
  options: {
    data: shared.data,
    json: shared.json,
    reason: { type: 'string', value: 'TEXT', help: 'why; kept in the record (needed)' },
  },
  examples: ["countersign login end staff --reason 'taken over, INC-9'"],
  async run(args, io) {
    const [provider] = args.operands;
    if (!provider) throw new UsageError('found no identity provider, expected its name');
    const reason = reasonOf(args);
    const body = { provider, reason };
    const done = await authorityOf(args, io).call<{ sessions: number }>(
      'POST',
      '/v1/login-providers/end',
      body,
    );
    print(io, args, done, `ended ${done.sessions} sessions by ${provider}`);
    return EXIT.ok;
  },
};
