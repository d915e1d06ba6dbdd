import type { Command } from '../command-line/command.ts';
import { EXIT, UsageError } from '../command-line/command.ts';
import { nearest } from '../command-line/nearest.ts';
import { subjectUri, trustDomainOf } from '../subject-uri.ts';
import { authorityOf, print, shared } from './options.ts';

const REVOCABLE = ['session', 'subject', 'token', 'certificate'] as const;

/** `countersign revoke` */
export const revokeCommand: Command = {
  name: 'revoke',
  summary: 'end a session, subject, token or certificate at once, open streams included',
  operands: '<session|subject|token|certificate> <value>',
  operandsMax: 2,
  description:
    'Takes effect at every enforcement point within moments: the next request is refused, open streams and\nconnections that stand on it are closed. --reinstate takes it back.',
  options: {
    data: shared.data,
    json: shared.json,
    reason: { type: 'string', value: 'TEXT', help: 'why; kept in the record (needed to revoke)' },
    reinstate: { type: 'boolean', help: 'take the revocation back' },
  },
  examples: ["countersign revoke subject partner/ledgerly --reason 'contract ended'"],
  async run(args, io) {
    const [target, value] = args.operands;
    if (!target || !(REVOCABLE as readonly string[]).includes(target) || !value) {
      const near = target && !value ? undefined : nearest(target ?? '', REVOCABLE);
      throw new UsageError(
        `found '${args.operands.join(' ')}', expected ${REVOCABLE.join('|')} and a value${near && near !== target ? `; did you mean '${near}'?` : ''}`,
      );
    }
    if (!args.flag('reinstate') && !args.text('reason')) {
      throw new UsageError('found no --reason, expected why it is revoked');
    }
    const client = authorityOf(args, io);
    const name = target === 'subject' ? subjectUri(value, await trustDomainOf(client)) : value;
    if (args.flag('reinstate')) {
      await client.call('DELETE', `/v1/revocations/${target}/${encodeURIComponent(name)}`);
      print(io, args, { reinstated: true, target, value: name }, `reinstated ${target} ${name}`);
      return EXIT.ok;
    }
    const reason = args.text('reason');
    await client.call('POST', '/v1/revocations', { target, value: name, reason });
    print(io, args, { revoked: true, target, value: name }, `revoked ${target} ${name}`);
    return EXIT.ok;
  },
};
