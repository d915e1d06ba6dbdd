import type { Command } from '../command-line/command.ts';
import { CommandError, EXIT } from '../command-line/command.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { dataFolder } from '../data-folder.ts';
import type { RunningPoint } from '../point/run-point.ts';
import { authorityLines } from './authority.ts';
import { dataOf, listenerLines, printReady, repositoryOf, shared } from './options.ts';

/** `countersign start` */
export const startCommand: Command = {
  name: 'start',
  summary: 'run authority and enforcement points in one process',
  description:
    'For a first try and a small site: the authority and every point of countersign.yaml, until stopped. A bank runs them apart\n(countersign authority, gateway, sidecar, wrap), so that no stolen part owns the rest.',
  options: { repository: shared.repository, data: shared.data },
  examples: ['countersign start -C my-bank -d my-data'],
  async run(args, io) {
    const { runAuthority } = await import('../authority/run-authority.ts');
    const { runPoint } = await import('../point/run-point.ts');
    const dataRoot = dataOf(args, io);
    const warn = (text: string): void => io.err(`countersign start: ${text}\n`);
    const authority = await runAuthority({
      repositoryFolder: repositoryOf(args, io),
      dataRoot,
      env: io.env,
      now: io.now,
      warn,
    });
    const points: { name: string; point: RunningPoint }[] = [];
    try {
      const { trustDomain, points: configured } = authority.repository.config;
      for (const { name, kind } of configured) {
        const joinToken = await authority.createJoinToken(
          `spiffe://${trustDomain}/workload/countersign/${name}`,
        );
        const point = await runPoint({
          name,
          kind,
          dataRoot,
          trustFile: dataFolder(dataRoot).trustFile,
          joinToken,
          now: io.now,
          warn,
        });
        points.push({ name, point });
      }
      printReady(
        io,
        { ...authority.addresses, listeners: points.flatMap(({ point }) => point.listeners) },
        [
          ...authorityLines(authority.addresses),
          ...points.flatMap(({ name, point }) => listenerLines(name, point.listeners)),
        ],
      );
      const lost = await Promise.race([untilStopped(io), authority.lost]);
      if (lost) throw new CommandError(lost.message);
    } finally {
      for (const { point } of points.reverse()) await point.close();
      await authority.close();
    }
    return EXIT.ok;
  },
};
