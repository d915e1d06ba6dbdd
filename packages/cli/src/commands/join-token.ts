import { AdminRefusal } from '../admin-client.ts';
import type { Command } from '../command-line/command.ts';
import { CommandError, EXIT, UsageError } from '../command-line/command.ts';
import { wholeNumber } from '../command-line/words.ts';
import { subjectUri, trustDomainOf } from '../subject-uri.ts';
import { authorityOf, print, shared } from './options.ts';

/** `countersign join-token` */
export const joinTokenCommand: Command = {
  name: 'join-token',
  summary: 'make a one-time token with which a point, issuer or workload gets its first SVID',
  operands: '<subject>',
  operandsMax: 1,
  description:
    'The subject is a SPIFFE ID or its path, such as workload/payments/api; points and issuers are workload/countersign/<name>.\nThe token is printed once and is good for one enrolment.',
  options: {
    data: shared.data,
    json: shared.json,
    ttl: {
      type: 'string',
      value: 'SECONDS',
      help: 'how long it is good, up to a day (default 600)',
    },
  },
  examples: ['countersign join-token workload/countersign/edge > edge.token'],
  async run(args, io) {
    const [subject] = args.operands;
    if (!subject) throw new UsageError('found no subject, expected one');
    const ttlSeconds = wholeNumber(args, 'ttl', { min: 1, max: 86_400 }) ?? 600;
    const client = authorityOf(args, io);
    const spiffeId = subjectUri(subject, await trustDomainOf(client));
    const answer = await client
      .call<{ joinToken: string }>('POST', '/v1/join-tokens', { spiffeId, ttlSeconds })
      .catch((error: unknown) => {
        if (!(error instanceof AdminRefusal) || error.status !== 404) throw error;
        throw new CommandError(
          `${error.message}; points and issuers are workload/countersign/<name>, other subjects stand in identities/ of the repository that is applied`,
          { cause: error },
        );
      });
    print(io, args, answer, answer.joinToken);
    return EXIT.ok;
  },
};
