import { runAuthority } from '../authority/run-authority.ts';
import type { Command } from '../command-line/command.ts';
import { EXIT } from '../command-line/command.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { dataOf, repositoryOf, shared } from './options.ts';

/** `countersign authority` */
export const authorityCommand: Command = {
  name: 'authority',
  summary: 'run the authority: identity, tokens, policy, facts, logs, risk',
  description:
    'Checks the repository, publishes it as a signed bundle, and serves enforcement points, OAuth clients and the operator\n(admin.sock in the data folder) until it is stopped. Prints one JSON line when it is ready.',
  options: { repository: shared.repository, data: shared.data },
  async run(args, io) {
    const authority = await runAuthority({
      repositoryFolder: repositoryOf(args, io),
      dataRoot: dataOf(args, io),
      env: io.env,
      now: io.now,
      warn: (text) => io.err(`countersign authority: ${text}\n`),
    });
    io.out(`${JSON.stringify({ ready: true, ...authority.addresses })}\n`);
    await untilStopped(io, authority.failed);
    await authority.close();
    return EXIT.ok;
  },
};
