import { resolve } from 'node:path';
import type { RunningAuthority } from '../authority/run-authority.ts';
import type { Command } from '../command-line/command.ts';
import { CommandError, EXIT } from '../command-line/command.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { dataOf, printReady, repositoryOf, shared } from './options.ts';

/** `countersign authority` */
export const authorityCommand: Command = {
  name: 'authority',
  summary: 'run the authority: identity, tokens, policy, facts, logs, risk',
  description:
    'Checks the repository, publishes it as a signed bundle, and serves enforcement points, OAuth clients and the operator\n(admin.sock in the data folder) until it is stopped. Tells when it is ready: in a pipe by one JSON line.',
  options: {
    repository: shared.repository,
    data: shared.data,
    history: {
      type: 'string',
      value: 'FILE',
      help: 'events of a past week (JSON lines, each replayed) to learn a first baseline from',
    },
  },
  async run(args, io) {
    const { runAuthority } = await import('../authority/run-authority.ts');
    const history = args.text('history');
    const authority = await runAuthority({
      ...(history !== undefined && { historyFile: resolve(io.cwd, history) }),
      repositoryFolder: repositoryOf(args, io),
      dataRoot: dataOf(args, io),
      env: io.env,
      now: io.now,
      warn: (text) => io.err(`countersign authority: ${text}\n`),
    });
    printReady(io, authority.addresses, authorityLines(authority.addresses));
    const lost = await Promise.race([untilStopped(io), authority.lost]);
    await authority.close();
    if (lost) throw new CommandError(lost.message);
    return EXIT.ok;
  },
};

/** Where an authority is reached, for people. */
export function authorityLines({
  control,
  issuer,
  admin,
  bundles,
}: RunningAuthority['addresses']): string[] {
  return [
    `${'control'.padEnd(18)}  ${control}`,
    `${'issuer'.padEnd(18)}  ${issuer}`,
    `${'operator'.padEnd(18)}  ${admin}`,
    ...bundles.map((bundle) => `${'bundle'.padEnd(18)}  ${bundle}`),
  ];
}
